"""The sample newsroom over real HTTP: conditional requests, hazards, access log, clock, commands."""

import contextlib
import gzip
import http.client
import os
import re
import shlex
import signal
import socket
import subprocess
import sys
import threading
import zlib
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import yaml
from newsroom_client import entries, get, plain
from waiting import eventually

from pipeline import steps
from pipeline.cli.newsroom import _announcement
from pipeline.errors import Busy, ConfigError, NotFound, TooLarge
from pipeline.newsroom import access, hazards
from pipeline.newsroom.loading import load
from pipeline.newsroom.printing import EDITIONS
from pipeline.newsroom.server import Newsroom
from pipeline.runtime import Runtime
from pipeline.settings import from_environment
from pipeline.store import runs
from pipeline.web.addresses import parse_allowed
from pipeline.web.fetch import Fetcher

ROOT = Path(__file__).parent.parent
GAZETTE, PHARE, RADIO, AGENCE, MIROIR, GIROUETTE, MARMITE = PUBLISHERS = load()
FEEDS = [(publisher, feed) for publisher in PUBLISHERS for feed in publisher.feeds]
STORIES = [(publisher, story) for publisher in PUBLISHERS for story in publisher.stories]
PAGE_CAP = 10 << 20


@pytest.fixture(autouse=True)
def _hurry(monkeypatch):
    monkeypatch.setattr(hazards, "SLOW_SECONDS", 0.06)


@pytest.fixture
def newsroom(tmp_path):
    with Newsroom(tmp_path / "home") as served:
        yield served


@pytest.fixture
def fetcher(newsroom):
    hosts = parse_allowed(" ".join(newsroom.hosts))
    with Fetcher(allow_hosts=hosts, user_agent="Veille/test") as opened:
        yield opened


def listed(newsroom, publisher, feed):
    answer = get(newsroom, newsroom.printing.home(publisher) + feed.path)
    assert answer.status == 200
    return entries(answer.body, answer.headers["Content-Type"])[1]


def everything(newsroom):
    """Every feed entry and every article page as served now."""
    printing = newsroom.printing
    found = {
        (feed.path, entry.link): entry
        for publisher, feed in FEEDS
        for entry in listed(newsroom, publisher, feed)
    }
    pages = {story.number: get(newsroom, printing.url(publisher, story)).body for publisher, story in STORIES}
    return found, pages


def stray(newsroom, hazard):
    [(publisher, found)] = [(p, s) for p, feed in FEEDS for s in feed.strays if s.hazard == hazard]
    return found.link.replace("{home}", newsroom.printing.home(publisher))


def slow_page(newsroom):
    [(publisher, story)] = [(publisher, story) for publisher, story in STORIES if story.hazard == "slow"]
    return newsroom.printing.url(publisher, story)


def vet(url):
    """Admits every request of the fetcher."""


# HTTP


def test_all_that_is_out_is_served_and_nothing_else(newsroom):
    printing = newsroom.printing
    for publisher, story in STORIES:
        status = get(newsroom, printing.url(publisher, story), "HEAD").status
        assert status == (200 if printing.is_out(story) else 404)


def test_an_unknown_host_or_path_gets_404(newsroom):
    assert get(newsroom, "/nulle-part").status == 404
    assert get(newsroom, f"http://ailleurs.localhost:{newsroom.port}/").status == 404


@pytest.mark.parametrize("path", ["/rss/une.xml", "/", "/robots.txt"])
def test_unchanged_things_cost_304(newsroom, path):
    first = get(newsroom, path)
    tag, date = first.headers["ETag"], first.headers["Last-Modified"]
    earlier = "Mon, 01 Jan 2001 00:00:00 GMT"

    by_tag = get(newsroom, path, If_None_Match=f'"other", {tag}')
    assert (by_tag.status, by_tag.body) == (304, b"")
    assert by_tag.headers["ETag"] == tag
    assert get(newsroom, path, If_Modified_Since=date).status == 304
    assert get(newsroom, path, If_Modified_Since=earlier).status == 200
    assert get(newsroom, path, If_Modified_Since="yesterday").status == 200
    assert get(newsroom, path, If_None_Match='"other"', If_Modified_Since=date).status == 200


