"""Reading goes on in processes of its own: what hangs, swells, crashes or talks there harms nobody else."""

import os
import re
import select
import signal
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path

import pytest

from pipeline.errors import Defect, Transient, Unparsable
from pipeline.model import Article, Feed
from pipeline.workers import Workers

pytestmark = pytest.mark.slow  # each starts processes of its own

URL = "https://www.lephare.example/flux.xml"
# A library that misbehaves on a word in the text, in place of one that Veille calls for every title.
MISBEHAVING = """
import ctypes, os, re, sys

HERE = os.path.join(os.path.dirname(__file__), "here")  # a pipe, where a test waits for the child to get here

ONCE = os.path.join(os.path.dirname(__file__), "once")

def clean(text, **_):
    if "UNE FOIS" in text:
        if os.path.exists(ONCE):
            return text
        open(ONCE, "w").close()
    if "PEND" in text:
        if os.path.exists(HERE):
            open(HERE, "w").close()
        re.match(r"(a+)+$", "a" * 99 + "b")  # without end, in C, and no other thread gets its turn
    if "ENFLE" in text:
        bytearray(1 << 34)
    if "TOMBE" in text:
        os.abort()
    if "BAVARDE" in text:
        print("x" * 100_000)
        os.write(1, b"\\0\\0\\0\\2\\0\\0\\0\\0{}" * 1_000)
        os.write(2, b"x" * 1_000_000)
        ctypes.CDLL(None).puts(b"x" * 100_000)
    if "BOGUE" in text:
        raise LookupError("planted")
    return re.sub("<[^>]*>", "", text)
"""


@pytest.fixture
def misbehaving(tmp_path, monkeypatch):
    """The children of this test find the library that misbehaves."""
    (tmp_path / "nh3.py").write_text(MISBEHAVING)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    return tmp_path


def feed(title):
    item = f"<item><title>&lt;b&gt;{title}&lt;/b&gt;</title><link>https://www.lephare.example/a</link></item>"
    return {"body": f"<rss version='2.0'><channel>{item}</channel></rss>".encode(), "url": URL}


def title_of(workers, title):
    """What comes back of a feed whose item has this title."""
    found = workers.run("parse_feed", feed(title))
    assert isinstance(found, Feed)
    return found.entries[0].title


def pids(workers):
    return {child._process.pid for child in workers._children}


def is_alive(pid):
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def test_the_result_comes_back():
    """A value of the model, equal to what the function returns in this process."""
    from pipeline.reading import feeds

    with Workers(1) as workers:
        assert workers.run("parse_feed", feed("L’été à Œuvreville")) == feeds.parse(
            **feed("L’été à Œuvreville")
        )


def test_an_error_is_the_same_error_here():
    """With its class and its words; the child lives on."""
    with Workers(1) as workers:
        with pytest.raises(Unparsable, match="an HTML page, not a feed"):
            workers.run("parse_feed", {"body": b"<html></html>", "url": URL})
        before = pids(workers)

        assert title_of(workers, "Suite") == "Suite"
        assert pids(workers) == before


def test_what_cannot_be_handed_over_is_refused():
    """A text with half a character in it does not reach the child."""
    with Workers(1) as workers, pytest.raises(Unparsable, match="cannot be handed over"):
        workers.run("parse_feed", feed("x") | {"url": "\ud800"})


@pytest.mark.parametrize(
    ("word", "reason"),
    [
        ("PEND", r"the feed took more than 3 s to read"),
        ("ENFLE", r"the feed needs more than 600 MB to read"),
        ("TOMBE", r"the feed ended the process that read it \(SIGABRT\)"),
    ],
)
def test_a_lost_child_is_explained_and_replaced(word, reason, misbehaving):
    """Time, memory, crash: Unparsable with the reason, the process is gone, and the next feed is read."""
    with Workers(1, wall=3) as workers:
        assert title_of(workers, "Avant") == "Avant"
        (lost,) = pids(workers)

        with pytest.raises(Unparsable, match=reason):
            workers.run("parse_feed", feed(word))

        assert not is_alive(lost)
        assert title_of(workers, "Après") == "Après"
        assert lost not in pids(workers)


@pytest.mark.parametrize("word", ["PEND", "ENFLE", "TOMBE"])
def test_a_lost_child_is_not_yet_the_page_s_fault(word, misbehaving):
    """What a busy machine, the kernel or another page's leavings did: a fresh process reads it."""
    with Workers(1, wall=3) as workers:
        title_of(workers, "Avant")
        (lost,) = pids(workers)

        assert f"{word} UNE FOIS" in title_of(workers, f"{word} UNE FOIS")
        assert not is_alive(lost)


def test_a_child_that_reads_nothing_is_replaced():
    """A request that does not fit into the pipe waits no longer than the answer to one would."""
    with Workers(1, wall=3) as workers:
        title_of(workers, "Avant")
        (lost,) = pids(workers)
        os.kill(lost, signal.SIGSTOP)

        assert len(title_of(workers, "x" * 1_000_000)) > 100
        assert not is_alive(lost)


