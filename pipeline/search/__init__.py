"""What every search index promises, and the values that go in and come out.

Does not choose an engine (`runtime` does) and does not know how any engine works. An index is a projection of
the store: it may be lost at any time and is then built again with `rebuild`.
"""

from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import date, datetime
from enum import StrEnum
from typing import Final, NamedTuple, Protocol

from pipeline.errors import NotFound
from pipeline.model import Document

REBUILD: Final = "veille index rebuild"  # the command that every error about a damaged index names
FACETS: Final = ("topic", "publisher", "family", "day", "language")


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
    """A document that the engine will never take, and why."""

    id: str
    reason: str


class Index(Protocol):
    """A search index with one document per id.

    Reading (`search`, `count`, `versions`) is free at any time, in any process and thread, and sees each
    `put` and `delete` whole from the moment it has returned. The other methods write: callers see to it,
    with a lock of their own, that only one of them runs at a time over all processes.

    An index exists from its first finished rebuild on. Every method but the rebuild's own raises NotFound
    where there is none, ConfigError where an older schema wrote it and Unparsable where it is damaged, each
    with the hint `veille index rebuild`. Transient errors (Busy: somebody writes; disk full, engine away)
    leave the index as it was or with the call done; repeating the call is harmless.
    """

    def put(self, documents: Iterable[Document], *, generation: str = "") -> tuple[Refusal, ...]:
        """Add the documents or replace those of the same id, durably, before it returns.

        A document older than what the index holds is left out silently; of equal versions the last one stays.
        Returns the documents that the engine will never take; all others are in. While a rebuild is under way
        they go into both generations, or with `generation` only into that one (for the rebuild itself; raises
        NotFound if that rebuild is over).
        """

    def delete(self, ids: Iterable[str]) -> None:
        """Remove the documents, durably, before it returns. Unknown ids are no error."""

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
        """The version of every document, by id."""

    def begin_rebuild(self) -> str:
        """Start an empty generation beside the live one and return its name.

        Readers see nothing of it. A rebuild that is under way, be it alive or long dead, is over.
        """

    def finish_rebuild(self, generation: str) -> None:
        """Make the generation the live one. Raises NotFound if that rebuild is over."""

    def abandon_rebuild(self, generation: str) -> None:
        """Forget the generation, if it is still being rebuilt."""

    def close(self) -> None:
        """Let go of files and connections. The index may not be used any more."""


def rebuild(
    index: Index, batches: Iterator[Iterable[Document]], *, lock: Callable[[], AbstractContextManager[object]]
) -> tuple[Refusal, ...]:
    """Build `index` anew while others go on reading it and, between batches, writing it.

    Each batch must be read from the store when it is asked for, which happens under `lock`, the lock of all
    writers: so a batch can neither miss a change nor bring back an article deleted in between.
    """
    with lock():
        generation = index.begin_rebuild()
    refused: list[Refusal] = []
    try:
        more = True
        while more:
            with lock():
                batch = next(batches, None)
                more = batch is not None
                refused += index.put(batch or (), generation=generation)
        with lock():
            index.finish_rebuild(generation)
    except BaseException:
        with lock():
            index.abandon_rebuild(generation)
        raise
    return tuple(refused)


def missing(where: object) -> NotFound:
    """The error of an index that does not exist."""
    return NotFound(f"there is no search index in {where}", hint=REBUILD)
