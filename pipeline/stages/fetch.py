"""The stage FETCH: pages, host by host.

Does not read what is in a page. The unit of work is the host: a worker leases one, asks for its due pages
one after another, and commits each before it asks for the next.
"""

import logging
from dataclasses import dataclass
from datetime import datetime, timedelta

from pipeline import failpoints, schedule
from pipeline.archive import Pointer
from pipeline.errors import BlockedAddress, Busy, Conflict, Permanent, TimedOut, TooLarge, Unreachable
from pipeline.model import Outcome, PageFate, Stage
from pipeline.reading import PAGE_CAP
from pipeline.runtime import Runtime
from pipeline.stages.defects import setting_aside
from pipeline.stages.rereading import next_reading
from pipeline.stages.shift import Shift
from pipeline.stages.turns import HostPaused, LeaseLost, RobotsDisallowed, RobotsUnreadable, Turns, turns
from pipeline.store import Transaction, entries, hosts
from pipeline.store.entries import End, EntryRow, Move, Note
from pipeline.web.responses import Fetched

SECONDS = 3_000.0  # ten minutes less than a task of the DAG may take
THREADS = 8  # hosts asked side by side by one process
LOOK_AGAIN, LOOK_AT_LEAST = 0.25, 2.0  # seconds between two looks for a host, at first and in the end
AT_ONCE = 10  # entries leased with a host: 10 s of work at the usual gap, well inside a lease
_FORBIDDEN = frozenset({401, 402, 403, 405, 406, 407, 451})
_GONE = frozenset({404, 410})
_LATER = frozenset({408, 425, 429, 500, 502, 503, 504, 520, 521, 522, 523, 524})
_PAGES = ("text/html", "application/xhtml+xml", "text/plain", "")

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Ending:
    """How one fetch ended for good: the page's fate, and where the entry goes."""

    fate: PageFate
    reason: str = ""
    outcome: Outcome | None = None  # set: the entry is done; None: it goes on to EXTRACT


def drain(runtime: Runtime, run: str, *, shard: int = 0, shards: int = 1, seconds: float = SECONDS) -> None:
    """Fetch all pages due in this shard of hosts, until none is left or the time is over.

    Pages held by another worker are waited for, so that a crashed one's are taken over. Those that are left
    when the time is over stay due.
    """
    runtime.store, runtime.keeper, runtime.fetcher, runtime.archive  # noqa: B018  opened before the threads start
    shift = Shift(seconds, cut=runtime.fetcher.interrupt)
    shift.work(THREADS, [lambda: _work(runtime, run, shard, shards, shift)] * THREADS)


def _work(runtime: Runtime, run: str, shard: int, shards: int, shift: Shift) -> None:
    """Work one host after another for as long as pages are due."""
    while not shift.over():
        with turns(runtime, shift) as mine:
            host = _next_host(runtime, mine, shard, shards, shift)
            if host is None:
                return
            mine.took(host)
            _work_host(runtime, run, mine, host, shift)


def _next_host(runtime: Runtime, mine: Turns, shard: int, shards: int, shift: Shift) -> str | None:
    """Lease the next host with pages due; None where no page is due or the time is over.

    Pages of hosts that others hold are waited for, with ever rarer looks: many threads may wait for one slow
    host, for an hour.
    """
    pause = LOOK_AGAIN
    while not shift.over():
        with runtime.store.transaction("claim_host") as tx:
            now = runtime.now()
            host = hosts.claim_with_entries(
                tx, token=mine.token, shard=shard, shards=shards, now=now, lease=runtime.store.lease_seconds
            )
            if host or not entries.any_due(
                tx, [Stage.FETCH, Stage.DONE], now=now, shard=shard, shards=shards
            ):
                return host
        shift.rest(pause)
        pause = min(2 * pause, LOOK_AT_LEAST)
    return None


def _work_host(runtime: Runtime, run: str, mine: Turns, host: str, shift: Shift) -> None:
    while not shift.over():
        try:
            mine.hold(host)  # the last page's redirects may have led elsewhere
            with runtime.store.transaction("claim_pages") as tx:
                rows = entries.claim_of_host(
                    tx,
                    host,
                    token=mine.token,
                    lease=runtime.store.lease_seconds,
                    now=runtime.now(),
                    limit=AT_ONCE,
                )
            for row in rows:
                if shift.over():
                    return
                mine.hold(host)
                with setting_aside(runtime, run, mine.token, row):
                    _fetch(runtime, run, mine, row)
        except (Busy, LeaseLost, Conflict) as error:
            log.info("host left to another worker", extra={"host": host, "why": str(error)})
            return
        if not rows:
            return


