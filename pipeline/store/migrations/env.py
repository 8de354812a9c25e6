"""Runs the migrations inside one transaction on the connection that `migrate` hands over.

Opens none of its own, and takes no lock.
"""

from alembic import context

context.configure(connection=context.config.attributes["connection"], transaction_per_migration=True)
with context.begin_transaction():
    context.run_migrations()
