"""Databases for tests, each made from another in milliseconds.

Knows nothing of what is in them.
"""

import uuid

import psycopg


def clone(server, source):
    """Make a database with the contents of another, which nobody is connected to; return its name."""
    name = f"clone_{uuid.uuid4().hex[:12]}"
    command(server, f'create database "{name}" template "{source}"')
    return name


def drop(server, name):
    """Remove a database, whoever is connected to it."""
    command(server, f'drop database "{name}" with (force)')


def command(server, statement):
    """Run a statement that no transaction may hold."""
    with psycopg.connect(server.url("postgres"), autocommit=True) as connection:
        connection.execute(statement)
