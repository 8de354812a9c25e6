"""The embedded search index: Tantivy in a folder.

The folder holds generations, `gen-<n>`; the file CURRENT names the live one, the file REBUILDING one that is
being built. Both are replaced atomically, so that a reader finds a whole generation at any moment; a reader
that has the old one open keeps its files until it looks again.

Does not know what the fields mean (`tantivy_fields` does), nor lock writers out of each other (callers do).
"""

import json
import os
import re
import shutil
import time
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Final

import tantivy

from pipeline.disk import sync_names
from pipeline.errors import Busy, ConfigError, NotFound, Transient, Unparsable
from pipeline.model import Document, Tombstone
from pipeline.query import parse
from pipeline.search import (
    REBUILD,
    UNFILTERED,
    Filters,
    Refusal,
    Result,
    Results,
    Sort,
    Verdicts,
    facet,
    missing,
)
from pipeline.search import tantivy_fields as fields
from pipeline.search.highlight import Marker

HEAP: Final = 64_000_000  # bytes a writer gathers before it flushes a segment; the engine's least is 15 MB

SPACE: Final = "free some space and run the command again; what the index lacks waits in the database"
_CURRENT, _REBUILDING, _SCHEMA = "CURRENT", "REBUILDING", "SCHEMA"


class TantivyIndex:
    """The index in `folder`. Keeps the promises of `pipeline.search.Index`; one may write at a time."""

    concurrent = False

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._held: _Held | None = None

    def setup(self) -> None:
        """There is nothing to prepare."""

    def put(self, documents: Iterable[Document], *, generation: str = "") -> Verdicts:
        newest: dict[str, Document] = {}
        for document in documents:
            if document.id not in newest or newest[document.id].version <= document.version:
                newest[document.id] = document
        rows, refused = [], []
        for document in newest.values():
            try:
                rows.append((document.id, document.version, fields.row(document)))
            except fields.UnfitError as error:
                refused.append(Refusal(document.id, str(error)))
        for name in self._targets(generation) if rows else ():
            with self._writer(name) as (writer, searcher, schema):
                for id_, version, row in rows:
                    if _held_version(searcher, schema, id_) <= version:
                        writer.delete_documents_by_term("id", id_)
                        writer.add_document(row)
        return Verdicts(tuple(refused))

    def delete(self, tombstones: Iterable[Tombstone]) -> Verdicts:
        gone = list(tombstones)
        for name in self._targets("") if gone else ():
            with self._writer(name) as (writer, searcher, schema):
                for tombstone in gone:
                    if _held_version(searcher, schema, tombstone.id) <= tombstone.version:
                        writer.delete_documents_by_term("id", tombstone.id)
        return Verdicts()

    def refresh(self) -> None:
        """Readers look for themselves."""

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
        order = None if by_relevance else "oldest" if sort is Sort.OLDEST else "newest"
        index = self._live()
        with _translated(self._folder):
            searcher = index.searcher()
            wanted = fields.narrowed(fields.compiled(tree, index.schema), filters, index.schema)
            # The engine panics on a limit of 0.
            page = searcher.search(wanted, limit=max(limit, 1), offset=offset, order_by_field=order)
            found = [(score, json.loads(searcher.doc(at)["shown"][0])) for score, at in page.hits[:limit]]
            counted = searcher.aggregate(wanted, fields.counting(facets)) if facets else {}
        return Results(
            total=page.count,  # type: ignore[attr-defined]  # left out of the library's stub
            results=tuple(_result(values, score if by_relevance else 0.0, marker) for score, values in found),
            facets=tuple(facet(name, _counts(counted[name]["buckets"])) for name in facets),
            took=time.perf_counter() - started,
        )

    def count(self) -> int:
        return int(self._live().searcher().num_docs)

    def versions(self) -> dict[str, int]:
        found: dict[str, int] = {}
        for id_, version, _ in self._stamps():
            found[id_] = max(version, found.get(id_, 0))
        return found

    def doubled(self) -> set[str]:
        counts: Counter[str] = Counter()
        for id_, _, count in self._stamps():
            counts[id_] += count
        return {id_ for id_, count in counts.items() if count > 1}

    def _stamps(self) -> Iterator[tuple[str, int, int]]:
        """Each id and version, and how many documents have it."""
        index = self._live()
        with _translated(self._folder):
            # With a filter the engine leaves out the terms of deleted documents.
            stamps = index.searcher().terms_with_prefix("stamp", "", tantivy.Query.all_query())
        for stamp, count in stamps:
            id_, _, version = stamp.rpartition("\t")
            yield id_, int(version), count

    def begin_rebuild(self) -> str:
        # A name is never used twice, so that a rebuild long dead cannot write into a later one.
        generation = f"gen-{time.time_ns()}"
        path = self._folder / generation
        path.mkdir(parents=True)
        (path / _SCHEMA).write_text(fields.VERSION)
        with _translated(self._folder):
            tantivy.Index(fields.schema(), str(path))
        self._name(_REBUILDING, generation)
        self._sweep()
        return generation

    def rebuilding(self) -> str:
        return self._named(_REBUILDING)

    def finish_rebuild(self, generation: str) -> None:
        if self._named(_CURRENT) != generation:
            self._targets(generation)
            self._name(_CURRENT, generation)
        self._forget_rebuild(generation)

    def abandon_rebuild(self, generation: str) -> None:
        self._forget_rebuild(generation)

    def close(self) -> None:
        self._held = None

    def _targets(self, generation: str) -> list[str]:
        """The generations that a write goes to."""
        current, rebuilding = self._named(_CURRENT), self._named(_REBUILDING)
        if generation and generation != rebuilding:
            raise NotFound(f"the rebuild of {generation} is over: another one was begun or it was abandoned")
        names = [generation] if generation else list(dict.fromkeys(filter(None, (current, rebuilding))))
        if not names:
            raise missing(self._folder)
        return names

    def _live(self) -> tantivy.Index:
        """The live generation as it is now. Looks again where it was replaced while being opened."""
        while True:
            name = self._named(_CURRENT)
            if not name:
                raise missing(self._folder)
            try:
                return self._refreshed(name)
            except Unparsable:
                if self._named(_CURRENT) == name:
                    raise

    def _refreshed(self, name: str) -> tantivy.Index:
        with _translated(self._folder):
            meta = (self._folder / name / "meta.json").stat()
            stamp = (meta.st_ino, meta.st_mtime_ns, meta.st_size)
            held = self._held
            if held is None or held.name != name:
                index = _open(self._folder / name)
            else:
                index = held.index
                if held.stamp != stamp:
                    index.reload()
            self._held = _Held(name, stamp, index)
            return index

    @contextmanager
    def _writer(self, name: str) -> Iterator[tuple[tantivy.IndexWriter, tantivy.Searcher, tantivy.Schema]]:
        """A writer that commits at the end, or takes everything back where the block fails."""
        with _translated(self._folder):
            index = _open(self._folder / name)
            writer = index.writer(HEAP, 1)
            try:
                yield writer, index.searcher(), index.schema
                writer.commit()
            except BaseException:
                with suppress(ValueError):  # a writer that a full disk has killed is already gone
                    writer.rollback()
                raise
            finally:
                writer.wait_merging_threads()  # frees the lock; without it merges are broken off

    def _named(self, file: str) -> str:
        try:
            return (self._folder / file).read_text()
        except FileNotFoundError:
            return ""

    def _name(self, file: str, generation: str) -> None:
        """Write the name so that a crash leaves the old one or the new one."""
        written = self._folder / f"{file}.new"
        with written.open("w") as stream:
            stream.write(generation)
            stream.flush()
            os.fsync(stream.fileno())
        written.replace(self._folder / file)
        sync_names(self._folder)

    def _forget_rebuild(self, generation: str) -> None:
        if self._named(_REBUILDING) == generation:
            (self._folder / _REBUILDING).unlink(missing_ok=True)
            sync_names(self._folder)
            self._sweep()

    def _sweep(self) -> None:
        """Remove the generations that nothing names. Readers that have one open keep its files."""
        kept = {self._named(_CURRENT), self._named(_REBUILDING)}
        for path in self._folder.glob("gen-*"):
            if path.name not in kept:
                shutil.rmtree(path, ignore_errors=True)  # what cannot go now goes with the next rebuild


