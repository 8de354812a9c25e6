"""How long a search of a large index takes in this process, for each kind of query.

The words of the queries are drawn by rank from the words of the articles, phrases are taken from articles.
Of each kind some are asked before the clock counts, none twice. Does not judge what is found.
"""

import random
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, timedelta
from functools import partial
from itertools import cycle, islice
from statistics import mean

from benchmarks import prose
from pipeline.search import FACETS, UNFILTERED, Filters, Index, Sort
from pipeline.tokens import STOP_WORDS, tokenize

FREQUENT, MIDDLE, RARE = (60, 300), (300, 3_000), (3_000, 30_000)  # ranks
APART = "phrase of frequent words"  # its lists of places are as long as the library; reported apart
WARM = 20  # queries that are asked before those that count
_SOURCE = 200  # articles from which phrases are taken

Draw = random.Random


@dataclass(frozen=True, slots=True)
class Query:
    """A query with all that is asked beside its words."""

    text: str
    filters: Filters = UNFILTERED
    facets: tuple[str, ...] = ()
    sort: Sort = Sort.RELEVANCE


@dataclass(frozen=True, slots=True)
class Latency:
    """Milliseconds of the queries of one kind, and how many results they had on average; `first` is what the
    very first of the kind took, before which none was asked.
    """

    kind: str
    first: float
    p50: float
    p95: float
    results: float
    queries: tuple[Query, ...]


def measure(index: Index, stored: int, queries: int) -> list[Latency]:
    """The latencies of all kinds, of so many queries each."""
    draw = Draw(stored)
    source = [written.text for written in prose.articles(0, min(stored, _SOURCE))]
    return [
        _asked(index, kind, _different(partial(make, draw, source), WARM + queries))
        for kind, make in KINDS.items()
    ]


def _different(make: Callable[[], Query], count: int) -> list[Query]:
    """So many queries, no two the same as long as there are others: a month has no more days."""
    found: dict[Query, None] = {}
    for _ in range(10 * count):
        found |= {make(): None}
        if len(found) == count:
            break
    return list(islice(cycle(found), count))


def _asked(index: Index, kind: str, queries: list[Query]) -> Latency:
    asked = [_ask(index, query) for query in queries]
    took = sorted(milliseconds for milliseconds, _ in asked[WARM:])
    return Latency(
        kind,
        first=asked[0][0],
        p50=took[len(took) // 2],
        p95=took[max(0, -(-95 * len(took) // 100) - 1)],
        results=mean(results for _, results in asked[WARM:]),
        queries=tuple(queries[WARM:]),
    )


def _ask(index: Index, query: Query) -> tuple[float, int]:
    """Milliseconds and the number of results."""
    started = time.perf_counter()
    found = index.search(query.text, filters=query.filters, facets=query.facets, sort=query.sort)
    return 1e3 * (time.perf_counter() - started), found.total


def _word(draw: Draw, ranks: tuple[int, int]) -> str:
    return prose.words()[draw.randrange(*ranks)]


def _words(draw: Draw, *ranks: tuple[int, int]) -> str:
    return " ".join(_word(draw, each) for each in ranks)


def _phrase(draw: Draw, source: list[str], size: int, ranks: tuple[int, int]) -> str:
    """Neighbours in some article, all of these ranks, the first and the last of them no stop words."""
    wanted = {prose.words()[rank] for rank in range(*ranks)}
    while True:
        words = [token.surface.lower() for token in tokenize(draw.choice(source))]
        at = draw.randrange(len(words) - size)
        found = words[at : at + size]
        if wanted.issuperset(found) and not STOP_WORDS & {found[0], found[-1]}:
            return " ".join(found)


def _day(draw: Draw) -> date:
    return (prose.NEWEST - timedelta(days=draw.randrange(2, prose.DAYS))).date()


def _narrowed(draw: Draw, _: list[str]) -> Query:
    publisher = f"titre-{draw.randrange(prose.PUBLISHERS)}"
    return Query(_word(draw, FREQUENT), Filters(publishers=(publisher,), since=_day(draw)))


KINDS: dict[str, Callable[[Draw, list[str]], Query]] = {
    "a frequent word": lambda draw, _: Query(_word(draw, FREQUENT)),
    "a rare word": lambda draw, _: Query(_word(draw, RARE)),
    "two words": lambda draw, _: Query(_words(draw, FREQUENT, MIDDLE)),
    "two frequent words": lambda draw, _: Query(_words(draw, FREQUENT, FREQUENT)),
    "four words": lambda draw, _: Query(_words(draw, FREQUENT, FREQUENT, MIDDLE, MIDDLE)),
    "any of four words": lambda draw, _: Query(" OR ".join(_words(draw, *[MIDDLE] * 4).split())),
    "one word without another": lambda draw, _: Query(f"{_word(draw, MIDDLE)} -{_word(draw, FREQUENT)}"),
    "a phrase": lambda draw, source: Query(f'"{_phrase(draw, source, 2, (100, 3_000))}"'),
    "words near each other": lambda draw, source: Query(f'"{_phrase(draw, source, 2, (100, 3_000))}"~5'),
    APART: lambda draw, source: Query(f'"{_phrase(draw, source, 3, (0, 300))}"'),
    "the beginning of a word": lambda draw, _: Query(f"{_word(draw, MIDDLE)[:4]}*"),
    "a word in the title": lambda draw, _: Query(f"title:{_word(draw, FREQUENT)}"),
    "a word, one publisher, since a day": _narrowed,
    "a word, one topic": lambda draw, _: Query(
        _word(draw, FREQUENT), Filters(topics=(draw.choice(list(prose.TOPICS)),))
    ),
    "a word, newest first": lambda draw, _: Query(_word(draw, FREQUENT), sort=Sort.NEWEST),
    "a word with all facets": lambda draw, _: Query(_word(draw, FREQUENT), facets=FACETS),
    "everything since a day, newest first": lambda draw, _: Query(
        "", Filters(since=_day(draw)), sort=Sort.NEWEST
    ),
}
