"""The store: PostgreSQL, which holds the truth.

Takes full responsibility for the queries: they are named, in `sql/`, and nobody else writes any, apart from
the locks, schema and databases of `Store` and `embedded`, which stand where they are used. `Store` gives
transactions; the modules beside it hold the statements by noun: `runs`, `feeds`, `hosts`, `entries`,
`articles`, `outbox`. Does not decide anything: `steps` does.
"""

import contextlib
from collections.abc import Callable, Collection, Iterator
from datetime import datetime
from typing import TYPE_CHECKING, Any, TypeAlias

import orjson

from pipeline import failpoints
from pipeline.errors import Busy, ConfigError, Conflict, Transient
from pipeline.store.migrations import FOLDER, HEAD

if TYPE_CHECKING:
    import psycopg
    import psycopg_pool

Transaction: TypeAlias = "psycopg.Connection[dict[str, Any]]"

# Advisory locks: one number a purpose, all under Veille's own first key.
LOCK_SPACE = 0x5645
MIGRATE, ARTICLES, INDEX, REBUILD = 1, 2, 3, 4
HELD = {INDEX: "been writing the search index", REBUILD: "been rebuilding the search index"}
_POOL = 24  # connections a process may hold: 16 fetching threads, heartbeats, and room; the server takes 200


class Store:
    """An open store. Safe to use from several threads; not across a fork."""

    def __init__(self, url: str, *, clock: Callable[[], datetime], lease_seconds: float) -> None:
        """Connect to `url` (libpq). Raises Transient if nobody answers there."""
        import psycopg
        from psycopg.rows import dict_row
        from psycopg_pool import ConnectionPool

        self.clock = clock
        self.lease_seconds = lease_seconds
        self._url = url
        try:
            psycopg.connect(url, connect_timeout=10).close()
        except psycopg.Error as error:
            raise Transient(
                f"the database does not answer: {_first_line(error)}",
                hint="check VEILLE_DATABASE_URL and that the server runs, then run the command again",
            ) from error
        self._pool: psycopg_pool.ConnectionPool[Transaction] = ConnectionPool(
            url,
            min_size=0,
            max_size=_POOL,
            # Autocommit, since `_begin` begins each transaction; the pool's context commits it all the same.
            kwargs={"row_factory": dict_row, "application_name": "veille", "autocommit": True},
            check=_begin,
            open=True,
            timeout=30,
        )

    @contextlib.contextmanager
    def transaction(self, name: str) -> "Iterator[Transaction]":
        """One transaction: committed where the block ends, rolled back where it raises.

        Raises Transient for what may go better next time (the server went away, a deadlock), Busy for a
        lock that somebody else holds. `name` is what the failpoints before and after the commit are called.
        """
        with _translated(), self._pool.connection() as connection:
            yield connection
            failpoints.reach(f"before_commit_{name}")
        failpoints.reach(f"after_commit_{name}")

    @contextlib.contextmanager
    def session_lock(self, lock: int, *, wait_seconds: float, shared: bool = False) -> "Iterator[None]":
        """Hold an advisory lock on a connection of its own, alone, or with others who hold it `shared`.

        Raises Busy if it is not free in time.
        """
        import psycopg
        from psycopg import errors

        # Not from the pool, where the next to come would find it without transactions, or still locked.
        with _translated(), psycopg.connect(self._url, autocommit=True) as connection:
            connection.execute(f"set lock_timeout = {int(wait_seconds * 1000)}".encode())
            function = "pg_advisory_lock_shared" if shared else "pg_advisory_lock"
            try:
                connection.execute(f"select {function}(%s, %s)".encode(), (LOCK_SPACE, lock))
            except errors.LockNotAvailable as error:
                raise Busy(
                    f"another process has {HELD[lock]} for {wait_seconds:g} s",
                    hint="wait for its end, then run the command again; what waits is kept",
                ) from error
            yield  # the lock ends with the connection

    def migrate(self) -> None:
        """Bring the schema to this version. Several processes may call it at once; one does the work."""
        if self.schema_version() == HEAD:
            return
        from alembic import command
        from alembic.config import Config
        from sqlalchemy import create_engine, text

        config = Config()
        config.set_main_option("script_location", str(FOLDER).replace("%", "%%"))
        engine = create_engine("postgresql+psycopg://", creator=self._raw_connection)
        try:
            with engine.connect() as connection:
                connection.execute(text(f"select pg_advisory_lock({LOCK_SPACE}, {MIGRATE})"))
                connection.commit()  # the lock is the session's; the migration has its own transaction
                config.attributes["connection"] = connection
                with _explained():
                    command.upgrade(config, "head")
                connection.commit()
        finally:
            engine.dispose()  # the lock ends with the connection

    def schema_version(self) -> str:
        """The version of the schema found, empty if there is none. Raises ConfigError for a newer one."""
        with self.transaction("schema_version") as tx:
            known = tx.execute("select to_regclass('alembic_version') as t").fetchone()
            row = (
                tx.execute("select version_num from alembic_version").fetchone()
                if known and known["t"]
                else None
            )
        version = str(row["version_num"]) if row else ""
        if version > HEAD:
            raise ConfigError(
                f"the database has schema {version}, this Veille knows {HEAD}",
                hint="install the newer Veille that made it",
            )
        return version

    def close(self) -> None:
        """Give all connections back."""
        self._pool.close()

    def _raw_connection(self) -> "psycopg.Connection[Any]":
        import psycopg

        return psycopg.connect(self._url)