def test_gzip_is_used_only_if_asked_for(newsroom):
    bare = get(newsroom, "/")
    packed = get(newsroom, "/", Accept_Encoding="deflate, gzip;q=0.5")

    assert "Content-Encoding" not in bare.headers
    assert packed.headers["Content-Encoding"] == "gzip"
    assert gzip.decompress(packed.body) == bare.body
    assert packed.headers["ETag"] == bare.headers["ETag"]
    assert "Content-Encoding" not in get(newsroom, "/", Accept_Encoding="gzip;q=0").headers


def test_head_answers_like_get_without_a_body(newsroom):
    asked, told = get(newsroom, "/"), get(newsroom, "/", "HEAD")

    assert told.body == b""
    assert told.headers["Content-Length"] == str(len(asked.body))
    assert told.headers["ETag"] == asked.headers["ETag"]


def test_tracking_parameters_change_nothing(newsroom):
    [bare, tracked] = sorted(
        {
            entry.link
            for feed in GAZETTE.feeds
            for entry in listed(newsroom, GAZETTE, feed)
            if "ormevault" in entry.link
        },
        key=len,
    )

    assert get(newsroom, tracked).body == get(newsroom, bare).body


def test_it_listens_on_127_0_0_1_and_nowhere_else(newsroom):
    probe = socket.socket()
    with probe, pytest.raises(OSError):
        probe.connect(("127.0.0.2", newsroom.port))


def test_a_malformed_request_is_answered_and_harms_nobody(newsroom, capfd):
    with socket.create_connection(("127.0.0.1", newsroom.port), timeout=10) as raw:
        raw.sendall(b"\x16\x03\x01 nonsense here now\r\n\r\n")
        assert b"400" in raw.recv(4096)

    assert get(newsroom, "/").status == 200
    assert capfd.readouterr().err == ""


# Hazards


def test_a_page_that_is_gone_says_so_to_everybody(newsroom):
    answer = get(newsroom, stray(newsroom, "gone"))

    assert answer.status == 410
    assert get(newsroom, stray(newsroom, "gone"), If_None_Match=answer.headers["ETag"]).status == 410


def test_a_slow_page_comes_in_drops_and_whole(newsroom, fetcher):
    url = slow_page(newsroom)
    page = get(newsroom, url)

    assert page.headers["Content-Length"] == str(len(page.body))
    assert page.body.rstrip().endswith(b"</html>")
    assert len(list(hazards.slow(page.body))) == hazards.SLOW_PIECES
    assert b"".join(hazards.slow(page.body)) == page.body
    assert fetcher.follow(url, cap=PAGE_CAP, admit=vet).response.body == page.body
    assert get(newsroom, url, If_None_Match=page.headers["ETag"]).status == 304


def test_an_endless_page_goes_on_for_as_long_as_it_is_read(newsroom, fetcher):
    """Beyond any cap; it ends with its reader, and with the newsroom."""
    url = stray(newsroom, "endless")
    with pytest.raises(TooLarge):
        fetcher.follow(url, cap=PAGE_CAP, admit=vet)
    connection = http.client.HTTPConnection("127.0.0.1", newsroom.port, timeout=10)
    connection.request("GET", url.partition(str(newsroom.port))[2], headers={"Host": MARMITE.host})
    response = connection.getresponse()
    assert response.read(1 << 20).startswith(b"<!DOCTYPE html>")
    threads = threading.active_count()
    newsroom.stop()

    assert eventually(lambda: threading.active_count() < threads)
    connection.close()


def test_a_bomb_is_small_on_the_wire_and_large_unfolded(newsroom, fetcher):
    """It is made while it is sent, and is gzip whether that was asked for or not."""
    url = stray(newsroom, "bomb")
    answer = get(newsroom, url)

    assert answer.headers["Content-Encoding"] == "gzip"
    assert len(answer.body) < 1 << 20
    unfolding, size = zlib.decompressobj(hazards.GZIP), 0
    left = answer.body
    while left:
        size += len(unfolding.decompress(left, 1 << 20))
        left = unfolding.unconsumed_tail
    assert unfolding.eof, "it is gzip to its end"
    assert size > hazards.BOMB_BYTES
    with pytest.raises(TooLarge):
        fetcher.follow(url, cap=PAGE_CAP, admit=vet)


def test_a_chain_of_three_redirects_ends_at_the_article(newsroom, fetcher):
    [story] = [story for story in MIROIR.stories if story.moved_from]
    asked = []
    fetched = fetcher.follow(
        newsroom.printing.home(MIROIR) + story.moved_from[0], cap=PAGE_CAP, admit=asked.append
    )

    assert [hop.status for hop in fetched.hops] == [301, 301, 301]
    assert len(asked) == 4
    assert fetched.url == newsroom.printing.url(MIROIR, story)
    assert fetched.response.status == 200


