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


def add(tx: Transaction, host: str) -> None:
    """Make the host known: pages of others are never due."""
    tx.execute(SQL["add"], {"host": host})


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
    """Lease this host; False where somebody else has it."""
    add(tx, host)
    return tx.execute(SQL["claim"], {"host": host, "token": token, "lease": lease}).fetchone() is not None


def give_back(tx: Transaction, host: str, *, token: int) -> None:
    """End the lease, so that another worker may ask the host."""
    tx.execute(SQL["give_back"], {"host": host, "token": token})


def wait_seconds(tx: Transaction, host: str, *, token: int) -> float | None:
    """How long to wait before the next request; None where the lease is lost."""
    row = tx.execute(SQL["wait"], {"host": host, "token": token}).fetchone()
    return float(row["seconds"]) if row else None


def asked(tx: Transaction, host: str, *, token: int, gap: float) -> bool:
    """Note a request, made or about to be made; False where the lease is lost."""
    return tx.execute(SQL["asked"], {"host": host, "token": token, "gap": gap}).fetchone() is not None


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
