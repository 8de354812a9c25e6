"""Feeds: when each was polled, what it said, and the entries found in it.

Does not fetch or parse: it is given what was read.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from typing import Any

from pipeline.archive import Pointer
from pipeline.catalogue import Catalogue, FeedSource
from pipeline.model import Feed, FeedEntry
from pipeline.store import Transaction, dumped
from pipeline.store.sql import load
from pipeline.urls import host_of

SQL = load("feeds")


@dataclass(frozen=True, slots=True)
class FeedRow:
    """A feed as the store knows it."""

    id: int
    url: str
    publisher: str
    host: str
    etag: str
    last_modified: str
    digest: str
    failures: int


@dataclass(frozen=True, slots=True)
class Poll:
    """How one polling ended: changed, unchanged, waiting (it was not asked), failed or no_feed."""

    feed_id: int
    run: str
    at: datetime
    result: str
    status: int | None = None
    error: str = ""


def sync(tx: Transaction, feeds: Sequence[FeedSource]) -> None:
    """Make the catalogue's feeds known. Feeds that left the catalogue keep their history."""
    known = {feed.url: feed for feed in feeds}
    values = {
        "urls": list(known),
        "publishers": [feed.publisher for feed in known.values()],
        "sections": [feed.section for feed in known.values()],
        "hosts": list(map(host_of, known)),
    }
    tx.execute(SQL["sync"], values)


def know(tx: Transaction, feed: FeedSource) -> None:
    """Make one feed known, unless it is."""
    values = {
        "url": feed.url,
        "publisher": feed.publisher,
        "section": feed.section,
        "host": host_of(feed.url),
    }
    tx.execute(SQL["know"], values)


def due(tx: Transaction, urls: Sequence[str], *, run: str, now: datetime) -> list[FeedRow]:
    """Those among `urls` that this run still has to ask."""
    rows = tx.execute(SQL["due"], {"urls": list(urls), "run": run, "now": now})
    return [_row(row) for row in rows]


def note_resting(tx: Transaction, urls: Sequence[str], *, run: str, now: datetime) -> None:
    """Note those among `urls` that the run leaves in peace after their failures."""
    tx.execute(SQL["note_resting"], {"urls": list(urls), "run": run, "now": now})


def by_url(tx: Transaction, url: str) -> FeedRow:
    """The feed, which must be known."""
    row = tx.execute(SQL["by_url"], {"url": url}).fetchone()
    assert row, url
    return _row(row)


def lock(tx: Transaction, feed_id: int) -> FeedRow:
    """The feed, kept from other pollers until the transaction ends."""
    row = tx.execute(SQL["lock"], {"id": feed_id}).fetchone()
    assert row, feed_id
    return _row(row)


def save_quiet(tx: Transaction, poll: Poll, *, failures: int, not_before: datetime) -> None:
    """Note a polling that brought no entries: unchanged, waiting, failed, or no feed at all.

    Where the run has an answer from the feed, from another worker, nothing is written.
    """
    lock(tx, poll.feed_id)  # on its own: what the next statement sees, it sees when nobody else writes
    tx.execute(
        SQL["quiet"],
        asdict(poll)
        | {
            "asked_at": None if poll.result == "waiting" else poll.at,
            "failures": failures,
            "not_before": not_before,
        },
    )


