"""Several processes, one rule: a host is asked by one worker at a time, after a gap, whoever dies."""

import itertools
import json
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from sites import PAGE, Site, listed, query

from pipeline import steps
from pipeline.store.runs import Run

GAP = 0.3
LINE = Path(__file__).parent / "line.py"

pytestmark = pytest.mark.slow


@pytest.fixture
def sites():
    with Site() as one, Site(name="other.localhost") as two:
        yield one, two


@pytest.fixture
def library(open_runtime, sites):
    runtime = open_runtime()
    steps.start(runtime, Run("run", "command", polls=True, reason="a test"))
    return runtime


@pytest.fixture
def start(library, sites, tmp_path):
    """Starts a process that works the stages named: `start("fetch")`; none outlives the test."""
    environment = os.environ | {
        "VEILLE_HOME": str(tmp_path / "home"),
        "VEILLE_DATABASE_URL": library.settings.database_url,
        "VEILLE_ALLOW_HOSTS": ",".join(site.host for site in sites),
        "VEILLE_HOST_GAP_SECONDS": str(GAP),
        "VEILLE_LOG": "text",
    }
    processes = []

    def started(*arguments, script=LINE, **changes):
        process = subprocess.Popen(
            [sys.executable, str(script), *arguments], env=environment | changes, stderr=subprocess.DEVNULL
        )
        processes.append(process)
        return process

    yield started
    for process in processes:
        process.kill()
        process.wait()


def gaps(site):
    """The seconds between the end of each request and the start of the next; below 0: two at once."""
    return [after[0] - before[1] for before, after in itertools.pairwise(sorted(site.times))]


def test_a_host_is_asked_by_one_worker_at_a_time_with_the_gap_between(library, sites, start):
    """Two processes of eight threads; pages, redirects between the hosts, robots.txt, and a Retry-After.

    Answers take longer than the gap, and a host has more pages than a worker leases at once: neither the gap
    nor the entries' own leases stand in for the host's.
    """
    site, other = sites

    def slow(talk):
        talk.stop.wait(GAP + 0.2)
        talk.answer("200 OK", PAGE)

    def busy(talk):
        talk.answer("503 Busy", b"", "Retry-After: 2")

    def leads_on(talk):
        talk.answer("302 Found", b"", f"Location: {other.url(f'/de{talk.path[1:]}')}")

    site.answers = {f"/{number}": leads_on for number in range(4)}
    site.answers["/robots.txt"] = lambda talk: talk.answer(
        "302 Found", b"", f"Location: {other.url('/rules')}"
    )
    site.answers |= {f"/{number}": slow for number in range(4, 16)}
    other.answers = {"/busy": busy} | {f"/{number}": slow for number in range(12)}
    pages = [place.url(f"/{number}") for place, pages in ((site, 16), (other, 12)) for number in range(pages)]
    listed(library, *pages, other.url("/busy"))

    processes = [start("fetch"), start("fetch")]

    assert [process.wait(120) for process in processes] == [0, 0]
    for place, pages in ((site, 16), (other, 12 + 4 + 1)):
        asked = [path for path in place.paths if path not in ("/robots.txt", "/rules")]
        assert len(asked) == len(set(asked)) == pages
    for place in sites:
        assert min(gaps(place)) >= GAP, gaps(place)
    order = [path for _, path in sorted(zip(other.times, other.paths, strict=True))]
    paused = order.index("/busy")
    assert paused == len(order) - 1 or gaps(other)[paused] >= 2
    stages = query(library, "select stage, count(*) as n from entry group by stage order by stage")
    assert stages == [{"stage": "extract", "n": 28}, {"stage": "fetch", "n": 1}]


def test_a_killed_workers_host_is_taken_over_when_its_lease_ends(library, sites, start):
    """Killed in mid-request: while the server may still work on it nobody asks; then all pages are read."""
    site, _ = sites
    asked = threading.Event()

    def slow(talk):
        if not asked.is_set():
            asked.set()
            talk.stop.wait(2)  # of the 6 s that are left of the lease at least
        talk.answer("200 OK", PAGE)

    site.answers = {"/0": slow}
    listed(library, *(site.url(f"/{number}") for number in range(4)))
    first = start("fetch", VEILLE_LEASE_SECONDS="8")
    assert asked.wait(60)
    second = start("fetch", VEILLE_LEASE_SECONDS="8")
    first.kill()

    assert second.wait(120) == 0
    assert site.paths == ["/robots.txt", "/0", "/0", "/1", "/2", "/3"]
    assert min(gaps(site)) >= GAP, gaps(site)
    assert query(library, "select count(*) as n, count(distinct entry_id) as entries from page") == [
        {"n": 4, "entries": 4}
    ]


@pytest.mark.parametrize("delay", [0, 60])
def test_an_interrupted_worker_ends_and_leaves_its_pages_to_the_next(delay, library, sites, start):
    """Ctrl-C in the middle of many pages, or of a crawl-delay: it does not go on, and holds no lease."""
    site, _ = sites
    asked = threading.Event()
    site.answers = {
        "/robots.txt": lambda talk: talk.answer("200 OK", f"User-agent: *\nCrawl-delay: {delay}\n".encode()),
        "/0": lambda talk: (asked.set(), talk.answer("200 OK", PAGE)),
    }
    listed(library, *(site.url(f"/{number}") for number in range(90)))
    process = start("fetch")
    assert asked.wait(60)
    process.send_signal(signal.SIGINT)

    assert process.wait(15) != 0
    assert len(site.paths) < 90
    assert query(library, "select from entry where lease_token is not null") == []


DISCOVER = """
from pipeline import steps
from pipeline.runtime import Runtime
from pipeline.settings import from_environment
from pipeline.store.runs import Run

with Runtime(from_environment(), workers=1) as runtime:
    steps.start(runtime, Run("retried", "manual", polls=True, reason="a test"))
    steps.discover(runtime, "retried")
"""
RSS = """<?xml version="1.0"?><rss version="2.0"><channel><title>Le Fanal</title><item><title>Un titre</title>
<link>http://press.localhost/{name}</link></item></channel></rss>"""


def test_a_discovery_that_was_killed_asks_the_rest_only(library, sites, start, tmp_path):
    """The task is retried with the same run: feeds whose polling was written are not asked again."""
    site, _ = sites
    names = ["a", "b", "c", "d"]
    site.answers = {
        f"/{name}": lambda talk, name=name: talk.answer("200 OK", RSS.format(name=name).encode())
        for name in names
    }
    publisher = {"id": "fanal", "name": "Le Fanal", "country": "FR", "domains": ["press.localhost"]}
    publisher["feeds"] = [{"url": site.url(f"/{name}")} for name in names]
    config = tmp_path / "config"
    config.mkdir()
    (config / "sources.yaml").write_text(json.dumps({"publishers": [publisher]}))
    script = tmp_path / "discover.py"
    script.write_text(DISCOVER)
    changes = {"VEILLE_CONFIG": str(config), "VEILLE_LEASE_SECONDS": "1"}

    killed = start(script=script, VEILLE_FAILPOINT="after_commit_discover#2", **changes)
    assert killed.wait(60) == -9
    assert site.paths == ["/robots.txt", "/a", "/b"]
    assert start(script=script, **changes).wait(60) == 0

    assert site.paths == ["/robots.txt", "/a", "/b", "/c", "/d"]
    polls = query(library, "select result, count(*) as n from poll where run_id = 'retried' group by result")
    assert polls == [{"result": "changed", "n": 4}]
