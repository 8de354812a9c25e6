"""The writer of a real search server on bad days: nothing lost, nothing doubled, the server left in peace."""

import asyncio
import base64
import contextlib
import json
import logging
import os
import signal
import subprocess
import tempfile
import threading
import time
from dataclasses import dataclass
from pathlib import Path

import pytest
import shelves
from engines import Elasticsearch
from faultproxy import FaultProxy
from offspring import VEILLE
from searchserver.server import Server
from waiting import eventually

from pipeline import search
from pipeline.errors import EngineTrouble, NotFound, VeilleError
from pipeline.runtime import Runtime
from pipeline.search import Refusal, Verdicts
from pipeline.search.elasticsearch.generations import TEMPLATE, Generations
from pipeline.search.elasticsearch.index import ElasticsearchIndex
from pipeline.search.patience import LEAST, MOST, Patience
from pipeline.stages import index
from pipeline.store import articles, outbox

pytestmark = [pytest.mark.elasticsearch, pytest.mark.slow, pytest.mark.timeout(900)]

TRIALS = bool(os.environ.get("VEILLE_TRIALS"))  # the full counts of `make trials`
DUE = 10_000 if TRIALS else 2_000  # documents
FAULT_SECONDS = 30 if TRIALS else 10
WRITERS = 2


@pytest.fixture
def engine(elasticsearch_server):
    made = Elasticsearch(elasticsearch_server)
    yield made
    made.remove()


@pytest.fixture
def opened(engine, tmp_path, database_url):
    """Opens runtimes of one library on the server."""
    with contextlib.ExitStack() as stack:

        def runtime(address=engine.address, **changes):
            on_server = {
                "index_url": address.url,
                "index_user": address.user,
                "index_password": address.password,
                "index_name": engine.name,
            }
            settings = shelves.settings(tmp_path / "home", database_url, **on_server | changes)
            return stack.enter_context(Runtime(settings))

        yield runtime


@pytest.fixture
def runtime(opened):
    """A library on the server, with an empty index."""
    runtime = opened()
    runtime.index.setup()
    index.ensure(runtime)
    return runtime


@contextlib.contextmanager
def writing(*runtimes):
    """Writers drain the outbox meanwhile; in the end they have, or what stopped them is raised."""
    failures = []

    def drain(runtime, name):
        try:
            index.drain(runtime, name)
        except BaseException as error:  # noqa: BLE001  raised below
            failures.append(error)

    threads = [
        threading.Thread(target=drain, args=(runtime, f"writer-{number}"))
        for number, runtime in enumerate(runtimes)
    ]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        for thread in threads:
            thread.join()
    for failure in failures:
        raise failure


def waiting(runtime):
    with runtime.store.transaction("look") as tx:
        return outbox.size(tx).waiting


def assert_whole(runtime, count):
    """The index holds each document once, at its version, and nothing is left to do."""
    assert not any(index.differences(runtime).values())
    assert runtime.index.count() == runtime.index.search("port", limit=0).total == count
    assert waiting(runtime) == 0


@pytest.mark.parametrize("fault", [*FaultProxy.FAULTS, "mixed"])
def test_faults_cost_time_and_nothing_else(fault, engine, opened, runtime):
    """At most one failing request a second and writer; 10 s after the fault the documents flow again."""
    shelves.fill(runtime, DUE)
    with FaultProxy(engine.address.url) as proxy:
        writers = [opened(index_url=proxy.url) for _ in range(WRITERS)]
        proxy.fault = fault
        with writing(*writers):
            time.sleep(FAULT_SECONDS)
            healed, left = time.monotonic(), waiting(runtime)
            proxy.fault = ""
        seen = list(proxy.seen)

    assert_whole(runtime, DUE)
    failed = [one for one in seen if one.fault not in ("", "items") and one.at < healed]
    assert len(failed) <= WRITERS * (FAULT_SECONDS + 1)
    assert failed or fault == "items"
    assert left > 0 or fault in {"items", "mixed"}  # these let some through, maybe all
    flowing = [one.at for one in seen if "_bulk" in one.path and not one.fault and one.at > healed - 1]
    assert not left or flowing[0] - healed <= 10


