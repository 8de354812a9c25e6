"""The stage before the stages: feeds are polled, and what they list becomes entries.

Does not fetch pages. A feed is parsed only where it changed, in a worker; it is archived, and its entries are
written with the note of the polling in one transaction, so a crash leaves either both or neither.
"""

import logging
from collections import defaultdict
from collections.abc import Sequence
from datetime import datetime, timedelta
from functools import partial

from pipeline import schedule
from pipeline.errors import (
    BlockedAddress,
    Busy,
    Conflict,
    Defect,
    Permanent,
    TimedOut,
    Transient,
    Unparsable,
    Unreachable,
    VeilleError,
    lines_of,
    place_of,
)
from pipeline.model import Feed
from pipeline.reading import FEED_CAP
from pipeline.reading import feeds as parser
from pipeline.runtime import Runtime
from pipeline.stages.shift import Shift
from pipeline.stages.turns import HostPaused, LeaseLost, RobotsUnreadable, Turns, turns
from pipeline.store import Transaction, feeds
from pipeline.store.feeds import FeedRow, Poll
from pipeline.web.responses import Fetched, Response

THREADS = 8
NEW, HISTORY = 1, 3  # priorities of what is found
ACCEPT = "application/rss+xml, application/atom+xml, application/feed+json, application/xml;q=0.9, */*;q=0.5"

log = logging.getLogger(__name__)


def poll_all(runtime: Runtime, run: str, urls: Sequence[str], *, seconds: float = 1200.0) -> None:
    """Poll the feeds at these URLs that are due, each once in a run, hosts side by side.

    A host that another worker asks is waited for until the time is over; its feeds then count as waiting.
    """
    runtime.store, runtime.keeper, runtime.fetcher, runtime.archive, runtime.workers  # noqa: B018  opened before the threads start
    with runtime.store.transaction("resting") as tx:
        feeds.note_resting(tx, urls, run=run, now=runtime.now())
    shift = Shift(seconds, cut=runtime.fetcher.interrupt)
    while due := _due(runtime, run, urls):
        if shift.over():
            for row in due:
                _wait(runtime, run, row, Busy(f"another worker is asking {row.host}"))
            return
        by_host: dict[str, list[FeedRow]] = defaultdict(list)
        for feed in due:
            by_host[feed.host].append(feed)
        shift.work(THREADS, [partial(_poll_host, runtime, run, rows, shift) for rows in by_host.values()])


def import_feed(
    runtime: Runtime, run: str, url: str, body: bytes, feed: Feed, *, at: datetime, publisher: str = ""
) -> int:
    """Take a saved capture of a feed as if it had been polled at `at`; return how many entries were new."""
    from pipeline.catalogue import FeedSource

    with runtime.store.transaction("import") as tx:
        feeds.know(tx, FeedSource(url=url, publisher=publisher))
        source = feeds.lock(tx, feeds.by_url(tx, url).id)
        return feeds.save_changed(
            tx,
            Poll(source.id, run, at, "changed"),
            feed,
            catalogue=runtime.catalogue,
            source=source,
            validators=("", ""),
            digest=parser.digest(body),
            pointer=None,
            priority=HISTORY,
        )


def _due(runtime: Runtime, run: str, urls: Sequence[str]) -> list[FeedRow]:
    with runtime.store.transaction("due") as tx:
        return feeds.due(tx, urls, run=run, now=runtime.now())


def _poll_host(runtime: Runtime, run: str, rows: list[FeedRow], shift: Shift) -> None:
    """Poll the host's feeds one after another, until the time is over or another worker takes the host."""
    host = rows[0].host
    try:
        with turns(runtime, shift) as mine:
            left: list[FeedRow] = []
            while True:
                # Now, and after redirects that led elsewhere: meanwhile others may have been faster.
                if mine.hold(host):
                    left = _due(runtime, run, [row.url for row in rows])
                if not left or shift.over():
                    return
                _poll_around(runtime, run, mine, left.pop(0))
    except (Busy, LeaseLost, Conflict) as error:
        log.info("host left to another worker", extra={"run": run, "host": host, "why": str(error)})


def _poll_around(runtime: Runtime, run: str, mine: Turns, row: FeedRow) -> None:
    """Poll the feed. One that brings up a bug has failed, and does not stop the others."""
    try:
        _poll(runtime, run, mine, row)
    except VeilleError:
        raise
    except Exception as error:  # noqa: BLE001  whatever it is, one feed must not stop the press
        log.error("a bug in polling", extra={"run": run, "feed": row.url, "lines": lines_of(error)})  # noqa: TRY400
        _fail(runtime, run, row, Defect(place_of(error)))


