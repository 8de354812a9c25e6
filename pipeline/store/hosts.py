"""Hosts: whose turn it is to be asked, and what their robots.txt says.

Leases and the gap between requests run on the server's own clock, which no setting shifts: politeness is
about real time. Does not wait for a turn: `turns` does.
"""

from dataclasses import dataclass
from datetime import datetime

from pipeline.store import Transaction
from pipeline.store.sql import load

SQL = load("hosts")


@dataclass(frozen=True, slots=True)
class RobotsRow:
    """What is stored of a host's robots.txt; `at` is None where it was never asked for."""

    status: int | None
    body: bytes
    at: datetime | None
    failing_since: datetime | None


@dataclass(frozen=True, slots=True)
class Turn:
    """Whether it is the turn to ask a host, and for how many seconds it is not."""

    taken: bool
    seconds: float


def add(tx: Transaction, host: str) -> bool:
    """Make the host known: pages of others are never due. False where it was."""
    return tx.execute(SQL["add"], {"host": host}).rowcount > 0


def claim_with_entries(
    tx: Transaction, *, token: int, shard: int, shards: int, now: datetime, lease: float
) -> str | None:
    """Lease a free host of the shard that has entries due; None where there is none."""
    row = tx.execute(
        SQL["claim_with_entries"],
        {"token": token, "shard": shard, "shards": shards, "now": now, "lease": lease},
    ).fetchone()
    return str(row["name"]) if row else None


def claim(tx: Transaction, host: str, *, token: int, lease: float) -> bool:
    """Lease this host, known or not; False where somebody else has it."""
    values = {"host": host, "token": token, "lease": lease}
    found = tx.execute(SQL["claim"], values).fetchone()
    if found is None and add(tx, host):
        found = tx.execute(SQL["claim"], values).fetchone()
    return found is not None


def give_back(tx: Transaction, host: str, *, token: int) -> None:
    """End the lease, so that another worker may ask the host."""
    tx.execute(SQL["give_back"], {"host": host, "token": token})


def take_turn(tx: Transaction, host: str, *, token: int, gap: float) -> Turn | None:
    """Note a request that is about to be made, if it may be made now; None where the lease is lost."""
    row = tx.execute(SQL["take_turn"], {"host": host, "token": token, "gap": gap}).fetchone()
    return Turn(row["taken"], float(row["seconds"])) if row else None


def asked(tx: Transaction, host: str, *, token: int, gap: float) -> None:
    """Note a request that was made, unless the lease is lost."""
    tx.execute(SQL["asked"], {"host": host, "token": token, "gap": gap})


def pause(tx: Transaction, host: str, *, seconds: float) -> None:
    """Leave the host alone for a while, as it asked (Retry-After)."""
    tx.execute(SQL["pause"], {"host": host, "seconds": seconds})


def robots(tx: Transaction, host: str) -> RobotsRow:
    """What is stored of the host's robots.txt."""
    row = tx.execute(SQL["robots"], {"host": host}).fetchone()
    if row is None:
        return RobotsRow(None, b"", None, None)
    return RobotsRow(
        row["robots_status"], bytes(row["robots_body"] or b""), row["robots_at"], row["robots_failing_since"]
    )


def save_robots(
    tx: Transaction,
    host: str,
    *,
    status: int | None,
    body: bytes,
    crawl_delay: float | None,
    readable: bool,
    now: datetime,
) -> None:
    """Keep what robots.txt answered. An unreadable one keeps the time since when."""
    tx.execute(
        SQL["save_robots"],
        {
            "host": host,
            "status": status,
            "body": body,
            "crawl_delay": crawl_delay,
            "readable": readable,
            "now": now,
        },
    )