@pytest.fixture
def own_server():
    """A server of this test's own, to be killed."""
    folder = Path(tempfile.mkdtemp(prefix="veille-elasticsearch-own-"))
    folder.chmod(0o755)
    server = Server(folder)
    try:
        server.make()
        server.start()
        yield server
    finally:
        server.kill()
        server.remove()


@pytest.mark.crash
def test_a_server_that_is_killed_loses_nothing_that_it_had_taken(
    own_server, opened, monkeypatch, elasticsearch_server
):
    """And the writer goes on by itself once it is back."""
    monkeypatch.setattr(index, "BATCH", 50)
    runtime = opened(own_server.address)
    runtime.index.setup()
    index.ensure(runtime)
    shelves.fill(runtime, DUE)
    with writing(runtime):
        assert eventually(lambda: waiting(runtime) < DUE - 200, 60)
        own_server.kill()
        left = waiting(runtime)
        own_server.start()
    assert left > 0
    assert_whole(runtime, DUE)


def test_a_full_disk_is_waited_for(engine, runtime, caplog):
    """The server blocks its indices at the flood stage; nothing is lost, and it goes on by itself."""
    shelves.fill(runtime, 600)
    index.drain(runtime, "run")
    client = engine.connection().ask
    client.indices.put_settings(index=engine.name, settings={"index.blocks.read_only_allow_delete": True})
    shelves.all_again(runtime)
    with caplog.at_level(logging.INFO, logger="pipeline.search.patience"), writing(runtime):
        assert eventually(lambda: "in trouble" in caplog.text, 60)
        assert waiting(runtime) == 600
        client.indices.put_settings(index=engine.name, settings={"index.blocks.read_only_allow_delete": None})

    assert_whole(runtime, 600)
    assert "takes no writes for now" in str([record.__dict__ for record in caplog.records])
    assert "is back" in caplog.text


def test_patience_ends():
    """Waits lie apart at random; what lasts too long is raised; what was taken ends the trouble."""
    slept = []
    patience = Patience(sleep=slept.append)
    away = Verdicts(untold=("a",), trouble=EngineTrouble("away"))
    for _ in range(20):
        patience.heard(away, took_some=False)
    assert all(LEAST <= seconds <= MOST for seconds in slept)
    assert len(set(slept)) == 20

    slept.clear()
    busy = Verdicts(later=(Refusal("a", "busy"),))
    patience.heard(busy, took_some=True)
    assert slept[0] < 1
    for _ in range(10):
        patience.heard(busy, took_some=False)
    assert LEAST / 2 < slept[-1] <= MOST

    slept.clear()
    patience.heard(Verdicts(), took_some=True)
    assert slept == []

    impatient = Patience(gives_up=-1, sleep=slept.append)
    with pytest.raises(EngineTrouble, match="away"):
        impatient.heard(away, took_some=False)
    with pytest.raises(EngineTrouble, match="busy"):
        Patience(gives_up=-1, sleep=slept.append).heard(busy, took_some=False)


def test_patience_insists():
    """Until it is done, or for too long; other errors are none of its business."""
    slept, left = [], [EngineTrouble("away"), EngineTrouble("away")]

    def act():
        if left:
            raise left.pop()
        return "done"

    assert Patience(sleep=slept.append).insist(act) == "done"
    assert len(slept) == 2
    left = [EngineTrouble("away")]
    with pytest.raises(EngineTrouble):
        Patience(gives_up=-1, sleep=slept.append).insist(act)
    left = [NotFound("gone")]
    with pytest.raises(NotFound):
        Patience(sleep=slept.append).insist(act)


