"""How the cost of an article grows with what is stored: the same kind of newcomers, few and many articles
stored.

Newcomers pass DEDUPLICATE, TAG and the index; how they come in is not measured. Both libraries are worked in
turns.
"""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from itertools import islice

from benchmarks import prose
from benchmarks.meter import measured, server
from benchmarks.prose import Written
from benchmarks.workshop import Library
from pipeline import fingerprints, steps
from pipeline.model import Article, Completeness
from pipeline.runtime import Runtime
from pipeline.stages import documents
from pipeline.stages.deduplicate import WITHIN
from pipeline.stages.documents import Finished
from pipeline.store import articles
from pipeline.store.runs import fresh

FIRST = 10_000_000  # number of the first newcomer: none is in stock
TURNS = 5
STEPS = ("deduplicate", "tag", "index")


@dataclass(frozen=True, slots=True)
class Growth:
    """CPU seconds an article, by step; and with how many articles each newcomer was compared, on average."""

    cost: dict[str, float]
    candidates: float

    @property
    def whole(self) -> float:
        return sum(self.cost.values())


def measure(libraries: list[tuple[Runtime, Library]], count: int) -> list[Growth]:
    """What `count` newcomers cost in each of these libraries."""
    turn = max(1, count // TURNS)
    newcomers = prose.articles(FIRST, turn * (TURNS + 1))
    spent = [dict.fromkeys(STEPS, 0.0) for _ in libraries]
    for number in range(TURNS + 1):
        batch = list(islice(newcomers, turn))
        for (runtime, library), costs in zip(libraries, spent, strict=True):
            found = _work(runtime, library, batch)
            if number:  # the first turn loads what is loaded once
                for step in STEPS:
                    costs[step] += found[step] / (turn * TURNS)
    return [
        Growth(costs, _candidates(runtime, turn * (TURNS + 1)))
        for (runtime, _), costs in zip(libraries, spent, strict=True)
    ]


def _work(runtime: Runtime, library: Library, batch: list[Written]) -> dict[str, float]:
    run = fresh("import", polls=False, reason="a benchmark", now=datetime.now(UTC))
    steps.start(runtime, run)
    documents.take(runtime, run.id, [_finished(written) for written in batch])
    found = {}
    for step in STEPS:
        with measured(partial(server, library.postmaster)) as cost:
            getattr(steps, step)(runtime, run.id)
        found[step] = cost.cpu
    return found


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
        found = 0
        for id_ in ids:
            [document], _ = articles.documents(tx, [id_], runtime.catalogue)
            bands = fingerprints.bands(fingerprints.shingles(document.text))
            found += sum(1 for _ in articles.candidates(tx, id_, bands, within=WITHIN))
    return found / len(ids)
