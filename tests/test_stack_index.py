"""The set-up's last step: a search index that this Veille can read, whatever was there before."""

import pytest
import shelves
from engines import ENGINES, Elasticsearch, opened_engine

from pipeline.deployment import indices
from pipeline.errors import ConfigError
from pipeline.runtime import Runtime
from pipeline.stages import index
from pipeline.store import articles, leases, outbox

pytestmark = pytest.mark.slow


@pytest.fixture(params=ENGINES)
def engine(request, tmp_path):
    with opened_engine(request, tmp_path / "index") as opened:
        yield opened


@pytest.fixture
def runtime(engine, tmp_path, database_url):
    """A library of twenty articles, all in the index."""
    changes = {}
    if isinstance(engine, Elasticsearch):
        address = engine.address
        changes = {"index_url": address.url, "index_user": address.user, "index_password": address.password}
        changes["index_name"] = engine.name
    with Runtime(shelves.settings(tmp_path, database_url, **changes)) as opened:
        shelves.fill(opened, 20)
        assert indices.make(opened) is False
        index.drain(opened, "first")
        opened.index.refresh()
        yield opened


def of_schema(engine, schema):
    """Let the index look as if a Veille of that schema had written it."""
    if isinstance(engine, Elasticsearch):
        engine.connection().ask.indices.put_mapping(index=engine.name, meta={"version": schema})
        return
    for file in engine.folder.glob("gen-*/SCHEMA"):
        file.write_text(str(schema))


def test_what_is_there_stays(runtime):
    """At every later start, also with a document that the engine refused."""
    with runtime.store.transaction("refuse") as tx:
        [first, *_] = articles.all_ids(tx, after=0, limit=1)
        articles.touch(tx, [first], now=runtime.now())
        [document], _ = articles.documents(tx, [first], runtime.catalogue)
        token = leases.new_token(tx)
        outbox.claim(tx, token=token, lease=60, now=runtime.now(), limit=1)
        outbox.quarantine(tx, token, {first: (document.version, "too long a word")})

    assert [indices.make(runtime), indices.make(runtime)] == [False, False]
    assert runtime.index.count() == 20
    assert index.differences(runtime)["refused"] == [str(first)]


def test_an_older_one_is_made_anew(engine, runtime):
    """After an upgrade: else the set-up would fail at every start, and nothing would come after it."""
    of_schema(engine, 0)
    with Runtime(runtime.settings) as upgraded:
        with pytest.raises(ConfigError, match="this version needs"):
            index.ensure(upgraded)

        assert [indices.make(upgraded), indices.make(upgraded)] == [True, False]
        assert not any(index.differences(upgraded).values())
        assert upgraded.index.count() == 20