def test_a_run_without_a_server_ends_with_its_error_and_keeps_the_documents(opened, runtime):
    shelves.fill(runtime, 10)
    away = opened(index_url="http://127.0.0.1:9")
    with pytest.raises(EngineTrouble, match="does not answer"):
        index.drain(away, "run", patience=Patience(gives_up=-1))
    assert waiting(runtime) == 10

    index.drain(runtime, "run")
    assert_whole(runtime, 10)


def test_no_secret_is_logged(opened, runtime, engine, caplog):
    """Not even where everything is logged, whether the server answers, refuses or is away."""
    password = engine.address.password
    coded = base64.b64encode(f"{engine.address.user}:{password}".encode()).decode()
    shelves.fill(runtime, 5)
    with caplog.at_level(logging.DEBUG):
        index.drain(runtime, "run")
        for changes in (
            {"index_url": "http://127.0.0.1:9"},
            {"index_user": "nobody"},
            {"index_name": "veille-none"},
        ):
            with pytest.raises(VeilleError) as refused:
                opened(**changes).index.count()
            logging.getLogger("pipeline").error("as the command line does", exc_info=refused.value)
            assert password not in str(refused.value)
    assert "/_bulk" in caplog.text
    assert password not in caplog.text
    assert coded not in caplog.text


@dataclass
class SlowProxy(FaultProxy):
    """One that takes half a megabyte a second, and does not answer a batch with a certain word in it."""

    poison: bytes = b"never in a text"
    delay: float = 2e-6  # seconds a byte

    async def _pass(self, asked):
        if self.poison in asked.body:
            return await self._stall(asked)
        await asyncio.sleep(len(asked.body) * self.delay)
        return await super()._pass(asked)


def rewritten(runtime, text):
    """The id of the article that has this text now: the first one that will be written."""
    with runtime.store.transaction("rewrite") as tx:
        [first] = articles.all_ids(tx, after=0, limit=1)
        tx.execute(
            "update revision set text = %s where entry_id = (select entry_id from article where id = %s)",
            [text, first],
        )
    return str(first)


def test_a_huge_document_gets_the_time_that_it_needs(engine, opened, runtime):
    """5 MB at half a megabyte a second are more than the usual time; none has to be sent twice."""
    shelves.fill(runtime, 50)
    rewritten(runtime, "mot " * 1_300_000)
    with SlowProxy(engine.address.url) as proxy:
        assert index.drain(opened(index_url=proxy.url), "run") == 50
        assert len([one for one in proxy.seen if "_bulk" in one.path]) == 2
    assert_whole(runtime, 50)


def test_a_document_that_never_gets_through_stands_in_nobodys_way(engine, opened, runtime, monkeypatch):
    """Not in that of a rebuild either. It is named with the reason, and written once it can be."""
    monkeypatch.setattr(index, "SOON_SECONDS", 3.0)
    shelves.fill(runtime, 600)
    poison = rewritten(runtime, "poison " * 10)
    with SlowProxy(engine.address.url, delay=0, poison=b"poison poison") as proxy:
        slow = opened()
        slow.index = engine.open(url=proxy.url, write_seconds=1.0)
        assert index.drain(slow, "run", patience=Patience(sleep=lambda _: None)) == 599
        found = index.differences(runtime)
        assert found["waiting"] == [poison]
        with runtime.store.transaction("look") as tx:
            assert "did not answer in time" in outbox.waiting(tx)[poison]

        with pytest.raises(EngineTrouble, match="did not answer in time"):
            index.retry(slow, "alone")
        monkeypatch.setattr(search, "Patience", lambda: Patience(sleep=lambda _: None))
        assert index.rebuild(slow) == 599
        assert index.differences(runtime)["waiting"] == [poison]
        slow.index.close()
    index.retry(runtime, "retry")
    assert_whole(runtime, 600)


# Refusals


def strict(engine, tmp_path):
    """The index as of a template that takes no long sections."""
    body = json.loads(TEMPLATE.read_text())
    del body["template"]["mappings"]["properties"]["section"]["ignore_above"]
    path = tmp_path / "strict.json"
    path.write_text(json.dumps(body))
    connection = engine.connection()
    return ElasticsearchIndex(connection, engine.name, Generations(connection, engine.name, path))


