"""The index on a search server and the store: whatever differs between them is named, and mended."""

import itertools
import json
import os
import threading
import time

import pytest
import shelves
from draining import assert_whole, together

from pipeline.search.elasticsearch.generations import TEMPLATE, Generations
from pipeline.search.elasticsearch.index import ElasticsearchIndex
from pipeline.stages import index
from pipeline.store import REBUILD, articles

pytestmark = [pytest.mark.elasticsearch, pytest.mark.slow, pytest.mark.timeout(900)]

TRIALS = bool(os.environ.get("VEILLE_TRIALS"))  # the full counts of `make trials`


@pytest.fixture
def runtime(on_server):
    """A library on the server, with an empty index."""
    return on_server


# Refusals


# What makes the engine refuse a document of ours, by the column from which it comes.
POISON = {
    "section": "x" * 33_000,  # a keyword that is too long
    "modified": "2024-05-02",  # a date in another form than the index wants
    "image": "https://presse.test/a.jpg",  # of another type than the index has
}


def strict(engine, tmp_path):
    """The index as of a template with less patience for these three fields."""
    body = json.loads(TEMPLATE.read_text())
    fields = body["template"]["mappings"]["properties"]
    del fields["section"]["ignore_above"]
    fields["modified"] = {"type": "date", "format": "yyyy"}
    fields["image"] = {"type": "long"}
    path = tmp_path / "strict.json"
    path.write_text(json.dumps(body))
    connection = engine.connection()
    return ElasticsearchIndex(connection, engine.name, Generations(connection, engine.name, path))


def poisoned(runtime, count):
    """So many articles; one of 500 is poison, of one kind after the other. The last one has 5 MB."""
    shelves.fill(runtime, count)
    with runtime.store.transaction("poison") as tx:
        ids = articles.all_ids(tx, after=0, limit=count)
        found = dict(zip(ids[250::500], itertools.cycle(POISON), strict=False))
        of_article = "where entry_id = (select entry_id from article where id = %s)"
        for id_, column in found.items():
            tx.execute(f"update revision set {column} = %s {of_article}", [POISON[column], id_])
        tx.execute(f"update revision set text = %s {of_article}", [HUGE, ids[-1]])
    return {str(id_): column for id_, column in found.items()}, str(ids[-1])


HUGE = "mot " * 1_300_000


def test_the_poison_is_named_and_can_be_offered_again(engine, open_on_server, tmp_path):
    """Of 500 documents one is poison; all others are there, the longest one with all of its text."""
    count = 10_000 if TRIALS else 2_000
    runtime = open_on_server()
    runtime.index = strict(engine, tmp_path)
    index.set_up(runtime)
    poison, huge = poisoned(runtime, count)
    assert set(poison.values()) == POISON.keys()

    assert index.drain(runtime, "run") == count - len(poison)

    assert index.differences(runtime)["refused"] == sorted(poison)
    assert runtime.index.count() == count - len(poison)
    for id_, reason in index.reasons(runtime).items():
        assert poison[id_] in reason
    client = engine.connection().ask
    [hit] = client.search(index=engine.name, query={"term": {"id": huge}})["hits"]["hits"]
    assert hit["_source"]["text"] == HUGE

    offered, still = index.retry(runtime, "retry")
    assert offered == len(poison)
    assert still.keys() == poison.keys()
    usual = open_on_server()
    usual.index.setup()
    index.rebuild(usual)
    assert index.retry(usual, "retry")[1] == {}
    assert_whole(usual, count)


# The index and the store


def hashes(engine):
    """A name for the contents of each document, by id."""
    client = engine.connection().ask
    client.indices.refresh(index=engine.name)
    found = client.search(index=engine.name, size=10_000, source=["content_hash"]).body["hits"]["hits"]
    return {hit["_id"]: hit["_source"]["content_hash"] for hit in found}


def test_an_index_that_was_dropped_is_made_again(engine, runtime):
    shelves.fill(runtime, 300)
    index.drain(runtime, "run")
    before = hashes(engine)
    client = engine.connection().ask
    for name in client.indices.get_alias(name=engine.name).body:
        client.indices.delete(index=name)

    assert index.rebuild(runtime) == 300

    assert hashes(engine) == before
    assert len(before) == 300
    assert_whole(runtime, 300)