def test_a_bug_is_not_mistaken_for_a_bad_page(misbehaving, caplog):
    """It has a name of its own, and its place; the log has the way there. Neither quotes a value."""
    with Workers(1) as workers:
        with pytest.raises(Defect, match=r"a bug: LookupError in \S+, line \d+$") as stumbled:
            workers.run("parse_feed", feed("BOGUE"))

        assert title_of(workers, "Suite") == "Suite"
    (record,) = caplog.records
    assert "planted" not in str(stumbled.value)
    assert "_parse_feed" in record.lines


def test_talk_does_not_disturb_the_messages(misbehaving):
    """Whatever a library writes to either output, the answers are the answers."""
    with Workers(1) as workers:
        assert [title_of(workers, f"BAVARDE {n}") for n in range(3)] == [
            "BAVARDE 0",
            "BAVARDE 1",
            "BAVARDE 2",
        ]


def test_many_threads_share_the_children():
    """Each gets its own answer; there are never more children than asked for, nor more than cores."""
    cores = len(os.sched_getaffinity(0))
    with Workers(64) as workers, ThreadPoolExecutor(16) as pool:
        titles = [f"Titre {n}" for n in range(100)]

        assert list(pool.map(lambda title: title_of(workers, title), titles)) == titles
        assert workers.count == cores
        assert len(pids(workers)) <= cores


def test_children_are_started_when_needed_and_kept():
    """None before the first task, and one for any number of tasks that come one after another."""
    with Workers(2) as workers:
        assert not pids(workers)
        assert [title_of(workers, title) for title in "abc"] == ["a", "b", "c"]
        assert len(pids(workers)) == 1


def test_closing_leaves_no_process(misbehaving):
    """Also one that is busy: its page is not to blame, so the error says try again."""
    here = misbehaving / "here"
    os.mkfifo(here)
    workers = Workers(1, wall=60)
    title_of(workers, "Avant")
    (pid,) = pids(workers)
    failed = []

    def wait():
        try:
            workers.run("parse_feed", feed("PEND"))
        except Transient as error:
            failed.append(error)

    busy = threading.Thread(target=wait)
    busy.start()
    here.read_text()
    workers.close()
    busy.join()

    assert not is_alive(pid)
    assert len(failed) == 1
    with pytest.raises(Transient):
        workers.run("parse_feed", feed("Après"))
    assert not any(map(is_alive, pids(workers)))


PARENT = """
import os, sys, threading
sys.path[:0] = sys.argv[1:]
from test_workers import feed
from pipeline.workers import Workers
workers = Workers(1, wall=600)
workers.run("parse_feed", feed("Avant"))
print(*(child._process.pid for child in workers._children), flush=True)
if "busy" in sys.argv:
    workers.run("parse_feed", feed("PEND"))
sys.stdin.read()
"""


@pytest.mark.parametrize("state", ["idle", "busy"])
def test_a_child_dies_with_its_parent(state, misbehaving):
    """Even where the parent is killed with -9, and the child is deep in C code."""
    here = misbehaving / "here"
    os.mkfifo(here)
    parent = subprocess.Popen(
        [sys.executable, "-c", PARENT, str(Path(__file__).parent), state],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    with parent:
        child = os.pidfd_open(int(parent.stdout.readline()))
        if state == "busy":
            here.read_text()
        parent.kill()

    ended, _, _ = select.select([child], [], [], 30)
    os.close(child)
    assert ended


def test_a_child_knows_no_secrets(misbehaving, monkeypatch):
    """It reads what strangers wrote: passwords and addresses of this process do not reach it."""
    monkeypatch.setenv("VEILLE_DATABASE_URL", "postgresql://moi:sesame@hote/base")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "sesame")
    with Workers(1) as workers:
        title_of(workers, "x")
        (pid,) = pids(workers)
        assert b"sesame" not in Path(f"/proc/{pid}/environ").read_bytes()


# ---- pages, with the models loaded

PAGE = "<html><head><title>La halle</title></head><body>{}</body></html>"
PARAGRAPH = "<p>Le conseil municipal a voté hier soir la restauration de la halle, après trois heures.</p>"


def page(body):
    return {
        "html": PAGE.format(body).encode(),
        "url": "https://www.lephare.example/halle",
        "fetched_at": datetime(2026, 11, 20, tzinfo=UTC),
    }


def test_a_page_comes_back_as_the_same_article(workers):
    """As `articles.extract` returns it here, also the first one."""
    from pipeline.reading import articles

    found = workers.run("extract", page(PARAGRAPH * 4))

    assert isinstance(found, Article)
    assert found == articles.extract(**page(PARAGRAPH * 4))


@pytest.mark.parametrize("mark", ["<p>", "<span itemprop=author>"])
def test_nine_megabytes_of_tags_are_read_or_explained(mark, workers):
    """At the limit of size the page is read, or the reason is its cost; the next page is read."""
    try:
        assert (
            workers.run("extract", page(PARAGRAPH * 4 + mark * (9_000_000 // len(mark)))).title == "La halle"
        )
    except Unparsable as error:
        assert re.search("more than|cannot be parsed", str(error))  # noqa: PT017 - either is right

    assert workers.run("extract", page(PARAGRAPH * 4)).title == "La halle"
