"""How fast our writer brings documents into Elasticsearch, beside the client's own helper.

On the server that VEILLE_INDEX_URL names, in indices of names of their own, which are gone afterwards. Both
write the same documents, in turns. The helper gets them ready made; ours makes them of articles and has a
verdict for each, as it does every day.
"""

import contextlib
import secrets
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

import elasticsearch
import orjson
from elastic_transport.client_utils import DEFAULT
from elasticsearch import OrjsonSerializer, helpers

from benchmarks import prose, stock
from benchmarks.children import Failed
from pipeline.model import Document
from pipeline.search.elasticsearch import documents
from pipeline.search.elasticsearch.connection import Connection
from pipeline.search.elasticsearch.index import ElasticsearchIndex
from pipeline.settings import Settings
from pipeline.stages.index import BATCH

TURNS = 7  # after a first, in which the server warms up

Prepare = Callable[[ElasticsearchIndex, Settings, list[Document]], Callable[[], object]]


@dataclass(frozen=True, slots=True)
class Turn:
    """Documents a second of the clock."""

    ours: float
    helper: float


def measure(settings: Settings, count: int) -> list[Turn]:
    """What the two write, so many documents each and turn."""
    now = datetime.now(UTC)  # so that all come into one index
    given = [replace(stock.document(written), first_seen=now) for written in prose.articles(0, count)]
    turns = [Turn(_rate(settings, _ours, given), _rate(settings, _helper, given)) for _ in range(1 + TURNS)]
    return turns[1:]


@contextlib.contextmanager
def named(settings: Settings) -> Iterator[str]:
    """A name for an index on the server; whatever has it afterwards is removed."""
    name = f"veille-bench-{secrets.token_hex(6)}"
    with contextlib.closing(_connection(settings)) as connection:
        try:
            yield name
        finally:
            for index in connection.ask.indices.get(index=f"{name}-*", expand_wildcards="all").body:
                connection.ask.indices.delete(index=index)
            connection.ask.options(ignore_status=404).indices.delete_index_template(name=name)


def _rate(settings: Settings, prepare: Prepare, given: list[Document]) -> float:
    with named(settings) as name, contextlib.closing(_connection(settings)) as connection:
        index = ElasticsearchIndex(connection, name)
        index.setup()
        index.finish_rebuild(index.begin_rebuild())
        _ours(index, settings, given[:1])()  # makes the index of this year
        write = prepare(index, settings, given)
        started = time.perf_counter()
        write()
        return len(given) / (time.perf_counter() - started)


def _ours(index: ElasticsearchIndex, _: Settings, given: list[Document]) -> Callable[[], None]:
    """As the last stage writes: batch by batch."""

    def write() -> None:
        for start in range(0, len(given), BATCH):
            verdicts = index.put(given[start : start + BATCH])
            if verdicts.refused or verdicts.undone:
                raise Failed(f"not all documents were taken: {verdicts.trouble or verdicts}")

    return write


def _helper(index: ElasticsearchIndex, settings: Settings, given: list[Document]) -> Callable[[], object]:
    """As most programs write, with the client's fastest serializer."""
    index.refresh()
    now = datetime.now(UTC)
    with contextlib.closing(_connection(settings)) as connection:
        [first] = connection.ask.search(index=index.name, size=1)["hits"]["hits"]
    actions: list[dict[str, Any]] = [
        {
            "_index": first["_index"],
            "_id": document.id,
            "_source": orjson.loads(documents.body(document, ingested=now)),
        }
        for document in given
    ]

    def write() -> None:
        with elasticsearch.Elasticsearch(
            settings.index_url,
            basic_auth=(settings.index_user, settings.index_password) if settings.index_user else None,
            ca_certs=settings.index_ca or DEFAULT,
            serializer=OrjsonSerializer(),
        ) as client:
            helpers.bulk(client, actions, chunk_size=BATCH)

    return write


def _connection(settings: Settings) -> Connection:
    return Connection(
        settings.index_url, settings.index_user, settings.index_password, settings.index_ca, write_seconds=60
    )