def dumped(rows: Collection[object]) -> str:
    """Rows as one parameter: psycopg would look at the type of every value of a list."""
    return orjson.dumps(list(rows)).decode()


def _begin(connection: Transaction) -> None:
    """Begin the transaction for which a connection is taken from the pool.

    Raises for one that broke while it rested: the pool then gives another. A check that does nothing else
    would be one more journey to the server.
    """
    connection.execute(b"begin", prepare=False)


@contextlib.contextmanager
def _translated() -> Iterator[None]:
    """Turn what the driver says about the server's state into our errors; mistakes in our SQL pass."""
    import psycopg
    import psycopg_pool
    from psycopg import errors

    try:
        yield
    except errors.LockNotAvailable as error:
        raise Busy(
            "another process holds what this one needs", hint="wait for its end, then run the command again"
        ) from error
    except (errors.SerializationFailure, errors.DeadlockDetected) as error:
        raise Conflict("the database asked to try again") from error
    except errors.DiskFull as error:
        raise Transient(
            "the database's disk is full", hint="free some space and run the command again; nothing was lost"
        ) from error
    except errors.InsufficientPrivilege as error:
        raise ConfigError(
            f"the database refuses: {_first_line(error)}",
            hint="make the user in VEILLE_DATABASE_URL its owner: alter database NAME owner to USER",
        ) from error
    except errors.ReadOnlySqlTransaction as error:
        raise ConfigError(
            f"the database takes no writes: {_first_line(error)}",
            hint="name the server that others copy in VEILLE_DATABASE_URL, not one that copies",
        ) from error
    except errors.ProgramLimitExceeded:  # the row's fault, not the server's: asked again, it is so again
        raise
    except (psycopg.OperationalError, psycopg_pool.PoolTimeout) as error:
        raise Transient(
            f"the database went away: {_first_line(error)}",
            hint="run the command again; what was committed is kept",
        ) from error


@contextlib.contextmanager
def _explained() -> Iterator[None]:
    """Turn what a migration meets in a database that is not Veille's, or not its user's, into our errors."""
    from alembic.util import CommandError
    from psycopg import errors
    from sqlalchemy.exc import DBAPIError

    try:
        yield
    except CommandError as error:
        raise ConfigError(
            f"the database's schema is none that this Veille knows: {error}",
            hint="install the Veille that made it, or restore the database from a backup",
        ) from error
    except DBAPIError as error:
        if isinstance(error.orig, errors.DuplicateTable | errors.DuplicateObject):
            raise ConfigError(
                f"the database holds something that is not Veille's: {_first_line(error.orig)}",
                hint="give Veille one of its own: createdb veille",
            ) from error
        with _translated():
            raise error.orig or error from error


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0]
