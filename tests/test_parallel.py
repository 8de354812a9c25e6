"""Two workers with the same work, at the same time, leave what one would have left."""

import json
import os
import threading

import pytest
import state
from databases import clone, drop
from line import STAGES, run_line

from pipeline.stages import deduplicate, documents, extract, fetch, index, tag

REPETITIONS = int(os.environ.get("VEILLE_REPETITIONS", "50"))

pytestmark = [pytest.mark.slow, pytest.mark.crash, pytest.mark.timeout(900)]


@pytest.fixture
def small_batches(monkeypatch):
    """A few entries at a time, so that the newsroom is work for two."""
    for stage in (deduplicate, extract, tag):
        monkeypatch.setattr(stage, "BATCH", 2)
    monkeypatch.setattr(index, "BATCH", 4)
    monkeypatch.setattr(fetch, "AT_ONCE", 2)


@pytest.mark.usefixtures("small_batches")
@pytest.mark.parametrize("stage", STAGES)
def test_a_stage_run_twice_at_once_ends_as_if_run_once(
    stage, server, template, open_runtime, first_edition, tmp_path
):
    """Same keys, texts, revisions, edges, tags and documents, 50 times over."""
    before = clone(server, template)
    home = tmp_path / "home"
    earlier = STAGES[: STAGES.index(stage)]
    prepared = open_runtime(server.url(before), home)
    run_line(prepared, earlier)
    prepared.store.close()
    once = clone(server, before)
    expected = state.of(_after(open_runtime(server.url(once), home), stage))
    for _ in range(REPETITIONS):
        name = clone(server, before)
        runtimes = [open_runtime(server.url(name), home) for _ in range(2)]
        _at_once(runtimes, stage)

        assert state.of(runtimes[0]) == expected
        for runtime in runtimes:
            runtime.store.close()
        drop(server, name)


@pytest.mark.usefixtures("small_batches")
def test_copies_that_are_compared_at_the_same_time_find_each_other(server, template, open_runtime, tmp_path):
    """Articles that all share one text: no edge is missing, whoever compared them."""
    before = clone(server, template)
    prepared = open_runtime(server.url(before), tmp_path / "home")
    run = run_line(prepared, [])
    documents.take(prepared, run, [documents.parse(line) for line in dispatches(24)])
    prepared.store.close()
    for _ in range(max(1, REPETITIONS // 5)):
        name = clone(server, before)
        runtimes = [open_runtime(server.url(name), tmp_path / "home") for _ in range(2)]
        _at_once(runtimes, "deduplicate")

        with runtimes[0].store.transaction("look") as tx:
            assert tx.execute("select count(*) as n from copy").fetchone()["n"] == 24 * 23 // 2
        for runtime in runtimes:
            runtime.store.close()
        drop(server, name)


def dispatches(count):
    """One dispatch in so many papers, each with a head of its own."""
    said = " ".join(f"Le quai {n} du port a rouvert après {n + 3} jours de travaux." for n in range(40))
    for n in range(count):
        head = f"La rédaction {n} ajoute que la criée {n * 7} reprend. "
        record = {
            "url": f"https://journal-{n}.example/port",
            "title": f"Le port, vu de {n}",
            "text": head + said,
        }
        yield json.dumps(record).encode()


def _after(runtime, stage):
    run_line(runtime, [stage])
    return runtime


def _at_once(runtimes, stage):
    """Run the stage in all runtimes at the same moment; raise what any of them raised."""
    barrier = threading.Barrier(len(runtimes))
    failures = []

    def work(runtime):
        barrier.wait()
        try:
            run_line(runtime, [stage])
        except Exception as error:  # noqa: BLE001  handed to the test
            failures.append(error)

    threads = [threading.Thread(target=work, args=(runtime,)) for runtime in runtimes]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if failures:
        raise failures[0]
