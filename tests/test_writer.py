"""The writer of a real search server on bad days: nothing lost, nothing doubled, the server left in peace."""

import asyncio
import base64
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
from draining import assert_whole, rewritten, together, waiting, writing
from faultproxy import FaultProxy
from offspring import VEILLE
from searchserver.server import Server
from waiting import eventually

from pipeline import search
from pipeline.errors import EngineTrouble, NotFound, VeilleError
from pipeline.search import Refusal, Verdicts
from pipeline.search.patience import LEAST, MOST, Patience
from pipeline.stages import index
from pipeline.store import outbox

pytestmark = [pytest.mark.elasticsearch, pytest.mark.slow, pytest.mark.timeout(900)]

TRIALS = bool(os.environ.get("VEILLE_TRIALS"))  # the full counts of `make trials`
DUE = 10_000 if TRIALS else 2_000  # documents
FAULT_SECONDS = 30 if TRIALS else 10
WRITERS = 2


@pytest.fixture
def runtime(on_server):
    """A library on the server, with an empty index."""
    return on_server


@pytest.mark.parametrize("fault", [*FaultProxy.FAULTS, "mixed"])
def test_faults_cost_time_and_nothing_else(fault, engine, open_on_server, runtime):
    """At most one failing request a second and writer; 10 s after the fault the documents flow again."""
    shelves.fill(runtime, DUE)
    with FaultProxy(engine.address.url) as proxy:
        writers = [open_on_server(index_url=proxy.url) for _ in range(WRITERS)]
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


def documents_a_second(seen, since, seconds=5.0):
    """What got through in these seconds."""
    return sum(one.documents for one in seen if not one.fault and since <= one.at < since + seconds) / seconds


@pytest.mark.parametrize("fault", [*FaultProxy.FAULTS, "mixed"] if TRIALS else ["stall", "503"])
def test_ten_seconds_after_a_fault_all_is_as_fast_as_before(fault, engine, open_on_server, runtime):
    """There is always enough to write. Where the full counts are not asked for, half as fast is enough."""
    shelves.fill(runtime, 2_000)
    over = threading.Event()

    def write():
        while not over.is_set():
            index.drain(writer, "writer")

    def keep_busy():
        own = open_on_server()
        while not over.wait(0.1):
            if waiting(own) < 1_000:
                shelves.all_again(own)

    with FaultProxy(engine.address.url) as proxy:
        writer = open_on_server(index_url=proxy.url)
        with together(write, keep_busy):
            try:
                time.sleep(8)
                proxy.fault, began = fault, time.monotonic()
                time.sleep(FAULT_SECONDS)
                proxy.fault, healed = "", time.monotonic()
                time.sleep(16)
            finally:
                over.set()
        index.drain(writer, "writer")

    before, after = (documents_a_second(proxy.seen, since) for since in (began - 5, healed + 10))
    assert after >= before * (0.8 if TRIALS else 0.5)
    assert_whole(runtime, 2_000)


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
    own_server, open_on_server, monkeypatch, elasticsearch_server
):
    """And the writer goes on by itself once it is back."""
    monkeypatch.setattr(index, "BATCH", 50)
    runtime = open_on_server(own_server.address)
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
    patience.heard(Verdicts(untold=("a",)), took_some=True)
    assert max(slept) < 1
    assert len(slept) == 2
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


def test_a_run_without_a_server_ends_with_its_error_and_keeps_the_documents(open_on_server, runtime):
    shelves.fill(runtime, 10)
    away = open_on_server(index_url="http://127.0.0.1:9")
    with pytest.raises(EngineTrouble, match="does not answer"):
        index.drain(away, "run", patience=Patience(gives_up=-1))
    assert waiting(runtime) == 10

    index.drain(runtime, "run")
    assert_whole(runtime, 10)


def test_no_secret_is_logged(open_on_server, runtime, engine, caplog):
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
                open_on_server(**changes).index.count()
            logging.getLogger("pipeline").error("as the command line does", exc_info=refused.value)
            assert password not in str(refused.value)
    assert "/_bulk" in caplog.text
    assert password not in caplog.text
    assert coded not in caplog.text


@dataclass
class SlowProxy(FaultProxy):
    """One that takes its time, and never answers a batch with a certain word in it."""

    poison: bytes = b"never in a text"
    delay: float = 1.35e-6  # seconds a byte

    async def _pass(self, asked):
        if self.poison in asked.body:
            return await self._stall(asked)
        await asyncio.sleep(len(asked.body) * self.delay)
        return await super()._pass(asked)


def test_a_huge_document_gets_the_time_that_it_needs(engine, open_on_server, runtime):
    """5 MB take 7 s, which is more than the usual time; none has to be sent twice."""
    shelves.fill(runtime, 50)
    rewritten(runtime, "mot" + " ." * 2_600_000)  # hardly a word: the server itself is soon done
    with SlowProxy(engine.address.url) as proxy:
        assert index.drain(open_on_server(index_url=proxy.url), "run") == 50
        assert len([one for one in proxy.seen if "_bulk" in one.path]) == 2
    assert_whole(runtime, 50)


def test_a_document_that_never_gets_through_stands_in_nobodys_way(
    engine, open_on_server, runtime, monkeypatch
):
    """Not in that of a rebuild either. It is named with the reason, and written once it can be."""
    monkeypatch.setattr(index, "SOON_SECONDS", 3.0)
    shelves.fill(runtime, 600)
    poison = rewritten(runtime, "poison " * 10)
    with SlowProxy(engine.address.url, delay=0, poison=b"poison poison") as proxy:
        slow = open_on_server()
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
