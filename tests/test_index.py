"""The last stage: what was saved comes into the index, whoever dies over it, and what does not is named."""

import json
import os
import signal
import subprocess
from dataclasses import replace

import pytest
from offspring import VEILLE
from readings import COURRIER, GAZETTE, opened, prose, read, settle

from pipeline.checkup import all_checks
from pipeline.model import Tombstone
from pipeline.search.tantivy import TantivyIndex
from pipeline.stages import index
from pipeline.store import REBUILD, articles, leases, outbox

pytestmark = pytest.mark.slow


@pytest.fixture
def runtime(open_runtime, tmp_path):
    """A library of two articles, both in the index."""
    opened_ = opened(open_runtime, tmp_path)
    settle(opened_, read(f"{GAZETTE}/pont", prose("pont")), read(f"{COURRIER}/bal", prose("bal")))
    return opened_


@pytest.fixture
def veille(tmp_path, database_url):
    """Runs a command on this library."""
    settings = {
        "VEILLE_HOME": str(tmp_path / "home"),
        "VEILLE_CONFIG": str(tmp_path / "config"),
        "VEILLE_DATABASE_URL": database_url,
    }

    def run(*arguments, stderr=None, capture_output=False, **environment):
        return subprocess.run(
            [*VEILLE, *arguments],
            env=os.environ | settings | environment,
            stderr=stderr,
            capture_output=capture_output,
            check=False,
        )

    return run


def saved_again(runtime):
    """All documents changed; the index has not heard of it."""
    with runtime.store.transaction("touch") as tx:
        ids = articles.all_ids(tx, after=0, limit=10)
        articles.touch(tx, ids, now=runtime.now())
    return ids


def claimed(runtime, lease):
    """A writer claimed all that waits, for so many seconds, and read it; it does no more by itself.

    Returns its token and the documents.
    """
    with runtime.store.transaction("claim") as tx:
        token = leases.new_token(tx)
        ids = outbox.claim(tx, token=token, lease=lease, now=runtime.now(), limit=10)
        living, _ = articles.documents(tx, ids, runtime.catalogue)
    return token, living


def test_what_a_dead_writer_held_is_written_by_the_next(runtime):
    """Its lease is waited for: a run that ended before would succeed without the documents."""
    ids = saved_again(runtime)
    assert len(claimed(runtime, lease=1)[1]) == len(ids) == 2

    assert index.drain(runtime, "next") == 2

    assert set(runtime.index.versions().values()) == {max(runtime.index.versions().values())}
    assert not any(index.differences(runtime).values())


@pytest.mark.crash
def test_an_import_that_was_killed_over_the_index_is_found_after_the_next_run(runtime, tmp_path, veille):
    """The documents were claimed and read when the process died."""
    file = tmp_path / "articles.ndjson"
    text = "Le conseil municipal a voté mardi la réfection de la halle, fermée depuis l'hiver dernier."
    file.write_text(json.dumps({"url": f"{GAZETTE}/halle", "title": "La halle", "text": text}))
    lease = {"VEILLE_LEASE_SECONDS": "12"}  # longer than the next run takes to come so far
    killed = veille("documents", "import", str(file), **lease, VEILLE_FAILPOINT="after_commit_read_documents")
    assert killed.returncode == -signal.SIGKILL
    assert runtime.index.count() == 2

    assert veille("ingest", **lease).returncode == 0
    assert runtime.index.count() == 3


def refused(runtime, token, documents):
    with runtime.store.transaction("refuse") as tx:
        outbox.quarantine(tx, token, {int(d.id): (d.version, "too long a word") for d in documents})


def test_a_document_that_was_corrected_while_it_was_refused_is_written(runtime):
    """The refusal is of the version that was read; the other document stays refused."""
    ids = saved_again(runtime)
    token, read_before = claimed(runtime, lease=0)
    with runtime.store.transaction("correct") as tx:
        articles.touch(tx, ids[:1], now=runtime.now())
    refused(runtime, token, read_before)

    assert index.drain(runtime, "next") == 1
    assert index.differences(runtime)["refused"] == [str(ids[1])]


def doctor(runtime):
    [check] = [check for check in all_checks(runtime) if check.what == "index"]
    return check.state, check.found, check.hint


def test_what_waits_is_named_and_is_not_equal(runtime):
    """With its number and age, and with the command that writes it."""
    assert doctor(runtime) == ("ok", "2 documents, as many as in the store", "")
    ids = saved_again(runtime)
    claimed(runtime, lease=0)
    with runtime.store.transaction("age") as tx:
        tx.execute("update outbox set queued_at = queued_at - interval '2 hours'")

    assert index.differences(runtime)["waiting"] == [str(id_) for id_ in ids]
    state, found, hint = doctor(runtime)
    assert state == "warning"
    assert found.startswith("2 documents, 2 waiting, the oldest for 2:00:0")
    assert hint == "veille ingest"

    index.drain(runtime, "next")
    assert not any(index.differences(runtime).values())
    assert doctor(runtime)[0] == "ok"


