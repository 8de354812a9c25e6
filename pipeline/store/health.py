"""What the database says of itself and of the newest records: for `veille doctor`.

Judges nothing. It costs little, however large the library is.
"""

from dataclasses import dataclass
from datetime import datetime

from pipeline.archive import Pointer
from pipeline.store import Transaction
from pipeline.store.sql import load

SQL = load("health")


@dataclass(frozen=True, slots=True)
class Health:
    """As of one moment."""

    version: str  # of PostgreSQL
    host: str  # where the server was reached: host:port, or the folder of its socket
    encoding: str
    size: int  # bytes of this database
    now: datetime  # by the server's clock
    newest: datetime | None  # when the last run was begun or the last feed asked, by the clock of that time
    last_page: Pointer | None  # the newest answer that was archived


def of(tx: Transaction) -> Health:
    """Ask."""
    server = tx.execute(SQL["server"]).fetchone()
    newest = tx.execute(SQL["newest"]).fetchone()
    assert server
    assert newest
    page = tx.execute(SQL["last_page"]).fetchone()
    host = tx.info.host
    return Health(
        version=server["version"].split()[0],
        host=host if host.startswith("/") else f"{host}:{tx.info.port}",
        encoding=server["encoding"],
        size=server["size"],
        now=server["now"],
        newest=newest["at"],
        last_page=Pointer(**page) if page else None,
    )
