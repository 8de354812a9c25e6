"""The index on an Elasticsearch server. Keeps the promises of `pipeline.search.Index`.

Does not know how fields are made (`documents`) or searched (`queries`), which indices there are
(`generations`), or what the server's answers to a batch mean (`bulk`).
"""

import itertools
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any, Final, TypeAlias, TypeVar

from pipeline.errors import EngineTrouble, VeilleError
from pipeline.model import Document, Tombstone
from pipeline.query import QueryError, parse
from pipeline.search import (
    UNFILTERED,
    Filters,
    Refusal,
    Result,
    Results,
    Sort,
    Verdicts,
    facet,
)
from pipeline.search.elasticsearch import bulk, documents, queries
from pipeline.search.elasticsearch.connection import Connection, problem
from pipeline.search.elasticsearch.generations import Generations, Target
from pipeline.search.elasticsearch.portion import Portion
from pipeline.search.highlight import Marker

NAME: Final = "veille-articles"
_WINDOW: Final = 10_000  # results that the server gives at once, and hence what lies before a page
_KEEP: Final = "1m"  # a view of the index between two questions
_LOOKS: Final = 4  # at a search that a swap of generations broke off
_SHOWN: Final = (
    "id",
    "url",
    "title",
    "lead",
    "text",
    "publisher",
    "published",
    "topics",
    "copies",
    "copy_of",
)
_BROKEN_OFF: Final = {
    "index_not_found_exception",
    "no_shard_available_action_exception",
    "search_context_missing_exception",
    "search_phase_execution_exception",
}
_TOO_LARGE: Final = ("too_many_nested_clauses", "too_many_clauses", "maxClauseCount", "nested depth")
_Step: TypeAlias = tuple[int, bool]  # so many results, and whether they are wanted

_Found = TypeVar("_Found")