@dataclass(frozen=True, slots=True)
class _Held:
    """The generation that a reader has open, as of the file state `stamp`."""

    name: str
    stamp: tuple[int, int, int]
    index: tantivy.Index


def _open(path: Path) -> tantivy.Index:
    written = (path / _SCHEMA).read_text()
    if written != fields.VERSION:
        raise ConfigError(
            f"the search index in {path.parent} has schema {written}; this version needs {fields.VERSION}",
            hint=REBUILD,
        )
    index = tantivy.Index.open(str(path))
    fields.register(index)
    index.config_reader("manual")
    return index


def _held_version(searcher: tantivy.Searcher, schema: tantivy.Schema, id_: str) -> int:
    hits = searcher.search(tantivy.Query.term_query(schema, "id", id_, "basic"), limit=1, count=False).hits
    return int(searcher.fast_field_values("version", [hits[0][1]])[0] or 0) if hits else -1


def _result(values: dict[str, Any], score: float, marker: Marker) -> Result:
    text, published = values.pop("text"), values.pop("published")
    return Result(
        **{**values, "topics": tuple(values["topics"])},
        published=datetime.fromisoformat(published) if published else None,
        score=score,
        title_marked=marker.title(values["title"]),
        highlights=marker.best(values["lead"], text),
    )


