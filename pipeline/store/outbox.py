"""The outbox: the set of documents that the index has not acknowledged at their current version.

Does not hold the documents: whoever writes them reads them at their current version first.
"""

from dataclasses import dataclass
from datetime import datetime

from pipeline.schedule import age
from pipeline.store import Transaction
from pipeline.store.leases import Pending
from pipeline.store.sql import load

SQL = load("outbox")


@dataclass(frozen=True, slots=True)
class Size:
    """How many documents wait to be written, since when the oldest, and how many the engine refused."""

    waiting: int
    oldest: datetime | None
    refused: int

    def age(self, now: datetime) -> float:
        """For how many seconds the oldest has waited."""
        return age(self.oldest, now=now)


def claim(tx: Transaction, *, token: int, lease: float, now: datetime, limit: int) -> list[int]:
    """Lease up to `limit` dirty articles, those that wait longest first."""
    values = {"token": token, "lease": lease, "now": now, "limit": limit}
    return [row["article_id"] for row in tx.execute(SQL["claim"], values)]


def pending(tx: Transaction, *, now: datetime) -> Pending:
    """How many dirty documents are free to be claimed, and how many a writer holds."""
    row = tx.execute(SQL["pending"], {"now": now}).fetchone()
    assert row
    return Pending.of(row)


def acknowledge(tx: Transaction, written: dict[int, int]) -> None:
    """These documents stand in the index at these versions."""
    tx.execute(SQL["acknowledge"], {"ids": list(written), "versions": list(written.values())})


def size(tx: Transaction) -> Size:
    """How many documents the outbox holds."""
    row = tx.execute(SQL["size"]).fetchone()
    assert row
    return Size(**row)


def waiting(tx: Transaction) -> set[str]:
    """The ids of the documents that wait to be written."""
    return {str(row["article_id"]) for row in tx.execute(SQL["waiting"])}


def refused(tx: Transaction) -> dict[str, str]:
    """The documents that the engine will not take, by id, with its reason."""
    return {str(row["article_id"]): row["reason"] for row in tx.execute(SQL["refused"])}


def offer_again(tx: Transaction) -> None:
    """Let what the engine refused be written again: it may be another engine, or a newer Veille."""
    tx.execute(SQL["offer_again"])


def quarantine(tx: Transaction, refused: dict[int, tuple[int, str]]) -> None:
    """Keep these, each refused at a version with the engine's reason, until the document changes.

    One that was saved again meanwhile stays as dirty as it is.
    """
    versions, reasons = zip(*refused.values(), strict=True) if refused else ((), ())
    values = {"ids": list(refused), "versions": list(versions), "reasons": list(reasons)}
    tx.execute(SQL["quarantine"], values)
