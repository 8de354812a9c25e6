"""Entries: claimed by stage, moved on by whoever still holds them; their pages and revisions.

Does not know what a stage does. Every function that writes is called in the transaction that has checked
the token with `held`, but for `add_page`, which checks it itself.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from pipeline.archive import Pointer
from pipeline.model import Article, Claims, Completeness, Outcome, PageFate, Stage
from pipeline.store import Transaction, dumped
from pipeline.store.leases import Pending
from pipeline.store.sql import load

SQL = load("entries")

_SUCCESS = range(200, 300)  # of HTTP


@dataclass(frozen=True, slots=True)
class EntryRow:
    """An entry as the store knows it."""

    id: int
    canonical_url: str
    url: str
    host: str
    publisher: str
    stage: str
    discovered_at: datetime
    due_at: datetime | None
    attempts: int
    outcome: str | None
    page_fate: str
    page_id: int | None
    article_id: int | None
    revision: int
    unchanged: int
    announced: int  # changes that feeds had announced when it was claimed


@dataclass(frozen=True, slots=True)
class PageRow:
    """One reading of an entry's page."""

    id: int
    run_id: str
    fetched_at: datetime
    url: str
    status: int | None
    fate: str
    reason: str
    content_type: str
    archive_file: str | None
    archive_offset: int | None
    archive_length: int | None

    @property
    def pointer(self) -> Pointer | None:
        """Where the answer lies; None where none came, or only "not modified"."""
        if self.archive_file is None or self.archive_offset is None or self.archive_length is None:
            return None
        return Pointer(self.archive_file, self.archive_offset, self.archive_length)

    @property
    def came(self) -> bool:
        """Whether the answer is the page, whole: refusals and what was cut off are kept as well."""
        return self.status in _SUCCESS and self.fate != PageFate.NOT_FETCHED


@dataclass(frozen=True, slots=True)
class RevisionRow:
    """One text of an entry."""

    entry_id: int
    number: int
    page_id: int | None
    read_at: datetime
    digest: str
    article: Article


@dataclass(frozen=True, slots=True)
class Move:
    """Where an entry goes next. A fate or outcome of None keeps what there is."""

    entry_id: int
    stage: Stage
    due_at: datetime | None
    reason: str = ""
    attempts: int = 0
    fate: PageFate | None = None
    outcome: Outcome | None = None


@dataclass(frozen=True, slots=True)
class End:
    """How the reading of an entry ended, and when the next is due. None keeps what there is, as in `Move`."""

    entry_id: int
    due_at: datetime | None
    unchanged: int = 0
    outcome: Outcome | None = None
    reason: str = ""
    fate: PageFate | None = None
    page_id: int | None = None


@dataclass(frozen=True, slots=True)
class Note:
    """What a page turned out to be when it was read, and what the reading did. None keeps what there is."""

    page_id: int
    fate: PageFate | None = None
    reason: str | None = None
    outcome: Outcome | None = None


@dataclass(frozen=True, slots=True)
class Said:
    """What a feed says of an entry's identity; the guid is empty where it says none, or one of several."""

    feed_id: int
    guid: str
    title: str


@dataclass(frozen=True, slots=True)
class Told:
    """What one text of an entry says of its identity."""

    url: str  # that the page gives as its own
    title: str
    published: datetime | None
    digest: str | None  # None: the text is not full, or short


def claim(
    tx: Transaction, stage: Stage, *, token: int, lease: float, now: datetime, limit: int
) -> list[EntryRow]:
    """Lease up to `limit` entries that are due in this stage, the most urgent first."""
    values = {"stage": stage, "token": token, "lease": lease, "now": now, "limit": limit}
    return sorted((_row(row) for row in tx.execute(SQL["claim"], values)), key=lambda row: row.id)