def _fetch(runtime: Runtime, run: str, mine: Turns, entry: EntryRow) -> None:
    """Ask for one page and write what came of it."""
    etag, last_modified = _validators(runtime, entry)
    try:
        fetched = runtime.fetcher.follow(
            entry.url, cap=PAGE_CAP, admit=mine.admit, etag=etag, last_modified=last_modified
        )
    except (RobotsUnreadable, HostPaused, Busy) as error:
        _not_now(runtime, run, mine, entry, error)
        return
    except (TimedOut, Unreachable) as error:
        mine.done()
        fate = PageFate.TIMED_OUT if isinstance(error, TimedOut) else PageFate.NOT_FETCHED
        _try_again(runtime, run, mine, entry, Ending(fate, str(error)))
        return
    except Permanent as error:
        mine.done()
        _write(runtime, run, mine, entry, _ending(error), None)
        return
    failpoints.reach("after_fetch")
    ending = judge(fetched, asked_before=bool(etag or last_modified) and not fetched.hops)
    if ending:
        _write(runtime, run, mine, entry, ending, fetched)
        mine.noted()
        return
    mine.done()
    retry_after = fetched.response.retry_after
    cut = fetched.response.truncated
    ending = Ending(PageFate.NOT_FETCHED, "the page was cut off on its way" if cut else fetched.response.said)
    if retry_after:
        mine.pause(retry_after)
        _postpone(runtime, mine, retry_after, ending.reason)
    _try_again(runtime, run, mine, entry, ending, fetched, retry_after=retry_after)


def _validators(runtime: Runtime, entry: EntryRow) -> tuple[str, str]:
    if not entry.revision:  # nothing was read: most pages are new
        return "", ""
    with runtime.store.transaction("validators") as tx:
        return entries.validators(tx, entry.id)


def judge(fetched: Fetched, *, asked_before: bool) -> Ending | None:  # noqa: PLR0911  a table, read from top to bottom
    """What the answer means for the entry; None: ask again later.

    `asked_before`: the request named what we have, so that "not modified" says something.
    """
    response = fetched.response
    status = response.status
    said = response.said
    if status == 304 and asked_before:  # noqa: PLR2004  Not Modified
        return Ending(PageFate.FULL, outcome=Outcome.UNCHANGED)
    if 200 <= status < 300:  # noqa: PLR2004
        if response.truncated:
            return None
        kind = response.content_type.partition(";")[0].strip().lower()
        if kind not in _PAGES:
            return Ending(PageFate.UNPARSABLE, f"not a page but {kind}", Outcome.NOT_ARTICLE)
        return Ending(PageFate.FULL)
    if status in _GONE:
        return Ending(PageFate.GONE, said, Outcome.FAILED)
    if status in _LATER:
        return None
    return Ending(PageFate.FORBIDDEN if status in _FORBIDDEN else PageFate.UNPARSABLE, said)


def _ending(error: Permanent) -> Ending:
    """What an error that will come again means for the entry."""
    if isinstance(error, BlockedAddress):
        return Ending(PageFate.ADDRESS_REFUSED, str(error), Outcome.FAILED)
    if isinstance(error, RobotsDisallowed):
        return Ending(PageFate.ROBOTS, str(error))
    return Ending(PageFate.TOO_LARGE if isinstance(error, TooLarge) else PageFate.UNPARSABLE, str(error))


def _not_now(
    runtime: Runtime, run: str, mine: Turns, entry: EntryRow, error: RobotsUnreadable | HostPaused | Busy
) -> None:
    """The host may not be asked now. Nothing was tried, so nothing counts against the entry."""
    seconds = error.retry_after or 0.0  # Busy: behind the host's other pages, which may lead elsewhere
    if seconds:
        _postpone(runtime, mine, seconds, str(error))
    due_at = runtime.now() + timedelta(seconds=seconds)
    _move_later(runtime, run, mine, entry, str(error), due_at, entry.attempts)