# The access log


def test_each_request_leaves_a_line(newsroom):
    """Time, host, path with query, status, and whether it was conditional; also of what broke off."""
    began = datetime.now(UTC)
    tag = get(newsroom, "/?utm_source=x").headers["ETag"]
    get(newsroom, "/", If_None_Match=tag)
    get(newsroom, newsroom.printing.home(MIROIR) + "/nulle-part", "HEAD")
    get(newsroom, "/", If_Modified_Since="Mon, 01 Jan 2001 00:00:00 GMT")

    assert eventually(lambda: len(access.read(newsroom.access_log)) == 4)
    noted = sorted(access.read(newsroom.access_log), key=lambda one: one.time)
    assert [(a.method, a.host, a.path, a.status, a.conditional) for a in noted] == [
        ("GET", GAZETTE.host, "/?utm_source=x", 200, False),
        ("GET", GAZETTE.host, "/", 304, True),
        ("HEAD", MIROIR.host, "/nulle-part", 404, False),
        ("GET", GAZETTE.host, "/", 200, True),
    ]
    assert all(began <= a.time <= datetime.now(UTC) and a.seconds >= 0 for a in noted)


def test_a_request_whose_reader_went_away_is_noted(newsroom):
    connection = http.client.HTTPConnection("127.0.0.1", newsroom.port, timeout=10)
    connection.request("GET", "/album-de-la-fete-des-quais", headers={"Host": MARMITE.host})
    connection.getresponse().read(1000)
    connection.close()

    assert eventually(lambda: access.read(newsroom.access_log))
    [noted] = access.read(newsroom.access_log)
    assert (noted.path, noted.status) == ("/album-de-la-fete-des-quais", 200)


def test_the_access_log_is_bounded_and_may_be_missing(tmp_path, monkeypatch):
    monkeypatch.setattr(access, "LOG_BYTES", 100)
    with Newsroom(tmp_path) as first:
        get(first, "/")
        get(first, "/")
    assert len(access.read(tmp_path / "access.log")) == 2
    with Newsroom(tmp_path) as second:
        assert access.read(second.access_log) == []
        assert len(access.read(tmp_path / "access.log.1")) == 2


# Home


def test_a_restart_keeps_epoch_port_tags_and_dates(tmp_path):
    with Newsroom(tmp_path) as first:
        kept = first.epoch, first.port, get(first, "/rss/une.xml").headers["ETag"]
    with Newsroom(tmp_path) as second:
        assert (second.epoch, second.port, get(second, "/rss/une.xml").headers["ETag"]) == kept


def test_a_stopped_newsroom_answers_nobody_not_even_on_open_connections(tmp_path):
    newsroom = Newsroom(tmp_path).start()
    connection = http.client.HTTPConnection("127.0.0.1", newsroom.port, timeout=10)
    connection.request("GET", "/", headers={"Host": newsroom.hosts[0]})
    assert connection.getresponse().read()
    newsroom.stop()
    newsroom.stop()

    assert connection.sock.recv(1) == b"", "closed by the other side"
    connection.close()
    with pytest.raises(ConnectionRefusedError):
        get(newsroom, "/")


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return probe.getsockname()[1]


def test_a_port_taken_by_something_else_gives_one_clear_error(tmp_path):
    with Newsroom(tmp_path) as newsroom:
        port = newsroom.port
    with socket.create_server(("127.0.0.1", port)):
        with pytest.raises(Busy, match=f"127.0.0.1:{port}") as caught:
            Newsroom(tmp_path).start()
        assert f"veille newsroom --home {tmp_path} --port" in caught.value.hint
        with Newsroom(tmp_path, port=free_port()) as moved:
            assert moved.port != port
            assert get(moved, "/").status == 200
            epoch = moved.epoch
    assert Newsroom(tmp_path).epoch == epoch


def test_a_home_is_served_by_one_newsroom_at_a_time(newsroom):
    with pytest.raises(Busy, match="another process"):
        Newsroom(newsroom.home).start()
    assert get(newsroom, "/").status == 200