def claim_of_host(
    tx: Transaction, host: str, *, token: int, lease: float, now: datetime, limit: int
) -> list[EntryRow]:
    """Lease up to `limit` entries of the host whose pages are due, new ones and those read again."""
    values = {"host": host, "token": token, "lease": lease, "now": now, "limit": limit}
    return sorted((_row(row) for row in tx.execute(SQL["claim_of_host"], values)), key=lambda row: row.id)


def held(tx: Transaction, ids: Collection[int], *, token: int) -> set[int]:
    """Those among `ids` that the token still holds, locked until the transaction ends. Write no others."""
    return {row["id"] for row in tx.execute(SQL["held"], {"ids": list(ids), "token": token})}


def pending(tx: Transaction, stages: Sequence[Stage], *, now: datetime) -> Pending:
    """How much is due in these stages. Reads it all: whoever only waits asks `any_due`."""
    row = tx.execute(SQL["pending"], {"stages": list(stages), "now": now}).fetchone()
    assert row
    return Pending.of(row)


def any_due(tx: Transaction, stages: Sequence[Stage], *, now: datetime, shard: int, shards: int) -> bool:
    """Whether anything is due in these stages, in this shard of hosts, free or held."""
    values = {"stages": list(stages), "now": now, "shard": shard, "shards": shards}
    row = tx.execute(SQL["any_due"], values).fetchone()
    assert row
    return bool(row["found"])


def postpone(tx: Transaction, host: str, *, until: datetime, reason: str) -> None:
    """Let the host's entries that nobody holds wait until then."""
    tx.execute(SQL["postpone"], {"host": host, "until": until, "reason": reason})


def move(tx: Transaction, moves: Collection[Move]) -> None:
    """Put these entries, each once, where they go next and give their leases back."""
    if moves:
        tx.execute(SQL["move"], {"moves": dumped(moves)})


def end_reading(tx: Transaction, ends: Collection[End]) -> None:
    """These entries, each once, are done until their pages are read again.

    That is at once where a feed announced a change after the page was asked for.
    """
    if ends:
        tx.execute(SQL["end"], {"ends": dumped(ends)})


def add_page(
    tx: Transaction,
    entry: EntryRow,
    *,
    token: int,
    run: str,
    at: datetime,
    url: str,
    status: int | None,
    fate: PageFate,
    reason: str = "",
    content_type: str = "",
    etag: str = "",
    last_modified: str = "",
    pointer: Pointer | None = None,
    to_read: bool,
) -> int | None:
    """Note one reading of the entry, as it was claimed; return its id, None where the token does not hold it.

    With `to_read` the entry goes on to EXTRACT, its lease given back; else it stays locked.
    """
    values = {
        "entry": entry.id,
        "token": token,
        "run": run,
        "at": at,
        "announced": entry.announced,
        "url": url,
        "status": status,
        "fate": fate,
        "reason": reason,
        "content_type": content_type,
        "etag": etag,
        "last_modified": last_modified,
        "archive_file": pointer.file if pointer else None,
        "archive_offset": pointer.offset if pointer else None,
        "archive_length": pointer.length if pointer else None,
        "to_read": to_read,
        "entry_fate": None if entry.revision else fate,  # a known text's page keeps its own until it is read
    }
    row = tx.execute(SQL["add_page"], values).fetchone()
    return int(row["id"]) if row else None


def pages(tx: Transaction, ids: Collection[int | None]) -> dict[int, PageRow]:
    """Readings by their ids."""
    rows = tx.execute(SQL["pages"], {"ids": list(ids)})
    return {row["id"]: PageRow(**{name: row[name] for name in PageRow.__slots__}) for row in rows}


def note_pages(tx: Transaction, notes: Collection[Note]) -> None:
    """Note what these pages, each once, turned out to be and what their readings did."""
    if notes:
        tx.execute(SQL["note_pages"], {"notes": dumped(notes)})