def _postpone(runtime: Runtime, mine: Turns, seconds: float, reason: str) -> None:
    """The host held is not asked for so long: its other pages need not find that out one by one."""
    if mine.host:
        with runtime.store.transaction("postpone") as tx:
            until = runtime.now() + timedelta(seconds=seconds)
            entries.postpone(tx, mine.host, until=until, reason=reason)


def _try_again(  # noqa: PLR0917  what was asked, and what came of it
    runtime: Runtime,
    run: str,
    mine: Turns,
    entry: EntryRow,
    ending: Ending,
    fetched: Fetched | None = None,
    retry_after: float | None = None,
) -> None:
    """Ask again when it is time; after the last attempt go on with what is known without the page."""
    attempts = entry.attempts + 1
    due_at = schedule.next_attempt(attempts, now=runtime.now(), retry_after=retry_after)
    if due_at is None:
        _write(runtime, run, mine, entry, Ending(ending.fate, f"{ending.reason} ({attempts} times)"), fetched)
    else:
        _move_later(runtime, run, mine, entry, ending.reason, due_at, attempts)


def _move_later(  # noqa: PLR0917  what waits, why and for how long
    runtime: Runtime,
    run: str,
    mine: Turns,
    entry: EntryRow,
    reason: str,
    due_at: datetime,
    attempts: int,
) -> None:
    with runtime.store.transaction("fetch_later") as tx:
        if entries.held(tx, [entry.id], token=mine.token):
            move = Move(entry.id, Stage(entry.stage), due_at=due_at, reason=reason, attempts=attempts)
            entries.move(tx, [move])
    log.info("fetch later", extra={"run": run, "host": entry.host, "entry": entry.id, "why": reason})


def _write(  # noqa: PLR0917  what was asked, and what came of it
    runtime: Runtime, run: str, mine: Turns, entry: EntryRow, ending: Ending, fetched: Fetched | None
) -> None:
    """Keep the page, note the reading, and send the entry on, in one transaction."""
    now = runtime.now()
    response = fetched.response if fetched else None
    etag, last_modified = fetched.validators if fetched else ("", "")
    pointer = _keep(runtime, fetched) if fetched else None
    with runtime.store.transaction("fetch") as tx:
        mine.note_answer(tx)
        page = entries.add_page(
            tx,
            entry,
            token=mine.token,
            run=run,
            at=now,
            url=fetched.url if fetched else entry.url,
            status=response.status if response else None,
            fate=ending.fate,
            reason=ending.reason,
            content_type=response.content_type if response else "",
            etag=etag,
            last_modified=last_modified,
            pointer=pointer,
            to_read=ending.outcome is None,
        )
        if page is None:
            return
        if entry.revision and ending.outcome:
            _keep_text(runtime, tx, entry, page, ending)
        elif ending.outcome:
            entries.note_pages(tx, [Note(page, outcome=ending.outcome)])
            end = End(
                entry.id,
                due_at=None,
                outcome=ending.outcome,
                reason=ending.reason,
                fate=ending.fate,
                page_id=page,
            )
            entries.end_reading(tx, [end])
    log.info(
        "fetched",
        extra={"run": run, "host": entry.host, "entry": entry.id, "fate": str(ending.fate)}
        | ({"status": response.status, "bytes": len(response.raw_body)} if response else {}),
    )


def _keep(runtime: Runtime, fetched: Fetched) -> Pointer | None:
    """Archive whatever came, with the redirects that led there. "Not modified" brings nothing."""
    if fetched.response.status == 304:  # noqa: PLR2004
        return None
    pointer = runtime.archive.append([*fetched.hops, fetched.response])[-1]
    failpoints.reach("after_archive")
    return pointer


def _keep_text(runtime: Runtime, tx: Transaction, entry: EntryRow, page: int, ending: Ending) -> None:
    """There is no page to be read, and a text is known: it stays."""
    entries.note_pages(tx, [Note(page, outcome=Outcome.UNCHANGED)])
    unchanged = entry.unchanged + 1
    end = ending.fate in (PageFate.GONE, PageFate.ADDRESS_REFUSED)
    latest, claims = entries.latest_revision(tx, entry.id), entries.claims(tx, [entry.id])[entry.id]
    due_at = None if end else next_reading(runtime, entry, claims, latest, unchanged)
    entries.end_reading(tx, [End(entry.id, due_at=due_at, unchanged=unchanged, page_id=page)])