def save_changed(
    tx: Transaction,
    poll: Poll,
    feed: Feed,
    *,
    catalogue: Catalogue,
    source: FeedRow,
    validators: tuple[str, str],
    digest: str,
    pointer: Pointer | None,
    priority: int,
) -> int:
    """Note a polling that brought a changed feed, and its entries; return how many were not known before.

    An entry whose title, summary or updated date changed falls due to be read again; where that is under way,
    as soon as it is over.
    """
    tx.execute(SQL["polled"], {"id": poll.feed_id, "at": poll.at})
    etag, last_modified = validators
    tx.execute(
        SQL["changed"],
        {"id": source.id, "etag": etag, "last_modified": last_modified, "digest": digest, "at": poll.at},
    )
    # A feed may list an article twice in different words. The first is taken: else each poll sees a change.
    entries = list({entry.canonical_url: entry for entry in reversed(feed.entries)}.values())
    times = Counter(entry.guid for entry in entries)  # what several items carry at once is the name of none
    entries = [entry if times[entry.guid] == 1 else replace(entry, guid="") for entry in entries]
    ids, new = _add_entries(tx, poll, entries, catalogue, source, priority)
    tx.execute(SQL["announce"], {"ids": _sight(tx, poll, feed, entries, ids), "at": poll.at})
    tx.execute(SQL["add_poll"], _poll_values(poll, feed, pointer, sorted(set(ids.values()))))
    return new


def silent(tx: Transaction, urls: Sequence[str], *, since: datetime) -> list[dict[str, object]]:
    """Feeds that fail, or that have said nothing new since then."""
    return list(tx.execute(SQL["silent"], {"urls": list(urls), "since": since}))


def strangers(tx: Transaction, urls: Sequence[str], *, since: datetime) -> list[str]:
    """Feeds that were asked since then, as a catalogue named them, and that are not among `urls`."""
    return [row["url"] for row in tx.execute(SQL["strangers"], {"urls": list(urls), "since": since})]


def _add_entries(  # noqa: PLR0917  what is added, and whose it is
    tx: Transaction,
    poll: Poll,
    entries: Sequence[FeedEntry],
    catalogue: Catalogue,
    source: FeedRow,
    priority: int,
) -> tuple[dict[str, int], int]:
    hosts = [host_of(entry.url) for entry in entries]
    publishers = [catalogue.publisher_of(host) for host in hosts]
    values = {
        "canonical_urls": [entry.canonical_url for entry in entries],
        "urls": [entry.url for entry in entries],
        "hosts": hosts,
        "publishers": [
            publisher.id if publisher else source.publisher or host
            for publisher, host in zip(publishers, hosts, strict=True)
        ],
        "run": poll.run,
        "at": poll.at,
        "priority": priority,
    }
    added = [row["host"] for row in tx.execute(SQL["add_entries"], values)]
    if added:
        tx.execute(SQL["add_hosts"], {"hosts": added})
    rows = tx.execute(SQL["entry_ids"], {"urls": [entry.canonical_url for entry in entries]})
    return {row["canonical_url"]: row["id"] for row in rows}, len(added)


def _sight(
    tx: Transaction, poll: Poll, feed: Feed, entries: Sequence[FeedEntry], ids: dict[str, int]
) -> list[int]:
    """Note what the feed says of each entry; of which it says something else than before."""
    said = [
        {
            "entry_id": ids[entry.canonical_url],
            "guid": entry.guid,
            "title": entry.title,
            "summary": entry.summary,
            "authors": entry.authors,
            "published": entry.published,
            "updated": entry.updated,
        }
        for entry in entries
    ]
    values = {
        "said": dumped(said),
        "feed": poll.feed_id,
        "language": feed.language,
        "at": poll.at,
    }
    return [row["entry_id"] for row in tx.execute(SQL["sight"], values)]


def _poll_values(poll: Poll, feed: Feed, pointer: Pointer | None, ids: list[int]) -> dict[str, object]:
    return asdict(poll) | {
        "format": feed.format,
        "broken": feed.broken,
        "without_link": feed.without_link,
        "truncated": feed.entries_truncated,
        "items": len(feed.entries),
        "archive_file": pointer.file if pointer else None,
        "archive_offset": pointer.offset if pointer else None,
        "archive_length": pointer.length if pointer else None,
        "entry_ids": ids,
    }


def _row(row: dict[str, Any]) -> FeedRow:
    return FeedRow(**{name: row[name] for name in FeedRow.__slots__})
