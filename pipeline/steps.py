"""The steps of a run, in their order, as Airflow's tasks and the command line call them.

    discover ──▶ FETCH ──▶ EXTRACT ──▶ DEDUPLICATE ──▶ TAG ──▶ index ──▶ report

Each may be repeated, run twice at once or die at any moment. A stage sends each entry on by itself, along
these arrows or at once to DONE; a step works through whatever is due in its stage. Works on no entry itself:
`stages` does.
"""

import contextlib
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from datetime import datetime

from pipeline import schedule
from pipeline.errors import VeilleError
from pipeline.model import Stage
from pipeline.runtime import Runtime
from pipeline.stages import deduplicate as deduplicating
from pipeline.stages import discover as discovering
from pipeline.stages import extract as extracting
from pipeline.stages import fetch as fetching
from pipeline.stages import index as indexing
from pipeline.stages import runner
from pipeline.stages import tag as tagging
from pipeline.store import entries, feeds, outbox, runs
from pipeline.store.runs import Report, Run

Watch = Callable[[str, Callable[[], int]], AbstractContextManager[object]]


def start(runtime: Runtime, run: Run) -> None:
    """Make the run known, and the home, which keeps its log. Repeating it changes nothing."""
    runtime.settings.home.mkdir(parents=True, exist_ok=True)
    with runtime.store.transaction("start") as tx:
        runs.start(tx, run, now=runtime.now())


def begin(runtime: Runtime, run: str, kind: str, interval: tuple[datetime | None, datetime | None]) -> None:
    """Start a run of the scheduler and discover.

    Whether it asks live feeds follows from its kind and from the end of its data interval.
    """
    asks, reason = schedule.polls(kind, interval[1], now=runtime.now())
    start(runtime, Run(run, kind, asks, reason, interval_start=interval[0], interval_end=interval[1]))
    discover(runtime, run)


def discover(runtime: Runtime, run: str, *, urls: Sequence[str] | None = None) -> None:
    """Poll the catalogue's feeds, or only `urls`."""
    with _timed(runtime, run, "discover"):
        with runtime.store.transaction("sync") as tx:
            known = runs.get(tx, run)
            catalogue = runtime.catalogue.feeds()
            feeds.sync(tx, catalogue)
        if known.polls:
            wanted = [feed.url for feed in catalogue] if urls is None else urls
            discovering.poll_all(runtime, run, wanted)


def fetch(runtime: Runtime, run: str, *, shard: int = 0, shards: int = 1) -> None:
    """Fetch all due pages of this shard of hosts."""
    with _timed(runtime, run, "fetch"):
        fetching.drain(runtime, run, shard=shard, shards=shards)


def extract(runtime: Runtime, run: str) -> None:
    """Read all pages that wait for it."""
    with _timed(runtime, run, "extract"):
        runner.drain(runtime, run, Stage.EXTRACT, extracting.work, extracting.BATCH)


def deduplicate(runtime: Runtime, run: str) -> None:
    """Compare all articles that wait for it."""
    with _timed(runtime, run, "deduplicate"):
        runner.drain(runtime, run, Stage.DEDUPLICATE, deduplicating.work, deduplicating.BATCH)


def tag(runtime: Runtime, run: str) -> None:
    """Tag all articles that wait for it."""
    with _timed(runtime, run, "tag"):
        runner.drain(runtime, run, Stage.TAG, tagging.work, tagging.BATCH)


def index(runtime: Runtime, run: str) -> int:
    """Write all that the index has not yet heard of; return how many documents."""
    with _timed(runtime, run, "index"):
        indexing.ensure(runtime)
        return indexing.drain(runtime, run)


def report(runtime: Runtime, run: str) -> Report:
    """End the run and say what it did."""
    with runtime.store.transaction("finish") as tx:
        runs.finish(tx, run, now=runtime.now())
    with runtime.store.transaction("report") as tx:
        return runs.report(tx, run)


def totals(report: Report) -> dict[str, int]:
    """The report's figures alone, small enough to hand from task to task."""
    return {"discovered": report.discovered, "waiting": report.waiting, **report.outcomes}


def ingest(runtime: Runtime, run: Run, *, urls: Sequence[str] | None = None, watch: Watch) -> Report:
    """All steps, in one process. `watch` surrounds each: it gets a name and a question for what is left."""
    start(runtime, run)
    with watch("polling feeds", lambda: _feeds_left(runtime, run.id, urls)):
        discover(runtime, run.id, urls=urls)
    with watch("fetching pages", lambda: _left(runtime, Stage.FETCH, Stage.DONE)):
        fetch(runtime, run.id)
    with watch("reading pages", lambda: _left(runtime, Stage.EXTRACT)):
        extract(runtime, run.id)
    finish(runtime, run.id, watch=watch)
    return report(runtime, run.id)


def finish(runtime: Runtime, run: str, *, watch: Watch) -> None:
    """The steps that follow once texts are known."""
    with watch("comparing articles", lambda: _left(runtime, Stage.DEDUPLICATE)):
        deduplicate(runtime, run)
    with watch("tagging articles", lambda: _left(runtime, Stage.TAG)):
        tag(runtime, run)
    with watch("indexing", lambda: _dirty(runtime)):
        index(runtime, run)


def _left(runtime: Runtime, *stages: Stage) -> int:
    with runtime.store.transaction("left") as tx:
        pending = entries.pending(tx, stages, now=runtime.now())
    return pending.free + pending.held


def _feeds_left(runtime: Runtime, run: str, urls: Sequence[str] | None) -> int:
    wanted = [feed.url for feed in runtime.catalogue.feeds()] if urls is None else urls
    with runtime.store.transaction("left") as tx:
        return len(feeds.due(tx, wanted, run=run, now=runtime.now()))


def _dirty(runtime: Runtime) -> int:
    with runtime.store.transaction("left") as tx:
        return outbox.size(tx).waiting


@contextlib.contextmanager
def _timed(runtime: Runtime, run: str, step: str) -> Iterator[None]:
    """Note how long the step took, also where it fails."""
    started = time.monotonic()
    try:
        yield
    except BaseException:
        with contextlib.suppress(VeilleError):  # what failed first is what counts
            _note_seconds(runtime, run, step, started)
        raise
    _note_seconds(runtime, run, step, started)


def _note_seconds(runtime: Runtime, run: str, step: str, started: float) -> None:
    with runtime.store.transaction("timing") as tx:
        runs.add_seconds(tx, run, step, time.monotonic() - started)
