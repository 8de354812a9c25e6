"""The stage before the stages: feeds are polled, and what they list becomes entries.

Does not fetch pages. A feed is parsed only where it changed, in a worker; it is archived, and its entries are
written with the note of the polling in one transaction, so a crash leaves either both or neither.
"""

import logging
import time
from collections import defaultdict
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime

from pipeline import feeds as parser
from pipeline import schedule
from pipeline.errors import BlockedAddress, Permanent, Transient, Unparsable
from pipeline.model import Feed
from pipeline.responses import Fetched
from pipeline.runtime import Runtime
from pipeline.stages.turns import LeaseLost, Turns, turns
from pipeline.store import feeds
from pipeline.store.feeds import FeedRow, Poll

FEED_CAP = 15 << 20  # bytes, decoded
THREADS = 8
NEW, HISTORY = 1, 3  # priorities of what is found
ACCEPT = "application/rss+xml, application/atom+xml, application/feed+json, application/xml;q=0.9, */*;q=0.5"

log = logging.getLogger(__name__)


def poll_all(runtime: Runtime, run: str, urls: Sequence[str]) -> None:
    """Poll the feeds at these URLs that are due, each once in a run, hosts side by side."""
    runtime.store, runtime.keeper, runtime.fetcher, runtime.archive, runtime.workers  # noqa: B018  opened before the threads start
    with runtime.store.transaction("due") as tx:
        due = feeds.due(tx, urls, run=run, now=runtime.now())
    by_host: dict[str, list[FeedRow]] = defaultdict(list)
    for feed in due:
        by_host[feed.host].append(feed)
    with ThreadPoolExecutor(THREADS, thread_name_prefix="poll") as pool:
        for done in [pool.submit(_poll_host, runtime, run, rows) for rows in by_host.values()]:
            done.result()


def import_feed(
    runtime: Runtime, run: str, url: str, body: bytes, feed: Feed, *, at: datetime, publisher: str = ""
) -> int:
    """Take a saved capture of a feed as if it had been polled at `at`; return how many entries were new."""
    from pipeline.catalogue import FeedSource

    with runtime.store.transaction("import") as tx:
        feeds.sync(tx, [FeedSource(url=url, publisher=publisher)])
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


def _poll_host(runtime: Runtime, run: str, rows: list[FeedRow]) -> None:
    """Poll the host's feeds one after another; starts again where another worker took over."""
    started = time.monotonic()
    for row in rows:
        try:
            with turns(runtime) as mine:
                _poll(runtime, run, mine, row)
        except LeaseLost as error:
            log.info("feed left to another worker", extra={"run": run, "feed": row.url, "why": str(error)})
    log.debug("host polled", extra={"run": run, "host": rows[0].host, "seconds": time.monotonic() - started})


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
        mine.done()
        _check(fetched)
        if fetched.response.status == 304:  # noqa: PLR2004  Not Modified
            _quiet(runtime, run, row, "unchanged", status=304)
            return
        _changed(runtime, run, row, fetched)
    except LeaseLost:
        raise
    except (Transient, Permanent) as error:
        mine.done()
        if isinstance(error, Transient) and error.retry_after:
            mine.pause(error.retry_after)
        _failed(runtime, run, row, error)


def _check(fetched: Fetched) -> None:
    """Raise for an answer that is no feed."""
    response = fetched.response
    if response.status == 304 or (response.status == 200 and not response.truncated):  # noqa: PLR2004
        return
    if response.truncated:
        raise Transient("the feed was cut off on its way")
    said = f"the server answered {response.status} {response.reason}".rstrip()
    raise Transient(said, retry_after=response.retry_after)


def _changed(runtime: Runtime, run: str, row: FeedRow, fetched: Fetched) -> None:
    response = fetched.response
    digest = parser.digest(response.body)
    if digest == row.digest:
        _quiet(runtime, run, row, "unchanged", status=response.status)
        return
    feed = runtime.workers.run(
        "parse_feed", {"body": response.body, "url": fetched.url, "content_type": response.content_type}
    )
    assert isinstance(feed, Feed)
    pointer = runtime.archive.append([*fetched.hops, response])[-1]
    at = runtime.now()
    with runtime.store.transaction("discover") as tx:
        current = feeds.lock(tx, row.id)
        if current.digest == digest:  # another worker was faster
            return
        new = feeds.save_changed(
            tx,
            Poll(row.id, run, at, "changed", status=response.status),
            feed,
            catalogue=runtime.catalogue,
            source=row,
            validators=(response.etag, response.last_modified),
            digest=digest,
            pointer=pointer,
            priority=NEW,
        )
    log.info(
        "feed read",
        extra={"run": run, "host": row.host, "feed": row.url, "entries": len(feed.entries), "new": new},
    )


def _quiet(runtime: Runtime, run: str, row: FeedRow, result: str, *, status: int) -> None:
    at = runtime.now()
    with runtime.store.transaction("poll") as tx:
        feeds.lock(tx, row.id)
        feeds.save_quiet(tx, Poll(row.id, run, at, result, status=status), failures=0, not_before=at)


def _failed(runtime: Runtime, run: str, row: FeedRow, error: Transient | Permanent) -> None:
    """The feed is asked ever less often until it answers again, but never dropped."""
    at = runtime.now()
    no_feed = isinstance(error, Unparsable | BlockedAddress)
    retry_after = error.retry_after if isinstance(error, Transient) else None
    with runtime.store.transaction("poll") as tx:
        current = feeds.lock(tx, row.id)
        not_before = schedule.next_poll(current.failures + 1, now=at, retry_after=retry_after)
        feeds.save_quiet(
            tx,
            Poll(row.id, run, at, "no_feed" if no_feed else "failed", error=str(error)),
            failures=current.failures + 1,
            not_before=not_before,
        )
    log.warning("feed not read", extra={"run": run, "host": row.host, "feed": row.url, "error": str(error)})