def test_what_was_deleted_by_hand_is_restored(engine, runtime):
    """And what nobody knows of is deleted."""
    shelves.fill(runtime, 300)
    index.drain(runtime, "run")
    before = hashes(engine)
    client = engine.connection().ask
    [name] = [name for name in client.indices.get_alias(name=engine.name).body if "-2025-" in name]
    for id_ in sorted(hit["_id"] for hit in client.search(index=name, size=50)["hits"]["hits"]):
        client.delete(index=name, id=id_)
    client.index(index=name, id="stray", document={"id": "stray"}, version=7, version_type="external")

    done = index.reconcile(runtime, "reconcile")
    assert done.mended == {"left over": 1, "missing": 50}
    assert not any(done.left.values())

    assert hashes(engine) == before
    assert_whole(runtime, 300)
    assert index.reconcile(runtime, "reconcile").mended == {}


def behind(engine, year):
    """The index of that year."""
    names = engine.connection().ask.indices.get_alias(name=engine.name).body
    return next(name for name in names if f"-{year}-" in name)


def test_what_was_deleted_at_a_high_version_is_restored(engine, runtime):
    """The deletion keeps out all that is older, and its version cannot be asked for."""
    shelves.fill(runtime, 60)
    index.drain(runtime, "run")
    client, name = engine.connection().ask, behind(engine, 2025)
    found = client.search(index=name, size=3, sort=["id"])["hits"]["hits"]
    for hit, version in zip(found, (3, 400, 90_000), strict=True):
        client.delete(index=name, id=hit["_id"], version=version, version_type="external")

    assert index.reconcile(runtime, "reconcile").mended == {"missing": 3}
    assert_whole(runtime, 60)


def test_what_stands_twice_is_seen_and_stands_once_after(engine, runtime):
    """Older or newer, in the index of another year."""
    shelves.fill(runtime, 60)
    index.drain(runtime, "run")
    client, name = engine.connection().ask, behind(engine, 2025)
    [first, second] = sorted(
        hit["_id"] for hit in client.search(index=name, size=2, sort=["id"])["hits"]["hits"]
    )
    for id_, version in ((first, 1), (second, 9)):
        source = client.get(index=name, id=id_)["_source"]
        other = behind(engine, 2024)
        client.index(index=other, id=id_, document=source, version=version, version_type="external_gte")

    assert index.differences(runtime)["doubled"] == [first, second]
    assert index.reconcile(runtime, "reconcile").mended == {"doubled": 2}
    assert_whole(runtime, 60)


def test_a_merged_article_leaves_the_index_and_stays_out(runtime):
    shelves.fill(runtime, 2)
    index.drain(runtime, "run")
    with runtime.store.transaction("stale") as tx:
        [first, second] = articles.all_ids(tx, after=0, limit=2)
        stale, _ = articles.documents(tx, [second], runtime.catalogue)
        articles.merge(tx, second, into=first)
        articles.touch(tx, [first, second], now=runtime.now())
    index.drain(runtime, "run")
    assert runtime.index.put(stale).later == ()

    assert set(runtime.index.versions()) == {str(first)}


SWAPS = 3  # at least, while it is searched
WRITES = 200 if TRIALS else 50  # documents a second at least, meanwhile


def test_a_rebuild_under_searches_and_writes_is_seen_by_nobody(open_on_server, runtime):
    """No search finds less or more than all; no write is lost."""
    count, searches = (20_000, 1_000) if TRIALS else (2_000, 200)
    shelves.fill(runtime, count)
    index.drain(runtime, "run")
    totals, written, swaps, over = [], [], [], threading.Event()
    started = time.monotonic()

    def search():
        own = open_on_server()
        while len(totals) < searches or (len(swaps) < SWAPS and time.monotonic() < started + 300):
            totals.append(own.index.search("port", limit=0).total)

    def write():
        own = open_on_server()
        while not over.is_set():
            with own.store.transaction("touch") as tx:
                ids = articles.all_ids(tx, after=len(written) * 37 % count, limit=100)
                articles.touch(tx, ids, now=own.now())
            index.drain(own, "writer")
            written.append(len(ids))

    def rebuild():
        own = open_on_server()
        while not over.is_set():
            swaps.append(index.rebuild(own))

    with together(write, rebuild):
        try:
            with together(search, search):
                pass
            swapped, rate = len(swaps), sum(written) / (time.monotonic() - started)
        finally:
            over.set()

    assert set(totals) == {count}
    assert swapped >= SWAPS
    assert rate >= WRITES
    assert_whole(runtime, count)


def test_a_drain_during_the_first_rebuild_is_no_error(open_on_server):
    """There is nothing to search yet; what it wrote is there when there is."""
    new = open_on_server()
    new.index.setup()
    shelves.fill(new, 20)
    with new.store.session_lock(REBUILD, wait_seconds=1):
        generation = new.index.begin_rebuild()
        assert index.drain(new, "run") == 20
        new.index.finish_rebuild(generation)
    assert_whole(new, 20)