def test_a_home_that_never_started_or_is_damaged_says_so(tmp_path):
    with pytest.raises(NotFound, match="never been started"):
        Newsroom(tmp_path / "none").write_config(tmp_path / "none")
    assert not (tmp_path / "none").exists()
    with pytest.raises(NotFound, match="never been started"):
        _ = Newsroom(tmp_path).hosts
    (tmp_path / "newsroom.json").write_text("{")
    with pytest.raises(ConfigError, match=r"newsroom\.json is damaged"):
        Newsroom(tmp_path).start()


def test_the_written_configuration_is_a_catalogue_of_every_publisher_and_feed(newsroom, tmp_path):
    from pipeline import catalogue

    file = newsroom.write_config(tmp_path / "config")
    written = catalogue.load(file).publishers

    assert file.name == "sources.yaml"
    assert [publisher.domains for publisher in written] == [(p.host,) for p in PUBLISHERS]
    assert set(newsroom.hosts) == {f"{p.host}:{newsroom.port}" for p in PUBLISHERS}
    assert yaml.safe_load(file.read_text("utf-8"))["publishers"][0]["languages"] == ["fr"]
    for publisher in written:
        for feed in publisher.feeds:
            assert get(newsroom, feed.url).status == 200


def test_a_newsroom_of_some_publishers_serves_only_those(tmp_path):
    with Newsroom(tmp_path, publishers=PUBLISHERS[:3]) as some:
        assert len(some.hosts) == 3
        assert get(some, some.printing.home(PHARE) + "/atom.xml").status == 200
        assert get(some, some.printing.home(AGENCE) + "/flux.json").status == 404


# The clock


def test_entries_appear_when_their_time_has_come(newsroom):
    """Moved back by days, the newsroom carries what was out then; moved on, what has come since."""
    epoch = newsroom.epoch
    counts = []
    for day in (-6, -3, -1, 0, 1):
        newsroom.set_clock(epoch + timedelta(days=day))
        counts.append(sum(len(listed(newsroom, publisher, feed)) for publisher, feed in FEEDS))

    assert counts[0] == 0
    assert counts == sorted(set(counts))


def test_the_editions_change_what_is_revised_and_bring_what_is_new(newsroom):
    revised = {story.number for _, story in STORIES if story.revised}
    fresh = {story.number for _, story in STORIES if story.hours < 0}
    entries_before, before = everything(newsroom)
    for edition in (2, 3):
        newsroom.publish_edition(edition)
        entries_after, after = everything(newsroom)
        came = newsroom.epoch + timedelta(hours=EDITIONS[edition - 1])
        changed = {number for number in before if before[number] != after[number]}
        appeared = entries_after.keys() - entries_before.keys()

        assert newsroom.edition == edition
        assert timedelta(0) <= newsroom.now - came < timedelta(minutes=5)
        assert revised <= changed <= revised | fresh
        assert appeared
        assert not entries_before.keys() - entries_after.keys()
        entries_before, before = entries_after, after
    assert plain(before[58131].decode()).count("412 soldats") >= 1


def test_conditional_requests_see_an_edition(newsroom):
    feed = newsroom.printing.home(PHARE) + PHARE.feeds[0].path
    first = get(newsroom, feed)
    others = {url: get(newsroom, url) for url in ("/rss/une.xml", "/rss/international.xml")}

    newsroom.publish_edition(2)

    assert get(newsroom, feed, If_None_Match=first.headers["ETag"]).status == 200
    second = get(newsroom, feed, If_Modified_Since=first.headers["Last-Modified"])
    assert second.status == 200
    assert second.headers["Last-Modified"] != first.headers["Last-Modified"]
    for url, answer in others.items():
        assert get(newsroom, url, If_None_Match=answer.headers["ETag"]).status == 304


def test_the_clock_survives_a_restart_and_can_be_turned_back(tmp_path):
    with Newsroom(tmp_path) as first:
        before = everything(first)
        first.publish_edition(2)
        after = everything(first)
        assert after != before
        for number in (0, 4):
            with pytest.raises(ConfigError, match="1 to 3"):
                first.publish_edition(number)
    with Newsroom(tmp_path) as second:
        assert second.edition == 2
        assert everything(second) == after
        second.publish_edition(1)
        assert everything(second) == before


