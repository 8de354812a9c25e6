"""Two workers with the same work, at the same time, leave what one would have left."""

import os
import threading
import uuid

import psycopg
import pytest
import state
from line import STAGES, run_line

REPETITIONS = int(os.environ.get("VEILLE_REPETITIONS", "50"))

pytestmark = [pytest.mark.slow, pytest.mark.crash]


def clone(server, source):
    """A database with the contents of another."""
    name = f"clone_{uuid.uuid4().hex[:12]}"
    with psycopg.connect(server.url("postgres"), autocommit=True) as connection:
        connection.execute(f'create database "{name}" template "{source}"')
    return name


def drop(server, name):
    with psycopg.connect(server.url("postgres"), autocommit=True) as connection:
        connection.execute(f'drop database "{name}" with (force)')


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
