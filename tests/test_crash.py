"""The line killed with SIGKILL at any moment, then started again: nothing lost, nothing doubled."""

import os
import random
import signal
import subprocess
import time
from pathlib import Path

import pytest
import state
from offspring import PROGRAM

from pipeline.archive import Pointer
from pipeline.stages import index

RANDOM_KILLS = int(os.environ.get("VEILLE_CRASHES", "40"))  # at moments drawn by chance
KILLS_EACH = 2  # the second one while what the first left is being mended
SEED = int(os.environ.get("VEILLE_SEED", "1"))
NAMED = [
    *("after_fetch", "after_fetch#7", "after_archive", "after_archive#9"),
    *("inside_archive_write", "inside_archive_write#5", "inside_archive_write#20"),
    *(
        f"{side}_commit_{name}"
        for side in ("before", "after")
        for name in (
            "start",
            "sync",
            "new_token#2",
            "hold#2",
            "save_robots",
            "asked#6",
            "discover",
            "claim_host#2",
            "turn#9",
            "fetch#5",
            "claim#3",
            "extract",
            "deduplicate",
            "tag",
            "acknowledge",
            "release#4",
            "timing",
        )
    ),
    "after_index_write",
    "inside_migration",
]
LINE = Path(__file__).parent / "line.py"

pytestmark = [pytest.mark.slow, pytest.mark.crash]


@pytest.fixture(scope="session")
def whole(press, server, template, workers, tmp_path_factory):
    """The state that a line that nobody disturbed leaves, and the seconds that it takes."""
    from test_parallel import clone

    press.publish_edition(1)
    home = tmp_path_factory.mktemp("whole")
    url = server.url(clone(server, template))
    started = time.monotonic()
    finished = run_to_end(press, url, home)
    seconds = time.monotonic() - started
    assert finished == 0
    return observed(press, url, home), seconds


def environment(press, url, home, failpoint=""):
    return os.environ | {
        "VEILLE_HOME": str(home),
        "VEILLE_CONFIG": str(press.config),
        "VEILLE_DATABASE_URL": url,
        "VEILLE_ALLOW_HOSTS": ",".join(press.hosts),
        "VEILLE_HOST_GAP_SECONDS": "0",
        "VEILLE_LEASE_SECONDS": "1",
        "VEILLE_FAILPOINT": failpoint,
        "VEILLE_LOG": "text",
    }


def run_to_end(press, url, home, failpoint=""):
    """Run the line; return its exit code."""
    return subprocess.run(
        [*PROGRAM, str(LINE)],
        env=environment(press, url, home, failpoint),
        stderr=subprocess.DEVNULL,
        check=False,
        timeout=180,
    ).returncode


def run_and_kill(press, url, home, after):
    """Run the line and kill it after so many seconds."""
    process = subprocess.Popen(
        [*PROGRAM, str(LINE)], env=environment(press, url, home), stderr=subprocess.DEVNULL
    )
    try:
        process.wait(after)
    except subprocess.TimeoutExpired:
        process.kill()
    process.wait()


def observed(press, url, home):
    """The final state; on the way every promise about it is checked."""
    from pipeline.runtime import Runtime
    from pipeline.settings import from_environment

    settings = from_environment(environment(press, url, home))
    with Runtime(settings) as runtime:
        with runtime.store.transaction("look") as tx:
            pointers = tx.execute(
                "select archive_file as f, archive_offset as o, archive_length as l from page"
                " where archive_file is not null union all"
                " select archive_file, archive_offset, archive_length from poll"
                " where archive_file is not null"
            ).fetchall()
        assert pointers
        for row in pointers:
            assert runtime.archive.read(Pointer(row["f"], row["o"], row["l"]))[1]
        assert not any(index.differences(runtime).values())
        return state.of(runtime)


@pytest.mark.parametrize("point", NAMED)
def test_killed_at_a_named_point(point, whole, press, server, template, tmp_path):
    """Killed there and started again, the line ends where an undisturbed one does."""
    from test_parallel import clone, drop

    press.publish_edition(1)
    if point == "inside_migration":
        server.create_database("migrating")
        name = "migrating"
    else:
        name = clone(server, template)
    killed = run_to_end(press, server.url(name), tmp_path, point)
    assert killed == -signal.SIGKILL, "the point was reached"
    assert run_to_end(press, server.url(name), tmp_path) == 0

    assert observed(press, server.url(name), tmp_path) == whole[0]
    drop(server, name)


@pytest.mark.parametrize("number", range(RANDOM_KILLS // KILLS_EACH))
def test_killed_at_a_random_moment(number, whole, press, server, template, tmp_path):
    """Killed at moments drawn by chance, the line still ends where it must."""
    from test_parallel import clone, drop

    press.publish_edition(1)
    chance = random.Random(f"{SEED}-{number}")
    name = clone(server, template)
    for _ in range(KILLS_EACH):
        run_and_kill(press, server.url(name), tmp_path, chance.uniform(0.3, whole[1]))
    assert run_to_end(press, server.url(name), tmp_path) == 0

    assert observed(press, server.url(name), tmp_path) == whole[0]
    drop(server, name)


def test_the_plain_line_is_a_reference(whole, press):
    """The undisturbed line has read the whole newsroom."""
    found, _ = whole

    assert len(found["documents"]) > 20
    assert found["outbox"] == 0
    assert {stage for stage, _ in found["entries"].values()} == {"done"}