def test_the_doctor_sees_lost_and_refused_documents(runtime):
    """In figures alone; what waits explains as many as it counts."""
    ids = saved_again(runtime)
    runtime.index.delete([Tombstone(str(ids[0]), 99)])
    assert doctor(runtime)[0] == "warning"
    index.drain(runtime, "next")

    runtime.index.delete([Tombstone(str(ids[0]), 99)])
    assert doctor(runtime) == ("failed", "1 document; the store has 2", "veille index reconcile")

    index.rebuild(runtime)
    saved_again(runtime)
    token, living = claimed(runtime, lease=0)
    refused(runtime, token, living[:1])
    index.drain(runtime, "next")
    assert doctor(runtime) == ("failed", "2 documents, 1 refused", "veille index check")


class Disturbed(TantivyIndex):
    """Once, right after the versions were read, somebody else writes."""

    def __init__(self, folder, disturb):
        super().__init__(folder)
        self.disturb = disturb

    def versions(self):
        found = super().versions()
        disturb, self.disturb = self.disturb, lambda: None
        disturb()
        return found


def test_what_is_written_while_it_is_compared_is_no_difference(runtime):
    """Between the reading of the index and that of the store all documents get a new version."""

    def write():
        saved_again(runtime)
        index.drain(runtime, "other")

    lost, _ = sorted(runtime.index.versions())
    runtime.index = Disturbed(runtime.settings.home / "index", write)
    assert not any(index.differences(runtime).values())

    runtime.index.delete([Tombstone(lost, 99)])
    assert index.differences(runtime)["missing"] == [lost]


def test_why_a_document_is_refused_is_said_wherever_it_is_named(runtime, veille):
    """For people and for programs."""
    saved_again(runtime)
    token, living = claimed(runtime, lease=0)
    refused(runtime, token, living[:1])
    index.drain(runtime, "next")
    told, asked = (veille("index", "check", *how, capture_output=True) for how in ([], ["--json"]))

    assert f"\n  {living[0].id}: too long a word\n".encode() in told.stdout
    assert told.stdout.endswith("→ veille index retry\n".encode())
    assert json.loads(asked.stdout)["reasons"] == {living[0].id: "too long a word"}


def test_reconcile_writes_above_what_the_index_has_seen(runtime):
    """Also where the store is older than the index: no rebuild is needed."""
    first, second = sorted(runtime.index.versions())
    with runtime.store.transaction("read") as tx:
        living, _ = articles.documents(tx, [int(first)], runtime.catalogue)
    runtime.index.put([replace(living[0], version=70), replace(living[0], id="99", version=3)])
    runtime.index.delete([Tombstone(second, 99)])

    done = index.reconcile(runtime, "reconcile")

    assert done.mended == {"another version": 1, "left over": 1, "missing": 1}
    assert not any(done.left.values())
    assert runtime.index.versions()[first] == 71
    assert not any(index.differences(runtime).values())
    assert index.reconcile(runtime, "again").mended == {}


class Stubborn(TantivyIndex):
    """An engine that forgets one document again and again."""

    def put(self, documents, *, generation=""):
        return super().put([one for one in documents if one.id != self.lost], generation=generation)


def test_reconcile_does_not_call_mended_what_is_not(runtime):
    lost, other = sorted(runtime.index.versions())
    runtime.index = Stubborn(runtime.settings.home / "index")
    runtime.index.lost = lost
    runtime.index.delete([Tombstone(lost, 99), Tombstone(other, 99)])

    done = index.reconcile(runtime, "reconcile")

    assert done.mended == {"missing": 1}
    assert done.left["missing"] == [lost]


def test_a_rebuild_that_was_broken_off_is_named_and_ended(runtime, veille):
    """Not one that goes on. Until it is ended, everything is written twice."""
    runtime.index.begin_rebuild()
    with runtime.store.session_lock(REBUILD, wait_seconds=1):
        assert doctor(runtime)[0] == "ok"
        index.drain(runtime, "next")
        assert runtime.index.rebuilding()

    assert doctor(runtime) == ("warning", "2 documents, a rebuild that was broken off", "veille ingest")
    assert b"a rebuild was broken off" in veille("index", "check", capture_output=True).stdout
    index.drain(runtime, "next")
    assert not runtime.index.rebuilding()
    assert doctor(runtime)[0] == "ok"


def test_the_check_fails_over_what_waits(runtime, veille):
    """For people and for programs."""
    ids = saved_again(runtime)
    told, asked = (veille("index", "check", *how, capture_output=True) for how in ([], ["--json"]))

    assert told.returncode == asked.returncode == 1
    assert b"waiting: 2, the oldest for 0:00:" in told.stdout
    assert told.stdout.endswith("→ veille ingest\n".encode())
    said = json.loads(asked.stdout)
    assert said["waiting"] == [str(id_) for id_ in ids]
    assert said["oldest_waiting"] > 0


def test_a_rebuild_tells_how_far_it_is(runtime, monkeypatch):
    """Each batch once it is written; together, all documents."""
    monkeypatch.setattr(index, "BATCH", 1)
    told = []

    assert index.rebuild(runtime, advance=told.append) == 2
    assert told == [1, 1]


def test_a_rebuild_shows_its_total_on_a_terminal(runtime, veille):
    master, terminal = os.openpty()
    veille("index", "rebuild", stderr=terminal)
    shown = os.read(master, 4096)
    os.close(terminal)
    os.close(master)

    assert b"/2" in shown
