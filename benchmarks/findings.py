"""From what was measured to the lines of the report, with what is wanted of each. Measures nothing."""

from collections.abc import Iterable, Iterator
from statistics import median

from benchmarks.growth import Growth
from benchmarks.line import Passage
from benchmarks.polling import KINDS, Polls
from benchmarks.report import Line
from benchmarks.rounds import OURS, THEIRS, Rounds
from benchmarks.searching import APART, Latency
from benchmarks.writing import Turn

PEERS = {"newspaper4k": (3.0, 4.5), "news-please": (5.5, 8.0)}  # wanted, goal
READING = "Reading (CPU seconds, all processes and PostgreSQL)"
QUALITY = "F1 of the texts, on pages whose text is known"
CLOCK = "Two reading processes ÷ one (pages a second of the clock)"
BESIDE = "Whole line ÷ extraction alone of others"
POLLS = "Unchanged poll ÷ feedparser's parse of the feed"
SERVER = "Elasticsearch (its own CPU seconds apart)"
SPACE = "Memory and disk"
GROWTH = "Growth (CPU seconds from the finished text to the index)"
_HOLDS = (
    ("store", "articles", "an article"),
    ("index", "articles", "an article"),
    ("archive", "pages", "a page"),
)
_ASKED = {"feed": "not modified", "same": "sent again"}


def of_rounds(rounds: Rounds) -> Iterator[Line]:
    """Extraction and the whole line, alone and beside others."""
    own, theirs = rounds.reading(OURS), rounds.reading(THEIRS)
    whole = [passage.cpu / passage.pages for passage in rounds.passages]
    yield Line(
        "line_to_extraction",
        READING,
        "whole line ÷ own extraction alone",
        _ratios(own, whole),
        least=0.65,
        goal=0.8,
        note=f"{_ms(median(whole))} and {_ms(median(own))} a page",
    )
    yield Line(
        "extraction_to_trafilatura",
        READING,
        "own extraction ÷ trafilatura with metadata",
        _ratios(theirs, own),
        least=1.3,
        goal=1.8,
        note=f"{_ms(median(own))} and {_ms(median(theirs))} a page",
    )
    yield _two_to_one("extraction", rounds.pool(1), rounds.pool(2), 1.7)
    yield _two_to_one("line", rounds.line(1), rounds.line(2), 1.4)
    for peer in PEERS:
        yield _beside(rounds, peer, whole)
    held = tuple(max(pool.memory for pool in each.pools.values()) / 1e6 for each in rounds.each)
    yield Line("worker_memory", SPACE, "a reading process, at its peak", held, " MB", most=350)
    yield from _disk(rounds.passages)


def _two_to_one(what: str, one: list[float], two: list[float], least: float) -> Line:
    note = f"{median(two):.1f} and {median(one):.1f} a second"
    return Line(f"{what}_two_to_one", CLOCK, what, _ratios(two, one), least=least, note=note, clock=True)


def _beside(rounds: Rounds, peer: str, whole: list[float]) -> Line:
    least, goal = PEERS[peer]
    key = f"line_to_{peer}"
    if peer in rounds.absent:
        return Line(key, BESIDE, peer, least=least, goal=goal, note=f"not measured: {rounds.absent[peer]}")
    theirs, failed = rounds.reading(peer), max(each.failed[peer] for each in rounds.each)
    note = f"{_ms(median(whole))} and {_ms(median(theirs))} a page"
    note += f"; it raised at {failed}" if failed else ""
    return Line(key, BESIDE, peer, _ratios(theirs, whole), least=least, goal=goal, note=note)


def _disk(passages: list[Passage]) -> Iterator[Line]:
    """Every page is in the archive; store and index have articles, which are fewer."""
    for name, per, one in _HOLDS:
        sizes = tuple(getattr(passage, name) / getattr(passage, per) / 1e3 for passage in passages)
        yield Line(f"disk_{name}", SPACE, f"{name}, {one}", sizes, " kB")