def _counts(buckets: Iterable[dict[str, Any]]) -> Iterator[tuple[str, int]]:
    return ((str(bucket["key"]), int(bucket["doc_count"])) for bucket in buckets)


_FULL = re.compile(r"No space left|File too large|quota|writer was killed")
_REFUSED = re.compile(r"Failed to acquire Lockfile.*(Read-only file system|Permission denied)")
_DAMAGED = re.compile(r"io_?error|IO error|DoesNotExist|corrupt|deserialize")


@contextmanager
def _translated(folder: Path) -> Iterator[None]:
    """Turn the engine's errors into ours. All of them are ValueErrors with a text, or panics."""
    try:
        yield
    except FileNotFoundError as error:
        raise _damaged(folder, error) from error
    except OSError as error:
        raise Transient(f"the search index in {folder} cannot be used: {error}", hint=SPACE) from error
    except ValueError as error:
        text = str(error)
        if "LockBusy" in text:
            raise Busy(
                f"another process writes to the search index in {folder}",
                hint=f"fuser {folder}/*/.tantivy-writer.lock names it; then run the command again",
            ) from error
        if refused := _REFUSED.search(text):
            raise ConfigError(
                f"the search index in {folder} cannot be opened: {refused[1]}",
                hint="make its folder writable, or copy it: it is locked also to be read",
            ) from error
        if _FULL.search(text):
            raise Transient(f"the search index in {folder} cannot be written: {text}", hint=SPACE) from error
        if _DAMAGED.search(text) or isinstance(error, json.JSONDecodeError | UnicodeDecodeError):
            raise _damaged(folder, error) from error
        raise
    except BaseException as error:
        if type(error).__name__ == "PanicException":  # not importable; the engine's answer to flipped bits
            raise _damaged(folder, error) from error
        raise


def _damaged(folder: Path, error: BaseException) -> Unparsable:
    return Unparsable(f"the search index in {folder} is damaged: {error}", hint=REBUILD)