def test_the_clock_starts_where_it_is_set_and_stands_still_if_told_to(tmp_path):
    """A first start at a moment is dated from it; a later one only sets the clock."""
    moment = datetime(2026, 3, 1, 8, tzinfo=UTC)
    with Newsroom(tmp_path, now=moment, tick=0.0) as first:
        assert first.epoch == first.now == moment
        assert first.offset == pytest.approx((moment - datetime.now(UTC)).total_seconds(), abs=60)
    with Newsroom(tmp_path) as again:
        assert again.now == moment
    with Newsroom(tmp_path, now=moment - timedelta(days=2)) as back:
        assert back.now == moment - timedelta(days=2)
        assert back.epoch == moment
        back.set_clock(tick=1.0)
        assert back.now - moment >= -timedelta(days=2)
        with pytest.raises(ConfigError, match="-1 seconds a second"):
            back.set_clock(tick=-1.0)
    with pytest.raises(ConfigError, match=r"0 to 1e\+06"):
        Newsroom(tmp_path, tick=float("nan"))


def test_another_process_may_set_the_clock(newsroom):
    Newsroom(newsroom.home).publish_edition(3)

    assert newsroom.edition == 3
    feed = newsroom.printing.home(MARMITE) + "/atom.xml"
    assert "coffre-fort" in get(newsroom, feed).text


# The commands

MODULE = [sys.executable, "-m", "pipeline.newsroom"]
VEILLE = [str(Path(sys.executable).with_name("veille")), "newsroom"]


def addresses(process):
    """What a command prints once it serves."""
    lines = []
    for line in process.stdout:
        lines.append(line.rstrip("\n"))
        if line.startswith("VEILLE_ALLOW_HOSTS="):
            return lines
    raise AssertionError(lines)


def told(arguments, home, **environment):
    return subprocess.run(
        [*arguments],
        cwd=ROOT,
        env=os.environ | {"VEILLE_HOME": str(home)} | environment,
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("command", [MODULE, VEILLE], ids=["module", "veille"])
def test_a_command_serves_prints_addresses_and_stops_on_a_signal(tmp_path, command, number):
    with subprocess.Popen(
        [*command, "--home", tmp_path, "--now", "2026-03-01T08:00+01:00"],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            lines = addresses(process)
            newsroom = Newsroom(tmp_path)
            assert lines[-1] == f"VEILLE_ALLOW_HOSTS={','.join(newsroom.hosts)}"
            assert sum(line.startswith("  http://") for line in lines) == len(FEEDS)
            assert newsroom.epoch == datetime(2026, 3, 1, 7, tzinfo=UTC)
            newsroom.publish_edition(2)
            assert "412 soldats" in get(newsroom, newsroom.printing.home(PHARE) + "/atom.xml").text
        finally:
            process.send_signal(number)
        assert process.wait(timeout=20) == 0


@pytest.mark.slow
def test_the_settings_that_it_says_are_those_with_which_veille_reads_it(tmp_path):
    """Also after the clock was set from another terminal; the library is its own."""
    home = tmp_path / "newsroom"
    with Newsroom(home) as newsroom:
        before = told([*VEILLE, "--settings"], tmp_path)
        moment = newsroom.epoch + timedelta(days=9)
        after = told([*VEILLE, "--settings", "--now", moment.isoformat(), "--tick", "60"], tmp_path)
        assert newsroom.now >= moment
        said = dict(re.findall(r"^export (\w+)=(.*)$", after.stdout, re.MULTILINE))
        assert before.returncode == after.returncode == 0
        assert "export VEILLE_CLOCK_OFFSET=0\n" in before.stdout
        assert float(said["VEILLE_CLOCK_OFFSET"]) == pytest.approx(9 * 86_400, abs=3_600)
        assert shlex.split(said["VEILLE_ALLOW_HOSTS"]) == [",".join(newsroom.hosts)]
        assert said["VEILLE_HOME"] == str(home)
        assert said["VEILLE_ARCHIVE"] == str(home / "archive")
        assert said["VEILLE_DATABASE_URL"] == "''", "whatever was set before: invented news stay apart"
        listing = told([VEILLE[0], "sources", "--json"], home, VEILLE_CONFIG=said["VEILLE_CONFIG"])
        assert MIROIR.id in listing.stdout
        assert (home / "config" / "topics" / "climat.yaml").exists()
        assert told([*VEILLE, "--settings"], home).stdout, "its own home is found from inside"


def exported(text):
    """The settings as a shell would have them after `eval`."""
    found = re.findall(r"^export (\w+)=(.*)$", text, re.MULTILINE)
    return {name: "".join(shlex.split(value)) for name, value in found}


@pytest.mark.slow
def test_days_are_played_step_by_step(tmp_path, database_url, workers):
    """Its clock stands; each step sets it, and what it says then makes Veille read the news of that day."""
    home = tmp_path / "newsroom"
    newest = []
    with Newsroom(home, tick=0.0) as newsroom:
        for days in (-2, -1, 1):
            moment = newsroom.epoch + timedelta(days=days)
            said = told([*VEILLE, "--home", str(home), "--settings", "--now", moment.isoformat()], tmp_path)
            settings = exported(said.stdout) | {"VEILLE_DATABASE_URL": database_url}
            with Runtime(from_environment(settings)) as runtime:
                runtime.workers = workers
                assert abs(runtime.now() - newsroom.now) < timedelta(minutes=1)
                run = runs.fresh("command", polls=True, reason="a step", now=runtime.now())
                report = steps.ingest(runtime, run, watch=lambda *_: contextlib.nullcontext())
                assert report.discovered
                with runtime.store.transaction("look") as tx:
                    newest.append(tx.execute("select max(published) as at from article").fetchone()["at"])
            assert timedelta() <= moment - newest[-1] < timedelta(days=1)

    assert newest == sorted(set(newest))


@pytest.mark.parametrize(
    ("tick", "told"), [(1.0, ""), (0.0, "stands still"), (3600.0, "3600 seconds a second")]
)
def test_a_clock_that_veille_cannot_follow_is_told(tmp_path, tick, told):
    """With the command that steps instead."""
    with Newsroom(tmp_path, tick=tick) as newsroom:
        said = _announcement(newsroom, tmp_path)

    assert ("hold for this moment only" in said) is ("veille ingest" in said) is (tick != 1)
    assert told in said
    assert "--tick 0 --now 2" in said or tick == 1
    assert said.rstrip().endswith("Ctrl-C ends it.")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--settings"], "never been started"),
        (["--settings", "--port", "1"], "--settings starts none"),
        (["--now", "bientôt"], "--now is 'bientôt'"),
        (["--tick", "-2"], "-2 seconds a second"),
        (["--port", "70000"], "65535"),
        (["--home", "/dev/null/x"], "Not a directory"),
    ],
)
def test_the_command_names_cause_and_next_step(tmp_path, arguments, said):
    failed = told([*VEILLE, *arguments], tmp_path)

    assert failed.returncode == (2 if "70000" in arguments else 1)
    assert failed.stdout == ""
    assert said in plain(failed.stderr)
    assert "Traceback" not in failed.stderr