def validators(tx: Transaction, entry_id: int) -> tuple[str, str]:
    """ETag and Last-Modified of the newest page that need not be read again; empty where there are none."""
    row = tx.execute(SQL["validators"], {"entry": entry_id}).fetchone()
    return (row["etag"], row["last_modified"]) if row else ("", "")


def claims(tx: Transaction, ids: Collection[int]) -> dict[int, Claims]:
    """What the sources say of each of these entries."""
    said = dict.fromkeys(ids, Claims())
    for row in tx.execute(SQL["claims"], {"ids": list(ids)}):
        entry = row.pop("entry_id")
        said[entry] = Claims(**(row | {"authors": tuple(row["authors"])}))
    return said


def said(tx: Transaction, ids: Collection[int]) -> dict[int, list[Said]]:
    """What each feed says of the identity of each of these entries."""
    found: dict[int, list[Said]] = {entry: [] for entry in ids}
    for row in tx.execute(SQL["said"], {"ids": list(ids)}):
        found[row.pop("entry_id")].append(Said(**row))
    return found


def latest_revision(tx: Transaction, entry_id: int) -> RevisionRow | None:
    """The newest text, None before the first."""
    return latest_revisions(tx, [entry_id]).get(entry_id)


def latest_revisions(tx: Transaction, ids: Collection[int]) -> dict[int, RevisionRow]:
    """The newest texts of those among these entries that have any."""
    return {row["entry_id"]: revision_of(row) for row in tx.execute(SQL["latest"], {"ids": list(ids)})}


def told(tx: Transaction, ids: Collection[int], *, at_least: int) -> dict[int, list[Told]]:
    """What all texts of each of these entries say of its identity; a digest only of full ones of so many
    characters.
    """
    found: dict[int, list[Told]] = {entry: [] for entry in ids}
    for row in tx.execute(SQL["told"], {"ids": list(ids), "at_least": at_least}):
        found[row.pop("entry_id")].append(Told(**row))
    return found


def save_revisions(tx: Transaction, revisions: Collection[RevisionRow]) -> None:
    """Write these revisions, each once, replacing those whose reading was extracted before."""
    if revisions:
        tx.execute(SQL["save_revisions"], {"revisions": dumped(revisions)})


def add_document(
    tx: Transaction, *, canonical_url: str, url: str, host: str, publisher: str, run: str, at: datetime
) -> tuple[int, int, bool]:
    """An entry that comes with its text, without a page.

    Returns its id, its newest revision's number, and whether it belongs to an article.
    """
    values = {
        "canonical_url": canonical_url,
        "url": url,
        "host": host,
        "publisher": publisher,
        "run": run,
        "at": at,
    }
    added = tx.execute(SQL["add_document"], values).fetchone()
    if added:
        return int(added["id"]), 0, False
    row = tx.execute(SQL["find"], values).fetchone()
    assert row
    return int(row["id"]), int(row["revision"]), row["article_id"] is not None


def requeue(tx: Transaction, entry_id: int, *, at: datetime) -> None:
    """Send an entry, whose text was given, through comparison and tagging."""
    tx.execute(SQL["requeue"], {"id": entry_id, "at": at})


def retry(tx: Transaction, *, run: str = "", urls: Sequence[str] = (), now: datetime) -> int:
    """Let entries that gave up, those of the run or at these URLs, start again; return how many."""
    return tx.execute(SQL["retry"], {"run": run, "urls": list(urls), "now": now}).rowcount


def revision_of(row: dict[str, Any]) -> RevisionRow:
    """A row of the table `revision` as a value."""
    fields = {name: row[name] for name in Article.__slots__}
    fields |= {"authors": tuple(row["authors"]), "completeness": Completeness(str(row["completeness"]))}
    head = {name: row[name] for name in ("entry_id", "number", "page_id", "read_at", "digest")}
    return RevisionRow(**head, article=Article(**fields))


def _row(row: dict[str, Any]) -> EntryRow:
    return EntryRow(**{name: row[name] for name in EntryRow.__slots__})
