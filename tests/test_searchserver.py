"""The Elasticsearch of the tests: one for all processes of a run, and nothing of it stays."""

import os
import signal
import subprocess
import sys
import tempfile
import uuid
from pathlib import Path

import pytest
from conftest import ROOT
from searchserver import parts, server
from waiting import eventually

USER = """
import sys, time
from searchserver.sharing import shared
with shared(sys.argv[1]) as address:
    print(address.url, flush=True)
    time.sleep(3600)
"""


def user(run):
    command = [sys.executable, "-c", USER, run]
    return subprocess.Popen(command, cwd=ROOT / "tests", stdout=subprocess.PIPE, text=True)


def running(folder):
    """The processes whose command names the folder."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            if str(folder).encode() in path.read_bytes():
                found.append(path.parent.name)
        except OSError:
            continue
    return found


@pytest.mark.slow
@pytest.mark.elasticsearch
@pytest.mark.timeout(900)
def test_all_processes_of_a_run_share_a_server_that_ends_when_they_are_killed(elasticsearch_server):
    run = uuid.uuid4().hex[:8]
    folder = Path(tempfile.gettempdir()) / f"veille-elasticsearch-{run}"
    first, second = user(run), user(run)
    try:
        assert first.stdout.readline() == second.stdout.readline() != ""
        assert running(folder)
    finally:
        for process in (first, second):
            os.kill(process.pid, signal.SIGKILL)
            process.wait()
            process.stdout.close()

    assert eventually(lambda: not folder.exists(), 120)
    assert eventually(lambda: not running(folder), 60)


STARTER = """
import sys
from searchserver.parts import Lacking
from searchserver.sharing import shared
try:
    with shared(sys.argv[1]):
        pass
except Lacking as error:
    print(error)
"""


def test_who_had_the_supervisor_started_ends_without_a_warning_of_a_child(tmp_path):
    """The supervisor is the same with a server or, as here, for lack of Maven, without."""
    folder = tmp_path / "veille-elasticsearch-run"
    ended = subprocess.run(
        [sys.executable, "-W", "always", "-c", STARTER, "run"],
        cwd=ROOT / "tests",
        env=dict.fromkeys(["PATH", "XDG_CACHE_HOME", "TMPDIR"], str(tmp_path)),
        capture_output=True,
        text=True,
        check=True,
    )

    assert ended.stdout.startswith("no Elasticsearch for tests: ")
    assert ended.stderr == ""
    assert eventually(lambda: not folder.exists(), 60)
    assert eventually(lambda: not running(folder), 60)


def test_a_missing_jdk_is_named(monkeypatch):
    monkeypatch.setattr(parts, "JAVA", 999)
    with pytest.raises(parts.Lacking, match="it needs a JDK 999; set ES_JAVA_HOME to one"):
        parts.jdk()


def test_a_missing_maven_is_named(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(parts.Lacking, match="there is no mvn"):
        parts.unpack(tmp_path / "server", tmp_path)


def test_a_given_server_is_taken_apart_into_where_and_who():
    assert server.given("http://a:b%40c@localhost:9200") == server.Address(
        "http://localhost:9200", "a", "b@c"
    )
