"""The whole line on served pages, in a process of its own: what it costs, and what it leaves on the disk.

`python -m benchmarks.line PORT WORKERS CONFIG LIBRARY…` answers with one object. The page server is another
process, and Airflow is no part of it. The reading processes and PostgreSQL are up and warm before the clock
starts: a day's work pays for them once.
"""

import json
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, nullcontext
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

from benchmarks import children, workshop
from benchmarks.meter import Cost, Others, disk, measured, server
from benchmarks.pages import WARM_HOST
from benchmarks.workshop import Library
from pipeline import steps
from pipeline.runtime import Runtime
from pipeline.stages import index as indexing
from pipeline.store.runs import fresh


@dataclass(frozen=True, slots=True)
class Passage:
    """One passage of the line: seconds, how many pages went through it, and bytes on the disk for them."""

    cpu: float
    wall: float
    pages: int
    articles: int
    store: int
    archive: int
    index: int
    steps: dict[str, float]  # seconds of the clock
    indexing: float = 0.0  # of `cpu`, what the last step took


def run(scratch: Path, library: Library, config: Path, port: int, workers: int) -> Passage:
    """All that the catalogue in `config` lists, through the line into the empty library."""
    arguments = [port, workers, config, *library.arguments()]
    with children.started(scratch, "-m", "benchmarks.line", *arguments) as child:
        return Passage(**child.ask())


def _pass(runtime: Runtime, library: Library) -> Passage:
    _warm(runtime)
    store, archive, index = _stored(runtime), disk(library.home / "archive"), disk(library.home / "index")
    articles = runtime.index.count()
    started = fresh("command", polls=True, reason="a benchmark", now=datetime.now(UTC))
    urls = [feed.url for feed in runtime.catalogue.feeds() if WARM_HOST not in feed.url]
    others, of_steps = partial(server, library.postmaster), dict[str, Cost]()
    with measured(others) as cost:
        report = steps.ingest(runtime, started, urls=urls, watch=partial(_watch, of_steps, others))
    if report.waiting or not report.adds_up:
        raise SystemExit(f"not all pages went through the line: {report.why_waiting}")
    return Passage(
        cpu=cost.cpu,
        wall=cost.wall,
        pages=report.discovered,
        articles=runtime.index.count() - articles,
        store=_stored(runtime) - store,
        archive=disk(library.home / "archive") - archive,
        index=disk(library.home / "index") - index,
        steps=report.seconds,
        indexing=of_steps["indexing"].cpu,
    )


@contextmanager
def _watch(costs: dict[str, Cost], others: Others, step: str, _: object) -> Iterator[None]:
    with measured(others) as costs[step]:
        yield


def _warm(runtime: Runtime) -> None:
    """Open everything, and load what is loaded once: let other pages through the line, if there are any."""
    count = runtime.workers.count
    with ThreadPoolExecutor(count) as threads:
        list(threads.map(lambda _: runtime.workers.run("warm"), range(count)))
    runtime.tagger, runtime.fetcher, runtime.archive, runtime.keeper  # noqa: B018  opened
    others = fresh("command", polls=True, reason="to warm up", now=datetime.now(UTC))
    urls = [feed.url for feed in runtime.catalogue.feeds() if WARM_HOST in feed.url]
    steps.ingest(runtime, others, urls=urls, watch=lambda *_: nullcontext())


def _stored(runtime: Runtime) -> int:
    """Bytes of the database."""
    with runtime.store.transaction("bench") as tx:
        row = tx.execute("select pg_database_size(current_database()) as size").fetchone()
    assert row
    return int(row["size"])


def main() -> None:
    """One passage."""
    port, workers, config, *library = sys.argv[1:]
    given = workshop.given(library)
    with given.runtime(Path(config), int(port), int(workers)) as runtime:
        runtime.migrate()
        indexing.set_up(runtime)
        passage = _pass(runtime, given)
    print(json.dumps(asdict(passage)), flush=True)  # noqa: T201  the answer


if __name__ == "__main__":
    main()
