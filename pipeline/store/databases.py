"""The databases of the stack: one for Veille and one for Airflow, each with an owner that sees no other.

Makes no tables: Veille and Airflow migrate their own.
"""

from dataclasses import dataclass

from pipeline.errors import ConfigError, Unreachable


@dataclass(frozen=True, slots=True)
class Owned:
    """A database and the account that owns it, which have one name."""

    name: str
    password: str


def make(url: str, databases: tuple[Owned, ...]) -> None:
    """Make the accounts and databases that are not there yet, as the superuser of `url`; set the passwords.

    Raises ConfigError where the server refuses, Unreachable where there is none.
    """
    import psycopg
    from psycopg import sql

    try:
        with psycopg.connect(url, autocommit=True, connect_timeout=10) as connection:
            for owned in databases:
                names = {"name": sql.Identifier(owned.name), "password": sql.Literal(owned.password)}
                if not connection.execute("select from pg_roles where rolname = %s", [owned.name]).rowcount:
                    connection.execute(sql.SQL("create role {name}").format(**names))
                connection.execute(
                    sql.SQL(
                        "alter role {name} login nosuperuser nocreatedb nocreaterole password {password}"
                    ).format(**names)
                )
                if not connection.execute(
                    "select from pg_database where datname = %s", [owned.name]
                ).rowcount:
                    connection.execute(
                        sql.SQL(
                            "create database {name} owner {name} template template0 encoding 'UTF8'"
                            " locale_provider builtin builtin_locale 'C.UTF-8' locale 'C'"
                        ).format(**names)
                    )
                connection.execute(sql.SQL("revoke all on database {name} from public").format(**names))
    except psycopg.OperationalError as error:
        raise _explained(error) from error
    except psycopg.Error as error:
        raise ConfigError(
            f"PostgreSQL refuses to make the databases: {error.diag.message_primary}"
        ) from error


def _explained(error: Exception) -> ConfigError | Unreachable:
    """The server's own words hold no password, but its URL may: only the kind of failure is said."""
    if "authentication failed" in str(error):
        return ConfigError(
            "PostgreSQL refuses the superuser's password",
            hint="its data were made with another POSTGRES_PASSWORD: restore that .env",
        )
    return Unreachable("PostgreSQL does not answer", hint="see the log of the service postgres")
