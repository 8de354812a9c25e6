"""How the cost of an article grows with what is stored: the same newcomers, few and many articles stored.

`python -m benchmarks.growth CONFIG LIBRARY…` lets newcomers into a library, as many as it is asked for.
They come as finished texts and pass DEDUPLICATE, TAG and the index. Each library is worked by a process of
its own, since a process remembers words that it has met; the two take turns.
"""

import json
import sys
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path

import psycopg

from benchmarks import children, prose, workshop
from benchmarks.meter import measured, server
from benchmarks.prose import Written
from benchmarks.workshop import Library
from pipeline import steps
from pipeline.model import Article, Completeness
from pipeline.runtime import Runtime
from pipeline.stages import documents
from pipeline.stages.deduplicate import WITHIN
from pipeline.stages.documents import Finished
from pipeline.store import articles
from pipeline.store.runs import fresh

FIRST = 10_000_000  # number of the first newcomer: none is in stock
TURNS = 5
STEPS = ("deduplicate", "tag", "index")  # after `take`


@dataclass(frozen=True, slots=True)
class Turn:
    """CPU seconds an article, by step; and with how many articles each newcomer was compared, on average."""

    cost: dict[str, float]
    candidates: float

    @property
    def whole(self) -> float:
        return sum(self.cost.values())


@dataclass(frozen=True, slots=True)
class Growth:
    """The turns of a small and of a large library, with the same newcomers each."""

    few: list[Turn]
    many: list[Turn]


def measure(scratch: Path, config: Path, few: Library, many: Library, count: int) -> Growth:
    """What about `count` newcomers cost in each library."""
    size = max(1, count // TURNS)
    stride = -(-size // prose.BATCH) * prose.BATCH
    with ExitStack() as stack:
        workers = []
        for library in (few, many):
            arguments = [config, *library.arguments()]
            workers.append(
                stack.enter_context(children.started(scratch, "-m", "benchmarks.growth", *arguments))
            )
        asked = [[FIRST + turn * stride, size] for turn in range(TURNS + 1)]
        small, large = zip(*([Turn(**worker.ask(each)) for worker in workers] for each in asked), strict=True)
    return Growth([*small[1:]], [*large[1:]])  # the first turn loads what is loaded once


def _take_turn(runtime: Runtime, library: Library, newcomers: list[Written]) -> Turn:
    run = fresh("import", polls=False, reason="a benchmark", now=datetime.now(UTC))
    steps.start(runtime, run)
    finished = [_finished(written) for written in newcomers]
    work: dict[str, Callable[[], object]] = {"take": lambda: documents.take(runtime, run.id, finished)}
    work |= {step: partial(getattr(steps, step), runtime, run.id) for step in STEPS}
    cost = {}
    _checkpoint(library)
    for step, done in work.items():
        with measured(partial(server, library.postmaster)) as spent:
            done()
        cost[step] = spent.cpu / len(newcomers)
    return Turn(cost, _candidates(runtime, len(newcomers)))


def _checkpoint(library: Library) -> None:
    """Have PostgreSQL write now what it would else write in the next turn, which is the other library's."""
    with psycopg.connect(library.database_url, autocommit=True) as connection:
        connection.execute("checkpoint")


def _finished(written: Written) -> Finished:
    published = prose.NEWEST - timedelta(seconds=written.number % 86_400)
    article = Article(
        url=written.url,
        title=written.title,
        lead=written.lead,
        text=written.text,
        language="fr",
        language_confidence=1.0,
        completeness=Completeness.FULL,
        published=published,
        date_source="import",
        engine="import",
    )
    return Finished(written.url, written.url, written.publisher, article)


def _candidates(runtime: Runtime, newcomers: int) -> float:
    """How many articles the newest articles share a band with, on average."""
    with runtime.store.transaction("bench") as tx:
        ids = articles.all_ids(tx, after=articles.count(tx) - newcomers, limit=newcomers)
        return len(articles.candidates(tx, ids, within=WITHIN)) / len(ids)


def main() -> None:
    """Take turns until there are no more."""
    config, *library = sys.argv[1:]
    given = workshop.given(library)
    with given.runtime(Path(config)) as runtime:
        for line in sys.stdin:
            first, count = json.loads(line)
            newcomers = list(prose.articles(first, count))
            print(json.dumps(asdict(_take_turn(runtime, given, newcomers))), flush=True)  # noqa: T201


if __name__ == "__main__":
    main()
