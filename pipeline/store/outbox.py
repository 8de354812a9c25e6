"""The outbox: the set of documents that the index has not acknowledged at their current version.

Does not hold the documents: whoever writes them reads them at their current version first, and says what
became of them under the token with which they were claimed. What somebody else has claimed since, or what
was saved again meanwhile, stays as it is.
"""

from collections.abc import Collection, Mapping
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
    """Lease up to `limit` dirty articles, those that wait longest first, what was put off last."""
    values = {"token": token, "lease": lease, "now": now, "limit": limit}
    return [row["article_id"] for row in tx.execute(SQL["claim"], values)]


def pending(tx: Transaction, *, now: datetime, within: float) -> Pending:
    """How many dirty documents are free to be claimed, and how many a writer holds or are due within so many
    seconds.
    """
    row = tx.execute(SQL["pending"], {"now": now, "within": within}).fetchone()
    assert row
    return Pending.of(row)


def acknowledge(tx: Transaction, token: int, written: Mapping[int, int]) -> None:
    """These documents stand in the index at these versions."""
    tx.execute(SQL["acknowledge"], {"token": token, **_columns(written)})


def put_off(tx: Transaction, token: int, later: Mapping[int, tuple[int, str]], *, now: datetime) -> None:
    """Let these, each put off at a version for a reason, wait: longer each time."""
    tx.execute(SQL["put_off"], {"token": token, "now": now, **_reasoned(later)})


def pass_over(tx: Transaction, token: int, untold: Mapping[int, int], *, now: datetime) -> None:
    """Let these come after all that nobody has tried to write yet."""
    tx.execute(SQL["pass_over"], {"token": token, "now": now, **_columns(untold)})


def size(tx: Transaction) -> Size:
    """How many documents the outbox holds."""
    row = tx.execute(SQL["size"]).fetchone()
    assert row
    return Size(**row)


def waiting(tx: Transaction) -> dict[str, str]:
    """The documents that wait to be written, by id; with the reason, if the engine put them off."""
    return {str(row["article_id"]): row["reason"] for row in tx.execute(SQL["waiting"])}


def refused(tx: Transaction) -> dict[str, str]:
    """The documents that the engine will not take, by id, with its reason."""
    return {str(row["article_id"]): row["reason"] for row in tx.execute(SQL["refused"])}


def offer_again(tx: Transaction) -> int:
    """Let what the engine refused or put off be written now, and return how many those are.

    It may be another engine, or a newer Veille.
    """
    return tx.execute(SQL["offer_again"]).rowcount


def quarantine(tx: Transaction, token: int, refused: Mapping[int, tuple[int, str]]) -> None:
    """Keep these, each refused at a version with the engine's reason, until the document changes."""
    tx.execute(SQL["quarantine"], {"token": token, **_reasoned(refused)})


def _columns(versions: Mapping[int, int]) -> dict[str, Collection[int]]:
    return {"ids": list(versions), "versions": list(versions.values())}


def _reasoned(reasons: Mapping[int, tuple[int, str]]) -> dict[str, list[int] | list[str]]:
    return {
        "ids": list(reasons),
        "versions": [version for version, _ in reasons.values()],
        "reasons": [reason for _, reason in reasons.values()],
    }
