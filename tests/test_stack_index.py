"""The set-up's last step: a search index that this Veille can read, whatever was there before."""

import pytest
import shelves

from pipeline.deployment import indices
from pipeline.errors import ConfigError
from pipeline.runtime import Runtime
from pipeline.stages import index
from pipeline.store import articles, outbox

pytestmark = pytest.mark.slow


@pytest.fixture
def runtime(tmp_path, database_url):
    """A library of twenty articles, all in the index."""
    with Runtime(shelves.settings(tmp_path, database_url)) as opened:
        shelves.fill(opened, 20)
        assert indices.make(opened) is False
        index.drain(opened, "first")
        yield opened


def of_schema(runtime, schema):
    """Let the index look as if a Veille of that schema had written it."""
    for file in (runtime.settings.home / "index").glob("gen-*/SCHEMA"):
        file.write_text(schema)


def test_what_is_there_stays(runtime):
    """At every later start, also with a document that the engine refused."""
    with runtime.store.transaction("refuse") as tx:
        [first, *_] = articles.all_ids(tx, after=0, limit=1)
        articles.touch(tx, [first], now=runtime.now())
        [document], _ = articles.documents(tx, [first], runtime.catalogue)
        outbox.quarantine(tx, {first: (document.version, "too long a word")})

    assert [indices.make(runtime), indices.make(runtime)] == [False, False]
    assert runtime.index.count() == 20
    assert index.differences(runtime)["refused"] == [str(first)]


def test_an_older_one_is_made_anew(runtime):
    """After an upgrade: else the set-up would fail at every start, and nothing would come after it."""
    of_schema(runtime, "0")
    with Runtime(runtime.settings) as upgraded:
        with pytest.raises(ConfigError, match="has schema 0"):
            index.ensure(upgraded)

        assert [indices.make(upgraded), indices.make(upgraded)] == [True, False]
        assert not any(index.differences(upgraded).values())
        assert upgraded.index.count() == 20
