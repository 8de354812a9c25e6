"""The engines that a contract suite runs on, each with a place of its own.

Knows nothing of what is written there.
"""

import contextlib
import uuid
from pathlib import Path

import pytest
from searchserver.server import Address

from pipeline.search import Index


class Tantivy:
    """Opens handles on one index in a folder, as several processes would."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def open(self) -> Index:
        from pipeline.search.tantivy import TantivyIndex

        return TantivyIndex(self.folder)


class Elasticsearch:
    """Opens handles on one index of a server, as several processes would."""

    def __init__(self, address: Address) -> None:
        self.address = address
        self.name = f"veille-{uuid.uuid4().hex[:12]}"

    def connection(self, **changes):
        from pipeline.search.elasticsearch.connection import Connection

        values = {"url": self.address.url, "user": self.address.user, "password": self.address.password}
        values["write_seconds"] = 60.0  # the machine may be busy, and only writers that try again are tested
        return Connection(**values | changes)

    def open(self, **changes) -> Index:
        from pipeline.search.elasticsearch.index import ElasticsearchIndex

        return ElasticsearchIndex(self.connection(**changes), self.name)

    def remove(self) -> None:
        """Leave nothing on the server, which others use too."""
        client = self.connection().ask
        for index in client.indices.get(index=f"{self.name}-*", expand_wildcards="all").body:
            client.indices.delete(index=index)
        client.options(ignore_status=404).indices.delete_index_template(name=self.name)
        client.close()


ENGINES = ["tantivy", pytest.param("elasticsearch", marks=pytest.mark.elasticsearch)]


@contextlib.contextmanager
def opened_engine(request, folder: Path):
    """The engine that the test's parameter names."""
    if request.param == "tantivy":
        yield Tantivy(folder)
        return
    engine = Elasticsearch(request.getfixturevalue("elasticsearch_server"))
    try:
        yield engine
    finally:
        engine.remove()