def of_scores(scores: dict[str, float]) -> Line:
    """How well texts were found; no scores where there was nothing to tell it by."""
    key, what = "f1_to_trafilatura", "own less trafilatura's"
    if not scores:
        return Line(key, QUALITY, what, least=0, note="not measured: no pages with known texts here")
    note = f"{scores[OURS]:.4f} and {scores[THEIRS]:.4f}"
    return Line(key, QUALITY, what, (round(scores[OURS] - scores[THEIRS], 4),), least=0, note=note)


def of_polls(polls: list[Polls]) -> Iterator[Line]:
    """Unchanged feeds."""
    parse = [each.feedparser for each in polls]
    for store, most in (("without", 0.05), ("with", 0.4)):
        for kind in KINDS:
            costs = [(each.stored if store == "with" else each.alone)[kind] for each in polls]
            yield Line(
                f"poll_{store}_store_{kind}",
                POLLS,
                f"{_ASKED[kind]}, {store} the store",
                _ratios(costs, parse),
                most=most,
                note=f"{_ms(median(costs))} and {_ms(median(parse))} a feed",
            )


def of_growth(growth: Growth, sizes: tuple[int, int]) -> Iterator[Line]:
    """A newcomer in a small and in a large library."""
    few, many = ([turn.whole for turn in turns] for turns in (growth.few, growth.many))
    yield Line(
        "growth",
        GROWTH,
        f"an article at {sizes[1]:,} stored ÷ at {sizes[0]:,}",
        _ratios(many, few),
        most=1.2,
        note=f"{_ms(median(many))} and {_ms(median(few))}",
    )
    yield Line(
        "candidates",
        GROWTH,
        f"others that it is compared with at {sizes[1]:,}",
        tuple(turn.candidates for turn in growth.many),
        most=1,
    )


def of_searches(latencies: list[Latency], stored: int) -> Iterator[Line]:
    """Each kind of query."""
    for latency in latencies:
        yield Line(
            f"search_{latency.kind.replace(',', '').replace(' ', '_')}",
            f"Search of {stored:,} articles in one process, 95 of 100 within",
            latency.kind,
            (latency.p95,),
            " ms",
            most=None if latency.kind == APART else 50,
            clock=True,
            note=f"half within {latency.p50:.1f} ms, the first {latency.first:.1f} ms; "
            f"{latency.results:,.0f} found; {latency.queries[0].text}",
        )


def of_server(turns: list[Turn], passage: Passage) -> Iterator[Line]:
    """Our writer beside the client's helper, and what it takes of a whole line."""
    ours, theirs = [turn.ours for turn in turns], [turn.helper for turn in turns]
    yield Line(
        "writer_to_helper",
        SERVER,
        "our writer ÷ helpers.bulk, documents a second",
        _ratios(ours, theirs),
        least=0.9,
        note=f"{median(ours):,.0f} and {median(theirs):,.0f}",
    )
    yield Line(
        "indexing_to_line",
        SERVER,
        "the index step ÷ the whole line",
        (passage.indexing / passage.cpu,),
        most=0.1,
        note=f"{_ms(passage.indexing / passage.pages)} and {_ms(passage.cpu / passage.pages)} a page",
    )


def no_server(why: str) -> Iterator[Line]:
    """What is said of them where no server is named."""
    for key, what in (
        ("writer_to_helper", "our writer ÷ helpers.bulk"),
        ("indexing_to_line", "the index step"),
    ):
        yield Line(key, SERVER, what, note=f"not measured: {why}")


def _ratios(these: Iterable[float], those: Iterable[float]) -> tuple[float, ...]:
    """Round by round: what disturbs a round disturbs both."""
    return tuple(this / that for this, that in zip(these, those, strict=True))


def _ms(seconds: float) -> str:
    return f"{1e3 * seconds:.{1 if seconds >= 0.01 else 2}f} ms"  # noqa: PLR2004