def test_the_poison_is_named_and_can_be_offered_again(engine, opened, tmp_path):
    """Of 500 documents one has a word of 33 KB where the engine takes none."""
    runtime = opened()
    runtime.index = strict(engine, tmp_path)
    runtime.index.setup()
    index.ensure(runtime)
    shelves.fill(runtime, 500)
    with runtime.store.transaction("poison") as tx:
        tx.execute(
            "update revision set section = repeat('x', 33000) where entry_id = (select max(id) from entry)"
        )
        [last] = tx.execute("select max(id) as id from article").fetchall()
    index.drain(runtime, "run")

    poisoned = str(last["id"])
    assert index.differences(runtime)["refused"] == [poisoned]
    assert runtime.index.count() == 499
    with runtime.store.transaction("look") as tx:
        assert "immense term" in outbox.refused(tx)[poisoned]

    offered, still = index.retry(runtime, "retry")
    assert offered == 1
    assert "immense term" in still[poisoned]
    usual = opened()
    usual.index.setup()
    index.rebuild(usual)
    assert index.retry(usual, "retry")[1] == {}
    assert_whole(usual, 500)


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
    ids = sorted(runtime.index.versions())[-3:]
    for id_, version in zip(ids, (3, 400, 90_000), strict=True):
        client.delete(index=name, id=id_, version=version, version_type="external")

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


def test_a_rebuild_under_searches_and_writes_is_seen_by_nobody(opened, runtime):
    """No search finds less or more than all; no write is lost."""
    count, searches = (20_000, 1_000) if TRIALS else (2_000, 200)
    shelves.fill(runtime, count)
    index.drain(runtime, "run")
    totals, over, written = [], threading.Event(), []

    def search():
        own = opened()
        totals.extend(own.index.search("port", limit=0).total for _ in range(searches // 2))

    def write():
        own = opened()
        while not over.is_set():
            with own.store.transaction("touch") as tx:
                ids = articles.all_ids(tx, after=len(written) * 37 % count, limit=20)
                articles.touch(tx, ids, now=own.now())
            index.drain(own, "writer")
            written.append(len(ids))

    def rebuild():
        own = opened()
        while not over.is_set():
            index.rebuild(own)

    searching = [threading.Thread(target=search) for _ in range(2)]
    working = [threading.Thread(target=work) for work in (write, rebuild)]
    for thread in (*searching, *working):
        thread.start()
    for thread in searching:
        thread.join()
    over.set()
    for thread in working:
        thread.join()

    assert totals == [count] * (searches // 2 * 2)
    assert sum(written) > 0
    assert_whole(runtime, count)


@pytest.mark.crash
@pytest.mark.parametrize(
    "point", ["between_bulks", "after_index_write", "before_commit_acknowledge", "after_commit_acknowledge"]
)
def test_a_writer_that_is_killed_is_followed_by_another(point, engine, runtime, tmp_path, database_url):
    """Wherever it dies, in the middle of a batch too."""
    shelves.fill(runtime, 600, sentences=200)  # 5 KB each: a batch is more than a request may hold
    environment = os.environ | {
        "VEILLE_HOME": str(tmp_path / "home"),
        "VEILLE_CONFIG": str(runtime.settings.config),
        "VEILLE_DATABASE_URL": database_url,
        "VEILLE_INDEX_URL": engine.address.url,
        "VEILLE_INDEX_USER": engine.address.user,
        "VEILLE_INDEX_PASSWORD": engine.address.password,
        "VEILLE_INDEX_NAME": engine.name,
        "VEILLE_LEASE_SECONDS": "1",
    }
    command = [*VEILLE, "index", "retry"]
    killed = subprocess.run(command, env=environment | {"VEILLE_FAILPOINT": point}, check=False)
    assert killed.returncode == -signal.SIGKILL
    assert waiting(runtime) > 0

    subprocess.run(command, env=environment, check=True)
    assert_whole(runtime, 600)
