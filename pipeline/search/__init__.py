"""What every search index promises, and the values that go in and come out.

Does not choose an engine (`runtime` does) and does not know how any engine works. An index is a projection of
the store: it may be lost at any time and is then built again with `rebuild`.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, suppress
from dataclasses import dataclass
from datetime import date, datetime
from enum import StrEnum
from typing import Final, NamedTuple, Protocol, TypeVar

from pipeline.errors import EngineTrouble, NotFound, Transient
from pipeline.model import Document, Tombstone
from pipeline.search.patience import Patience

REBUILD: Final = "veille index rebuild"  # the command that every error about a damaged index names
_TRIES: Final = 6  # of one document that the engine puts off, in a rebuild
_LEFT_OUT: Final = 100  # documents that a rebuild may leave to the outbox; with more of them it has failed
FACETS: Final = ("topic", "publisher", "family", "day", "language")

_Done = TypeVar("_Done")


class Sort(StrEnum):
    """The order of results. Equals are ordered the same way on every page."""

    RELEVANCE = "relevance"  # newest first where the query has no words to be relevant to
    NEWEST = "newest"  # by publication; undated last
    OLDEST = "oldest"  # by publication; undated last


class Piece(NamedTuple):
    """A stretch of text for display; `match` tells whether the query asked for it."""

    text: str
    match: bool


Fragment = tuple[Piece, ...]  # `"".join(piece.text ...)` is the original text; whoever shows it escapes it


@dataclass(frozen=True, slots=True)
class Filters:
    """What results must be, apart from the query. Several values of one kind mean any of them.

    Values are whole ids without regard to capitals and accents; days are Europe/Paris days of publication,
    both ends included, and an undated article has none.
    """

    topics: tuple[str, ...] = ()
    publishers: tuple[str, ...] = ()
    languages: tuple[str, ...] = ()
    since: date | None = None
    until: date | None = None


UNFILTERED: Final = Filters()


@dataclass(frozen=True, slots=True)
class Result:
    """One article found."""

    id: str
    url: str
    title: str
    publisher: str
    publisher_name: str
    published: datetime | None
    topics: tuple[str, ...]
    copies: int
    copy_of: str
    lead: str
    score: float  # comparable within one answer only; 0 unless sorted by relevance
    title_marked: Fragment  # the whole title
    highlights: tuple[Fragment, ...]  # the best places of lead and text, in order; may be none


@dataclass(frozen=True, slots=True)
class Facet:
    """How many of all results have each value: most frequent first, days in order of time."""

    name: str
    counts: tuple[tuple[str, int], ...]


@dataclass(frozen=True, slots=True)
class Results:
    """An answer: the number of all results, one page of them, and the facets asked for over all of them."""

    total: int
    results: tuple[Result, ...]
    facets: tuple[Facet, ...]
    took: float  # seconds


@dataclass(frozen=True, slots=True)
class Refusal:
    """A document that the engine did not take, and why."""

    id: str
    reason: str


@dataclass(frozen=True, slots=True)
class Verdicts:
    """What became of documents. Those of which nothing is said here are done.

    `refused` will never be taken as they are, `later` were put off: each by an answer that names it, or alone
    in a request that failed. Nothing is held against the `untold`: they were in a request that failed with
    others in it, or not sent after that, or the engine was too busy. `trouble` is how a request failed.
    """

    refused: tuple[Refusal, ...] = ()
    later: tuple[Refusal, ...] = ()
    untold: tuple[str, ...] = ()
    trouble: EngineTrouble | None = None

    @property
    def undone(self) -> set[str]:
        """The ids that have to be offered again."""
        return {refusal.id for refusal in self.later} | set(self.untold)


class Index(Protocol):
    """A search index with one document per id.

    Reading (`search`, `count`, `versions`) is free at any time, in any process and thread, and sees each
    `put` and `delete` whole, once `refresh` has returned at the latest. The other methods write. Callers see
    to it, with a lock of their own over all processes, that whoever begins, finishes or abandons a rebuild is
    alone, and that only one writes at a time unless the engine is `concurrent`.

    An index exists from its first finished rebuild on. Every method but `setup` and the rebuild's own raises
    NotFound where there is none, ConfigError where another schema wrote it and Unparsable where it is
    damaged, each with the hint `veille index rebuild`. Transient errors (Busy: somebody writes; disk full,
    engine away) leave the call undone, done, or done in part; repeating it is harmless. Only `put` and
    `delete` do not raise EngineTrouble: their verdicts hold it, with what was done before.
    """

    @property
    def concurrent(self) -> bool:
        """Whether several may put, delete and refresh at the same time, in any order."""

    def setup(self) -> None:
        """Prepare the engine for the first index, or for that of a newer version.

        Repeating it is harmless.
        """

    def put(self, documents: Iterable[Document], *, generation: str = "") -> Verdicts:
        """Add the documents or replace those of the same id, durably, before it returns.

        A document older than what the index holds or has removed is left out silently; of equal versions the
        last one stays. While a rebuild is under way they go into both generations, or with `generation` only
        into that one (for the rebuild itself; raises NotFound if that rebuild is over).
        """

    def delete(self, tombstones: Iterable[Tombstone]) -> Verdicts:
        """Remove the documents, durably, before it returns, unless a newer one stands there.

        Unknown ids are no error.
        """

    def refresh(self) -> None:
        """Let readers see all that was written."""

    def search(
        self,
        query: str,
        *,
        filters: Filters = UNFILTERED,
        facets: tuple[str, ...] = (),
        sort: Sort = Sort.RELEVANCE,
        offset: int = 0,
        limit: int = 10,
    ) -> Results:
        """What `query` (see `pipeline.query`) finds. Raises QueryError; facets are out of FACETS.

        By relevance, words that are neighbours in the query count for more where they stand together.
        """

    def count(self) -> int:
        """How many documents the index holds."""

    def versions(self) -> dict[str, int]:
        """The version of every document, by id; the highest one, where an id stands more than once."""

    def doubled(self) -> set[str]:
        """The ids that stand more than once, which none should."""

    def begin_rebuild(self) -> str:
        """Start an empty generation beside the live one and return its name.

        Readers see nothing of it. A rebuild that is under way, be it alive or long dead, is over.
        """

    def rebuilding(self) -> str:
        """The generation that is being rebuilt, be it by somebody alive or not; empty if there is none."""

    def finish_rebuild(self, generation: str) -> None:
        """Make the generation the live one. Raises NotFound if that rebuild is over without that.

        Repeating it is harmless.
        """

    def abandon_rebuild(self, generation: str) -> None:
        """Forget the generation, if it is still being rebuilt."""

    def close(self) -> None:
        """Let go of files and connections. The index may not be used any more."""


def rebuild(
    index: Index,
    batches: Iterator[Iterable[Document]],
    *,
    alone: Callable[[], AbstractContextManager[object]],
    writing: Callable[[], AbstractContextManager[object]],
    patience: Patience | None = None,
) -> tuple[Refusal, ...]:
    """Build `index` anew while others go on reading it and writing it; return what it did not take.

    `alone` is the lock under which nobody else writes, `writing` that of all who put and delete. Each batch
    must be read from the store when it is asked for, which happens under `writing`. Where only one may hold
    that, a batch can neither miss a change nor bring back an article deleted in between; where several may,
    versions see to it.
    """
    patience = patience or Patience()
    generation = patience.insist(lambda: _under(alone, index.begin_rebuild))
    try:
        left_out = _filled(index, batches, generation, writing, patience)
        patience.insist(lambda: _under(alone, lambda: index.finish_rebuild(generation)))
    except BaseException:
        with suppress(Transient), alone():  # if the engine is away, the next writer ends this one
            index.abandon_rebuild(generation)
        raise
    return left_out


def _under(lock: Callable[[], AbstractContextManager[object]], action: Callable[[], _Done]) -> _Done:
    with lock():
        return action()


def _filled(
    index: Index,
    batches: Iterator[Iterable[Document]],
    generation: str,
    writing: Callable[[], AbstractContextManager[object]],
    patience: Patience,
) -> tuple[Refusal, ...]:
    """Put all batches into the generation; return what it did not take."""
    refused: list[Refusal] = []
    given_up: list[Refusal] = []
    more = True
    while more:
        with writing():
            batch = next(batches, None)
            more = batch is not None
            verdicts = _put_whole(index, tuple(batch or ()), generation, patience)
        refused += verdicts.refused
        given_up += verdicts.later
        if len(given_up) > _LEFT_OUT:
            raise EngineTrouble(f"more than {_LEFT_OUT} documents are not taken: {given_up[0].reason}")
    return (*refused, *given_up)


def _put_whole(index: Index, batch: tuple[Document, ...], generation: str, patience: Patience) -> Verdicts:
    """Put all of the batch; what the engine puts off again and again is left."""
    refused: list[Refusal] = []
    given_up: dict[str, Refusal] = {}
    put_off: Counter[str] = Counter()
    while batch:
        verdicts = index.put(batch, generation=generation)
        refused += verdicts.refused
        put_off.update(refusal.id for refusal in verdicts.later)
        given_up |= {refusal.id: refusal for refusal in verdicts.later if put_off[refusal.id] == _TRIES}
        patience.heard(verdicts, took_some=len(verdicts.undone) < len(batch))
        left = [one for one in batch if one.id in verdicts.undone and one.id not in given_up]
        batch = tuple(sorted(left, key=lambda one: put_off[one.id]))  # what is put off is in nobody's way
    return Verdicts(tuple(refused), tuple(given_up.values()))


def facet(name: str, counts: Iterable[tuple[str, int]]) -> Facet:
    """The counts in the order that a facet has."""
    ordered = sorted(counts)
    if name != "day":
        ordered.sort(key=lambda count: -count[1])
    return Facet(name, tuple(ordered))


def missing(where: object) -> NotFound:
    """The error of an index that does not exist."""
    return NotFound(f"there is no search index in {where}", hint=REBUILD)