class ElasticsearchIndex:
    """The index `name` of a server; several processes and threads may write to it at a time."""

    concurrent = True

    def __init__(
        self, connection: Connection, name: str = NAME, generations: Generations | None = None
    ) -> None:
        self._connection = connection
        self._generations = generations or Generations(connection, name)
        self._portion = Portion()
        self.name = name

    def setup(self) -> None:
        self._generations.set_up()

    def put(self, documents_: Iterable[Document], *, generation: str = "") -> Verdicts:
        fit, refused = _bodies(documents_)
        ids = [document.id for document, _ in fit]
        verdicts = self._sent(ids, lambda: self._writes(fit, self._targets(generation)))
        return replace(verdicts, refused=(*refused, *verdicts.refused))

    def delete(self, tombstones: Iterable[Tombstone]) -> Verdicts:
        gone = list(tombstones)
        ids = [tombstone.id for tombstone in gone]
        return self._sent(ids, lambda: self._deletions(gone, self._targets("")))

    def refresh(self) -> None:
        with self._connection.translated():
            self._connection.ask.indices.refresh(index=self.name)

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
        started = time.perf_counter()
        tree = parse(query)
        marker = Marker.of(tree)
        by_relevance = sort is Sort.RELEVANCE and bool(marker)
        question = {
            "query": queries.narrowed(queries.compiled(tree), filters),
            "sort": queries.order(sort, by_relevance=by_relevance),
            "aggs": queries.counting(facets),
            "track_total_hits": True,
        }
        self._generations.check()
        page = self._looked_up(lambda: self._page(question, offset, limit))
        return Results(
            total=page["hits"]["total"]["value"],
            results=tuple(_result(hit, marker, by_relevance=by_relevance) for hit in page["hits"]["hits"]),
            facets=tuple(facet(name, _counts(page["aggregations"][name]["buckets"])) for name in facets),
            took=time.perf_counter() - started,
        )

    def count(self) -> int:
        self._generations.check()
        found = self._looked_up(lambda: self._connection.ask.count(index=self.name).body)
        return int(found["count"])

    def versions(self) -> dict[str, int]:
        found: dict[str, int] = {}
        for id_, version in self._held():
            found[id_] = max(version, found.get(id_, 0))
        return found

    def doubled(self) -> set[str]:
        counts = Counter(id_ for id_, _ in self._held())
        return {id_ for id_, count in counts.items() if count > 1}

    def _held(self) -> list[tuple[str, int]]:
        """The id and version of every document."""
        self._generations.check()
        self.refresh()
        return self._looked_up(self._all_held)

    def _all_held(self) -> list[tuple[str, int]]:
        question = {"version": True, "sort": ["_shard_doc"]}
        steps = itertools.repeat((_WINDOW, False))
        with self._view() as view:
            walked = self._walked(view, question, steps)
            return [(hit["_id"], hit["_version"]) for hits, _ in walked for hit in hits]

    def begin_rebuild(self) -> str:
        return self._generations.begin()

    def rebuilding(self) -> str:
        return self._generations.rebuilding()

    def finish_rebuild(self, generation: str) -> None:
        self._generations.finish(generation)

    def abandon_rebuild(self, generation: str) -> None:
        self._generations.abandon(generation)

    def close(self) -> None:
        self._connection.close()

    def _sent(self, ids: Sequence[str], plan: Callable[[], list[bulk.Operation]]) -> Verdicts:
        """Do to these documents what `plan` says, which looks for their indices first."""
        try:
            operations = plan() if ids else []
        except EngineTrouble as error:
            return Verdicts(untold=tuple(ids), trouble=error)
        return bulk.send(self._connection, self._portion, operations)

    def _writes(
        self, given: Iterable[tuple[Document, bytes]], targets: Iterable[Target]
    ) -> list[bulk.Operation]:
        return [
            bulk.indexing(self._place(target, document.first_seen), document.id, document.version, body)
            for document, body in given
            for target in targets
            if target.current
        ]

    def _deletions(self, gone: Iterable[Tombstone], targets: Iterable[Target]) -> list[bulk.Operation]:
        return [
            bulk.deleting(index, tombstone.id, tombstone.version)
            for tombstone in gone
            for target in targets
            for index in self._places(target, tombstone.first_seen)
        ]

    def _targets(self, generation: str) -> tuple[Target, ...]:
        return (self._generations.rebuilt(generation),) if generation else self._generations.targets()

    def _place(self, target: Target, first_seen: datetime) -> str:
        return self._generations.index_of(target, documents.year_of(first_seen))

    def _places(self, target: Target, first_seen: datetime | None) -> list[str]:
        """Where the document may be: in one index, if it is known when it was first seen."""
        if first_seen is None or not target.current:
            return sorted(target.indices)
        return [self._place(target, first_seen)]

    def _page(self, question: dict[str, Any], offset: int, limit: int) -> dict[str, Any]:
        """The answer with one page of its results."""
        if offset + limit <= _WINDOW:
            shown = {"from": offset, "size": limit, "_source": _SHOWN}
            return self._asked({**question, **shown}, index=self.name)
        steps = [*_steps(offset, wanted=False), *_steps(limit, wanted=True)]
        found = {name: question[name] for name in ("query", "sort")}
        with self._view() as view:  # the number and the page are of one moment
            answer = self._asked({**question, "size": 0, "pit": view})
            walked = self._walked(view, found, steps)
            answer["hits"]["hits"] = [hit for hits, wanted in walked if wanted for hit in hits]
        return answer

    def _walked(
        self, view: dict[str, str], question: dict[str, Any], steps: Iterable[_Step]
    ) -> Iterator[tuple[list[dict[str, Any]], bool]]:
        """The results, step by step, until there are no more."""
        after: dict[str, Any] = {}
        for size, wanted in steps:
            asked = {"size": size, "_source": _SHOWN if wanted else False, "track_total_hits": False}
            hits = self._asked({**question, **asked, "pit": view, **after})["hits"]["hits"]
            yield hits, wanted
            if len(hits) < size:
                return
            after = {"search_after": hits[-1]["sort"]}

    @contextmanager
    def _view(self) -> Iterator[dict[str, str]]:
        """A view of the index that does not change."""
        client = self._connection.ask
        view = client.open_point_in_time(index=self.name, keep_alive=_KEEP).body["id"]
        try:
            yield {"id": view, "keep_alive": _KEEP}
        finally:
            with suppress(Exception):  # it ends by itself after a while
                client.close_point_in_time(id=view)

    def _asked(self, question: dict[str, Any], *, index: str | None = None) -> dict[str, Any]:
        """The answer to a search. Words count by their frequency in all years together."""
        import elasticsearch

        try:
            answer: dict[str, Any] = self._connection.ask.search(
                index=index,
                body=question,
                search_type="dfs_query_then_fetch",
                allow_partial_search_results=False,
            ).body
        except elasticsearch.BadRequestError as error:
            if any(sign in str(error.body) for sign in _TOO_LARGE):
                raise QueryError("the query is too large for the search server", 0) from error
            raise
        return answer

    def _looked_up(self, look: Callable[[], _Found]) -> _Found:
        """What is found. One that the swap of generations broke off looks again, behind the alias."""
        import elasticsearch

        for left in reversed(range(_LOOKS)):
            try:
                with self._connection.translated():
                    return look()
            except (VeilleError, elasticsearch.ApiError) as error:
                answer = getattr(error.__cause__ or error, "body", None)
                if not left or problem(answer)[0] not in _BROKEN_OFF:
                    raise
        raise AssertionError


def _bodies(given: Iterable[Document]) -> tuple[list[tuple[Document, bytes]], tuple[Refusal, ...]]:
    """The documents with their JSON, and those that have none."""
    fit, refused, now = [], [], datetime.now(UTC)
    for document in given:
        try:
            fit.append((document, documents.body(document, ingested=now)))
        except documents.UnfitError as error:
            refused.append(Refusal(document.id, str(error)))
    return fit, tuple(refused)


def _steps(count: int, *, wanted: bool) -> list[_Step]:
    sizes = [_WINDOW] * (count // _WINDOW) + [count % _WINDOW]
    return [(size, wanted) for size in sizes if size]


def _result(hit: dict[str, Any], marker: Marker, *, by_relevance: bool) -> Result:
    source = hit["_source"]
    title, lead, text = (source.get(name, "") for name in ("title", "lead", "text"))
    published = source.get("published")
    return Result(
        id=source["id"],
        url=source.get("url", ""),
        title=title,
        publisher=source["publisher"].get("id", ""),
        publisher_name=source["publisher"].get("name", ""),
        published=datetime.fromisoformat(published) if published else None,
        topics=tuple(source.get("topics", {}).get("id", ())),
        copies=source["copies"],
        copy_of=source.get("copy_of", ""),
        lead=lead,
        score=float(hit["_score"]) if by_relevance else 0.0,
        title_marked=marker.title(title),
        highlights=marker.best(lead, text),
    )


def _counts(buckets: Iterable[dict[str, Any]]) -> Iterator[tuple[str, int]]:
    return ((str(bucket.get("key_as_string", bucket["key"])), bucket["doc_count"]) for bucket in buckets)