@pytest.mark.slow
def test_a_newsroom_that_is_served_already_says_what_to_do(newsroom, tmp_path):
    for command in (MODULE, VEILLE):
        failed = told([*command, "--home", str(newsroom.home)], tmp_path)
        assert failed.returncode == 1
        assert failed.stdout == ""
        said = plain(failed.stderr)
        assert "being served by another process" in said
        assert "stop that one" in said
        assert "Traceback" not in failed.stderr


@pytest.mark.slow
def test_until_eof_it_outlives_all_who_read_it_and_no_longer(tmp_path):
    """The starter is killed without a chance to tidy up, but has a reader, which holds the pipe too."""
    starter = (
        "import os, subprocess, sys, time\n"
        "reader, writer = os.pipe()\n"
        f"subprocess.Popen({[*MODULE, '--home', str(tmp_path), '--until-eof']!r}, stdin=reader)\n"
        "child = subprocess.Popen([sys.executable, '-c', 'input()'], stdin=0, stdout=2, pass_fds=[writer])\n"
        "time.sleep(600)"
    )
    parent = subprocess.Popen(
        [sys.executable, "-c", starter], cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    with parent:
        addresses(parent)
        os.kill(parent.pid, signal.SIGKILL)
        parent.wait()
        newsroom = Newsroom(tmp_path)
        assert get(newsroom, newsroom.printing.home(PHARE) + "/atom.xml").status == 200
        parent.stdin.close()
        assert parent.stdout.read() == ""
    with Newsroom(tmp_path):
        pass


def test_with_patience_the_next_one_waits_for_the_end_of_the_last(tmp_path):
    with Newsroom(tmp_path) as last:
        threading.Timer(0.2, last.stop).start()
        with Newsroom(tmp_path, patience=20.0) as newsroom:
            assert newsroom.port == last.port