def _poll(runtime: Runtime, run: str, mine: Turns, row: FeedRow) -> None:
    """Ask for one feed and write what came of it."""
    try:
        fetched = runtime.fetcher.follow(
            row.url,
            cap=FEED_CAP,
            admit=mine.admit,
            etag=row.etag,
            last_modified=row.last_modified,
            accept=ACCEPT,
        )
    except (RobotsUnreadable, HostPaused) as error:
        _wait(runtime, run, row, error)
        return
    except (TimedOut, Unreachable, Permanent) as error:
        mine.done()
        _fail(runtime, run, row, error)
        return
    response = fetched.response
    if response.status == 304 and (row.etag or row.last_modified) and not fetched.hops:  # noqa: PLR2004
        _unchanged(runtime, run, mine, row, response)
    elif response.status == 200 and not response.truncated:  # noqa: PLR2004
        _read(runtime, run, mine, row, fetched)
    else:
        mine.done()
        if response.retry_after:
            mine.pause(response.retry_after)
        said = "the feed was cut off on its way" if response.truncated else response.said
        _fail(runtime, run, row, Transient(said, retry_after=response.retry_after), response.status)


def _unchanged(runtime: Runtime, run: str, mine: Turns, row: FeedRow, response: Response) -> None:
    """Most polls end so: what is written of them, also that the answer is in, is one transaction."""
    _note(runtime, Poll(row.id, run, runtime.now(), "unchanged", status=response.status), mine=mine)
    mine.noted()


def _read(runtime: Runtime, run: str, mine: Turns, row: FeedRow, fetched: Fetched) -> None:
    """Parse the feed if it changed, archive it, and write its entries."""
    response = fetched.response
    digest = parser.digest(response.body)
    if digest == row.digest:
        _unchanged(runtime, run, mine, row, response)
        return
    mine.done()
    try:
        feed = runtime.workers.run(
            "parse_feed", {"body": response.body, "url": fetched.url, "content_type": response.content_type}
        )
    except (Unparsable, Defect) as error:
        _fail(runtime, run, row, error, response.status)
        return
    assert isinstance(feed, Feed)
    pointer = runtime.archive.append([*fetched.hops, response])[-1]
    at = runtime.now()
    with runtime.store.transaction("discover") as tx:
        if not _still_due(tx, row, run, at):
            return
        new = feeds.save_changed(
            tx,
            Poll(row.id, run, at, "changed", status=response.status),
            feed,
            catalogue=runtime.catalogue,
            source=row,
            validators=fetched.validators,
            digest=digest,
            pointer=pointer,
            priority=NEW,
        )
    log.info(
        "feed read",
        extra={"run": run, "host": row.host, "feed": row.url, "entries": len(feed.entries), "new": new},
    )


def _still_due(tx: Transaction, row: FeedRow, run: str, at: datetime) -> bool:
    """Whether no other worker noted a polling of the feed meanwhile; kept so until the transaction ends."""
    feeds.lock(tx, row.id)
    return bool(feeds.due(tx, [row.url], run=run, now=at))


def _wait(runtime: Runtime, run: str, row: FeedRow, error: RobotsUnreadable | HostPaused | Busy) -> None:
    """The feed was not asked, which is no failure of its own."""
    seconds = error.retry_after or 0.0
    _note(
        runtime,
        Poll(row.id, run, runtime.now(), "waiting", error=str(error)),
        failures=row.failures,
        not_before=runtime.now() + timedelta(seconds=seconds),
    )
    log.info("feed waits", extra={"run": run, "host": row.host, "feed": row.url, "why": str(error)})


def _fail(
    runtime: Runtime, run: str, row: FeedRow, error: Transient | Permanent, status: int | None = None
) -> None:
    """The feed is asked ever less often until it answers again, but never dropped."""
    result = "no_feed" if isinstance(error, Unparsable | BlockedAddress) else "failed"
    at = runtime.now()
    failures = row.failures + 1
    retry_after = error.retry_after if isinstance(error, Transient) else None
    _note(
        runtime,
        Poll(row.id, run, at, result, status=status, error=str(error)),
        failures=failures,
        not_before=schedule.next_poll(failures, now=at, retry_after=retry_after),
    )
    log.warning("feed not read", extra={"run": run, "host": row.host, "feed": row.url, "error": str(error)})


def _note(
    runtime: Runtime,
    poll: Poll,
    *,
    failures: int = 0,
    not_before: datetime | None = None,
    mine: Turns | None = None,
) -> None:
    """Write a polling that brought no entries, and for `mine` that the answer is in."""
    with runtime.store.transaction("poll") as tx:
        # The feed before the host, as whoever brings entries locks them.
        feeds.save_quiet(tx, poll, failures=failures, not_before=not_before or poll.at)
        if mine:
            mine.note_answer(tx)
