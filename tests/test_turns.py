"""Hosts are asked as they wish: robots.txt, turns and pauses, on a real store and loopback servers."""

import gzip
import json
import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from ipaddress import ip_address

import pytest
from hostile_server import Conversation
from sites import PAGE, Site, listed, query
from waiting import eventually

from pipeline import steps
from pipeline.catalogue import FeedSource
from pipeline.cli.runs import print_report
from pipeline.stages import discover, documents, fetch, turns
from pipeline.stages.shift import Shift
from pipeline.store import entries, feeds, hosts, runs
from pipeline.store.feeds import Poll
from pipeline.store.runs import Run
from pipeline.web import robots
from pipeline.web.fetch import Fetcher

pytestmark = pytest.mark.slow  # they wait for their turns as a worker does

RSS = """<?xml version="1.0" encoding="UTF-8"?><rss version="2.0"><channel><title>Le Fanal</title>
<item><title>Un titre</title><link>{url}</link><description>Un chapeau.</description></item>
</channel></rss>"""
FORBIDDING = b"User-agent: *\nDisallow: /ferme\n"
WAITING = "select pid from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'"


@pytest.fixture
def site():
    with Site() as opened:
        yield opened


@pytest.fixture
def other():
    with Site(name="other.localhost") as opened:
        yield opened


def all_names_are_ours(host, port):
    """A name server that leads everybody to this machine."""
    return [ip_address("127.0.0.1")]


@pytest.fixture
def secret():
    """A site on loopback that nobody may ask."""
    with Site(name="127.0.0.1") as opened:
        yield opened


@pytest.fixture
def library(open_runtime, site, other):
    """A runtime that may ask both sites."""
    allowed = frozenset((place.name, place.server.port) for place in (site, other))
    runtime = open_runtime(allow_hosts=allowed)
    steps.start(runtime, Run("run", "command", polls=True, reason="a test"))
    with Fetcher(allow_hosts=allowed, user_agent="Veille", lookup=all_names_are_ours) as runtime.fetcher:
        yield runtime


def entry(runtime, url):
    [row] = query(runtime, "select * from entry where url = %s", url)
    return row


def cut_off(talk):
    talk.head_only("Content-Length: 1000", "Content-Type: text/plain")
    talk.send(b"User-agent: *\nDisallow: /une\n")


def too_long(talk):
    talk.head_only("Content-Type: text/plain")
    talk.send(FORBIDDING + b"# x\n" * robots.CAP)


def redirects(location):
    return lambda talk: talk.answer("302 Found", b"", f"Location: {location}")


# --- robots.txt


UNREADABLE = {
    "cut off": cut_off,
    "gzip cut off": lambda talk: talk.answer(
        "200 OK", gzip.compress(FORBIDDING)[:-4], "Content-Encoding: gzip", "Content-Type: text/plain"
    ),
    "no answer": Conversation.reset,
    "error": lambda talk: talk.answer("503 Busy"),
    "a coding not asked for": lambda talk: talk.answer("200 OK", b"x", "Content-Encoding: br"),
}


REFUSED = ["http://127.0.0.1:{}", "http://secret.localhost:{}", "http://resolved.example"]


@pytest.mark.parametrize("place", REFUSED)
def test_pages_wait_while_robots_txt_leads_to_a_refused_address(place, library, site, secret):
    """By its number or by a name that leads there: not asked, and no reason to give up a host's articles."""
    site.answers["/robots.txt"] = redirects(f"{place.format(secret.server.port)}/robots.txt")
    site.answers["/rss"] = rss(site)
    listed(library, site.url("/une"), site.url("/deux"))

    fetch.drain(library, "run")
    found = polled(library, site, "/rss", run="second")

    assert (site.paths, secret.server.connections) == (["/robots.txt"], 0)
    for path in ("/une", "/deux"):
        row = entry(library, site.url(path))
        assert (row["stage"], row["outcome"], row["attempts"]) == ("fetch", None, 0)
        assert timedelta(minutes=29) < row["due_at"] - library.now() <= turns.ROBOTS_RETRY
    assert found.polls == {"waiting": 1}


@pytest.mark.parametrize("place", REFUSED)
def test_a_host_that_is_refused_itself_is_refused_with_its_robots_txt(place, library, secret):
    """Nothing can be waited for: the entry says so, and nobody is asked."""
    listed(library, url := f"{place.format(secret.server.port)}/une")

    fetch.drain(library, "run")

    assert secret.server.connections == 0
    row = entry(library, url)
    assert (row["stage"], row["outcome"], row["page_fate"]) == ("done", "failed", "address_refused")


@pytest.mark.parametrize("name", UNREADABLE)
def test_pages_wait_while_robots_txt_cannot_be_read(name, library, site):
    """Not one page is asked for, nothing counts against the entries, and they are due when the file is."""
    site.answers["/robots.txt"] = UNREADABLE[name]
    listed(library, site.url("/une"), site.url("/deux"))

    fetch.drain(library, "run")

    assert site.paths == ["/robots.txt"]
    for path in ("/une", "/deux"):
        row = entry(library, site.url(path))
        assert (row["stage"], row["outcome"], row["attempts"], row["lease_token"]) == ("fetch", None, 0, None)
        assert "robots.txt" in row["reason"]
        assert timedelta(minutes=29) < row["due_at"] - library.now() <= turns.ROBOTS_RETRY


READABLE = {
    "longer than the cap": (too_long, False),
    "five redirects": (redirects("/robots.txt?1"), False),
    "a redirect elsewhere": (None, False),
    "a circle": (redirects("/robots.txt"), True),
    "six redirects": (redirects("/robots.txt?0"), True),
    "an error page that breaks off": (
        lambda talk: (talk.head_only("Content-Length: 99", status="404 Not Found"), talk.send(FORBIDDING)),
        True,
    ),
}


@pytest.mark.parametrize("name", READABLE)
def test_robots_txt_that_can_be_read_decides_at_once(name, library, site, other):
    """RFC 9309: the first 500 KiB count; five redirects are followed; more, or a circle, mean no rules."""
    answer, allowed = READABLE[name]
    site.answers["/robots.txt"] = answer or redirects(other.url("/rules"))
    for number in range(5):
        site.answers[f"/robots.txt?{number}"] = redirects(f"/robots.txt?{number + 1}")
    for place, path in ((site, "/robots.txt?5"), (other, "/rules")):
        place.answers[path] = lambda talk: talk.answer("200 OK", FORBIDDING, "Content-Type: text/plain")
    listed(library, site.url("/ferme/1"), site.url("/une"))

    fetch.drain(library, "run")

    assert ("/ferme/1" in site.paths) is allowed
    assert entry(library, site.url("/ferme/1"))["page_fate"] == ("full" if allowed else "robots")
    assert entry(library, site.url("/une"))["page_fate"] == "full"


def test_robots_txt_is_asked_for_again_when_it_is_time_and_final_after_a_week(library, site):
    """Half an hour between two tries, whoever asks; then for seven days the entry waits, no longer."""
    site.answers["/robots.txt"] = UNREADABLE["error"]
    listed(library, site.url("/une"))
    fetch.drain(library, "run")
    for days, fate, tries in ((0, "not_fetched", 1), (6.9, "not_fetched", 2), (7.1, "robots", 3)):
        query(
            library,
            "update host set robots_failing_since = %s, robots_at = robots_at - %s",
            library.now() - timedelta(days=days),
            turns.ROBOTS_RETRY if days else timedelta(0),
        )
        query(library, "update entry set due_at = %s", library.now())
        fetch.drain(library, "run")
        assert (entry(library, site.url("/une"))["page_fate"], len(site.paths)) == (fate, tries)


def test_a_pause_that_robots_txt_asks_for_is_kept(library, site):
    """429 means that there are no rules, its Retry-After that the host is left alone."""
    site.answers["/robots.txt"] = lambda talk: talk.answer("429 Slow down", b"", "Retry-After: 3600")
    listed(library, site.url("/une"))

    fetch.drain(library, "run")

    assert site.paths == ["/robots.txt"]
    assert "left alone" in entry(library, site.url("/une"))["reason"]


def test_a_host_that_asks_for_more_than_it_is_given_stands_in_the_report(library, site, other, capsys):
    """A Crawl-delay above two minutes: whoever runs Veille hears of it."""
    for place, seconds in ((site, 600), (other, turns.CRAWL_DELAY_AT_MOST)):
        rules = f"User-agent: *\nCrawl-delay: {seconds:g}\n".encode()
        place.answers["/robots.txt"] = lambda talk, rules=rules: talk.answer("200 OK", rules)
    listed(library, site.url("/une"), other.url("/une"))

    fetch.drain(library, "run", seconds=2)

    with library.store.transaction("report") as tx:
        found = runs.report(tx, "run")
    assert [(row["name"], row["crawl_delay"]) for row in found.slow_hosts] == [(site.host, 600)]
    print_report(found)
    assert "asks for 600 s between two requests, and is given 120" in " ".join(
        capsys.readouterr().out.split()
    )


# --- pauses


def test_a_paused_host_is_not_called_unreadable(library, site):
    """Its robots.txt was not asked for, so nothing is known of it; the pages wait as long as the host."""
    listed(library, *(site.url(f"/{number}") for number in range(25)))
    query(library, "update host set next_at = clock_timestamp() + interval '3 hours'")

    fetch.drain(library, "run")

    assert site.paths == []
    [host] = query(library, "select * from host where name = %s", site.host)
    assert (host["robots_at"], host["robots_failing_since"]) == (None, None)
    rows = query(library, "select * from entry")
    assert {row["reason"] for row in rows} == {f"{site.host} asked to be left alone"}
    assert all(timedelta(hours=2.9) < row["due_at"] - library.now() <= timedelta(hours=3) for row in rows)
    assert {row["attempts"] for row in rows} == {0}


def test_retry_after_pauses_the_host_that_said_it(library, site, other, monkeypatch):
    """A redirect led from one host to another, which wants to be left alone: the first one's pages go on."""
    site.answers["/1"] = redirects(other.url("/plein"))
    other.answers["/plein"] = lambda talk: talk.answer("503 Busy", b"", "Retry-After: 7200")
    monkeypatch.setattr(fetch, "THREADS", 1)
    monkeypatch.setattr(fetch, "AT_ONCE", 1)
    listed(library, site.url("/1"), site.url("/2"), other.url("/3"))
    query(library, "update entry set priority = 3 where url <> %s", site.url("/1"))
    query(library, "update host set next_at = clock_timestamp() + interval '1 s' where name = %s", other.host)

    fetch.drain(library, "run")

    assert "/3" not in other.paths
    assert entry(library, site.url("/2"))["page_fate"] == "full"
    for url in (site.url("/1"), other.url("/3")):
        assert timedelta(hours=1.9) < entry(library, url)["due_at"] - library.now() <= timedelta(hours=2)


# --- another worker


def claimed(runtime, host):
    """Another worker, which holds the host."""
    with runtime.store.transaction("other") as tx:
        assert hosts.claim(tx, host, token=-1, lease=3600)


def released(runtime, host):
    with runtime.store.transaction("other") as tx:
        hosts.give_back(tx, host, token=-1)


def test_a_page_that_leads_to_a_busy_host_does_not_hold_up_the_others(library, site, other, monkeypatch):
    """It goes behind them, keeps its attempts, and is read when the other worker is done."""
    monkeypatch.setattr(turns, "HOST_WAIT", 0.3)
    monkeypatch.setattr(fetch, "THREADS", 1)
    site.answers["/1"] = redirects(other.url("/la"))
    site.answers["/2"] = lambda talk: (released(library, other.host), talk.answer("200 OK", PAGE))
    listed(library, site.url("/1"), site.url("/2"))
    claimed(library, other.host)

    fetch.drain(library, "run", seconds=60)

    assert other.paths == ["/robots.txt", "/la"]
    assert site.paths == ["/robots.txt", "/1", "/2", "/1"]
    assert entry(library, site.url("/1"))["page_fate"] == "full"
    assert [row["url"] for row in query(library, "select url from page order by id")] == [
        site.url("/2"),
        other.url("/la"),
    ]


def test_threads_that_wait_for_a_host_take_one_token_each(library, site):
    """Another worker holds the only host with pages due: to look again costs no token and writes nothing."""
    listed(library, site.url("/une"))
    claimed(library, site.host)
    [before] = query(library, "select last_value from lease_token")

    fetch.drain(library, "run", seconds=1.0)

    [after] = query(library, "select last_value from lease_token")
    assert site.paths == []
    assert after["last_value"] - before["last_value"] <= fetch.THREADS


@pytest.mark.parametrize("written", [False, True])
def test_the_gap_counts_from_an_answer_that_could_not_be_written(library, site, written):
    """A full disk, a conflict: the next worker waits as long as if all had gone well."""

    def answer_in_vain():
        with turns.turns(library, Shift(20)) as mine:
            mine.admit(site.url("/une"))
            query(library, "update host set next_at = now() - interval '1 hour' returning name")
            with library.store.transaction("fetch") as tx:
                if written:
                    mine.note_answer(tx)
                raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        answer_in_vain()

    [host] = query(library, "select next_at > now() - interval '1 minute' as counted from host")
    assert host["counted"]


def test_what_another_worker_polled_meanwhile_is_not_polled_again(library, site, other):
    """While a feed led to another host, somebody else may ask this one."""

    def leads_away(talk):
        with library.store.transaction("elsewhere") as tx:
            row = feeds.by_url(tx, site.url("/b"))
            feeds.save_quiet(
                tx, Poll(row.id, "run", library.now(), "unchanged"), failures=0, not_before=library.now()
            )
        talk.answer("302 Found", b"", f"Location: {other.url('/a')}")

    other.answers["/a"] = rss(other)
    site.answers |= {"/a": leads_away, "/b": rss(site)}
    with library.store.transaction("sync") as tx:
        feeds.sync(tx, [FeedSource(url=site.url(path), publisher="fanal") for path in ("/a", "/b")])
    discover.poll_all(library, "run", [site.url("/a"), site.url("/b")], seconds=20)

    assert "/b" not in site.paths


def test_whoever_lost_its_lease_while_it_was_asking_writes_nothing(library, site):
    """During the request another worker took host and entries over: no page, no further request."""

    def taken_over(talk):
        query(library, "update host set lease_token = -1, lease_until = 'infinity'")
        query(library, "update entry set lease_token = -1, lease_until = 'infinity'")
        talk.answer("200 OK", PAGE)

    site.answers["/1"] = site.answers["/2"] = taken_over
    listed(library, site.url("/1"), site.url("/2"))

    fetch.drain(library, "run", seconds=2)

    assert len(site.paths) == 2
    assert query(library, "select * from page") == []
    assert {
        (row["stage"], row["lease_token"]) for row in query(library, "select stage, lease_token from entry")
    } == {("fetch", -1)}


def test_time_that_is_over_ends_a_long_batch_and_leaves_no_lease(library, site):
    """The pages that are left stay due, free for the next worker at once."""
    over = threading.Event()

    def last(talk):
        over.wait(30)
        talk.answer("200 OK", PAGE)

    site.answers["/0"] = last
    listed(library, *(site.url(f"/{number}") for number in range(5)))
    timer = threading.Timer(1.5, over.set)
    timer.start()

    fetch.drain(library, "run", seconds=1.0)
    timer.join()

    assert site.paths == ["/robots.txt", "/0"]
    left = query(library, "select * from entry where stage = 'fetch'")
    assert len(left) == 4
    assert all(row["lease_token"] is None and row["due_at"] <= library.now() for row in left)


def test_a_reading_that_failed_is_tried_again_and_does_not_count_as_unchanged(library, site):
    """A page read before, whose server fails now: it keeps its outcome, and the next try comes soon."""
    site.answers["/une"] = lambda talk: talk.answer("500 Oh")
    listed(library, site.url("/une"))
    query(library, "update entry set stage = 'done', outcome = 'new', revision = 1")

    fetch.drain(library, "run")

    row = entry(library, site.url("/une"))
    assert (row["stage"], row["outcome"], row["unchanged"], row["attempts"]) == ("done", "new", 0, 1)
    assert timedelta(0) < row["due_at"] - library.now() <= timedelta(minutes=1)
    assert query(library, "select * from page") == []
    with library.store.transaction("report") as tx:
        assert [row["gave_up"] for row in runs.report(tx, "run").failures] == [False]
    with library.store.transaction("retry") as tx:
        assert entries.retry(tx, run="run", now=library.now()) == 0


def test_not_modified_says_nothing_to_whoever_has_nothing(library, site):
    """A server that answers 304 to a plain request cannot end an entry without a text."""
    site.answers["/une"] = lambda talk: talk.answer("304 Not Modified")
    listed(library, site.url("/une"))

    fetch.drain(library, "run")

    row = entry(library, site.url("/une"))
    assert (row["stage"], row["page_fate"], row["outcome"]) == ("extract", "unparsable", None)


def test_an_imported_document_that_falls_due_is_fetched(library, site):
    """Its host was in no feed: the stage finds it all the same, and ends."""
    url = site.url("/une")
    document = {"url": url, "title": "Une", "text": "Le conseil a voté le budget de la commune."}
    documents.take(library, "run", [documents.parse(json.dumps(document).encode())])
    query(library, "update entry set stage = 'done' returning id")

    fetch.drain(library, "run", seconds=20)

    assert site.paths == ["/robots.txt", "/une"]


def test_a_feed_can_list_an_entry_while_a_worker_writes_it(library, site):
    """Neither waits for the other, so they cannot wait for each other in a circle."""
    listed(library, site.url("/une"))
    [row] = query(library, "update entry set lease_token = -1 returning id")
    with library.store.transaction("worker") as worker, library.store.transaction("feed") as feed:
        feed.execute("set local lock_timeout = '2s'")
        assert entries.held(worker, [row["id"]], token=-1)
        feed.execute(
            "insert into sighting (entry_id, feed_id, guid, title, summary, first_at, last_at)"
            " select %s, id, '', '', '', now(), now() from feed"
            " on conflict (entry_id, feed_id) do nothing",
            [row["id"]],
        )
        feed.execute("select from entry where id = %s for key share", [row["id"]])


# --- feeds


def rss(site):
    body = RSS.format(url=site.url("/une")).encode()
    return lambda talk: talk.answer("200 OK", body, "Content-Type: application/rss+xml", 'ETag: "1"')


def polled(runtime, site, *paths, run="run"):
    """Poll these feeds of the site in this run."""
    urls = [site.url(path) for path in paths]
    with runtime.store.transaction("sync") as tx:
        feeds.sync(tx, [FeedSource(url=url, publisher="fanal") for url in urls])
    steps.start(runtime, Run(run, "command", polls=True, reason="a test"))
    discover.poll_all(runtime, run, urls, seconds=20)
    with runtime.store.transaction("report") as tx:
        return runs.report(tx, run)


def feed_of(runtime, site, path):
    [row] = query(runtime, "select * from feed where url = %s", site.url(path))
    return row


def test_every_feed_has_its_row_in_the_report(library, site):
    """Changed, unchanged, failed, cut off, no feed, forbidden: each once, with the reason."""
    conditional = lambda talk: (  # noqa: E731
        talk.answer("304 Not Modified") if "if-none-match" in talk.headers() else rss(site)(talk)
    )
    site.answers |= {
        "/robots.txt": lambda talk: talk.answer("200 OK", FORBIDDING),
        "/same": lambda talk: talk.answer("200 OK", RSS.format(url=site.url("/une")).encode()),
        "/304": conditional,
        "/bogus-304": lambda talk: talk.answer("304 Not Modified"),
        "/500": lambda talk: talk.answer("500 Oh"),
        "/cut": lambda talk: (talk.head_only("Content-Length: 99999"), talk.send(RSS)),
        "/none": lambda talk: talk.answer("200 OK", b"<html><p>Rien</p></html>"),
    }
    paths = ["/same", "/304", "/bogus-304", "/500", "/cut", "/none", "/ferme/rss"]

    first = polled(library, site, *paths)
    query(library, "update feed set not_before = 'epoch'")
    second = polled(library, site, *paths, run="second")

    assert first.polls == {"changed": 2, "failed": 4, "no_feed": 1}
    assert second.polls == {"unchanged": 2, "failed": 4, "no_feed": 1}
    assert len(second.feed_trouble) == 5
    assert all(row["error"] for row in second.feed_trouble)
    assert "/ferme/rss" not in site.paths
    assert [feed_of(library, site, path)["failures"] for path in paths] == [0, 0, 2, 2, 2, 2, 2]


def test_what_a_feed_behind_a_redirect_is_known_by_is_not_asked_of_the_address(library, site):
    """The next polling asks without it: the address may answer for itself again."""
    site.answers |= {"/a": redirects("/b"), "/b": rss(site)}
    polled(library, site, "/a")
    site.answers["/a"] = rss(site)

    assert polled(library, site, "/a", run="second").polls == {"unchanged": 1}
    assert [path for path in site.paths if path != "/robots.txt"] == ["/a", "/b", "/a"]
    assert all("if-none-match" not in talk.headers() for talk in site.server.conversations)


def test_a_feed_waits_while_its_host_cannot_be_asked(library, site):
    """Unreadable robots.txt: no failure, no pause for others, due when robots.txt is asked for again."""
    site.answers |= {"/robots.txt": UNREADABLE["error"], "/a": rss(site), "/b": rss(site)}

    found = polled(library, site, "/a", "/b")

    assert found.polls == {"waiting": 2}
    assert all("robots.txt" in str(row["error"]) for row in found.feed_trouble)
    row = feed_of(library, site, "/b")
    assert (row["failures"], row["polled_at"]) == (0, None)
    assert timedelta(minutes=29) < row["not_before"] - library.now() <= turns.ROBOTS_RETRY
    [host] = query(library, "select next_at < clock_timestamp() + interval '1 min' as free from host")
    assert host["free"]

    site.answers["/robots.txt"] = lambda talk: talk.answer("404 Not Found")
    query(library, "update feed set not_before = 'epoch'; update host set robots_at = 'epoch'")
    assert polled(library, site, "/a", "/b", run="second").polls == {"changed": 2}


def test_polling_again_and_again_does_not_put_off_robots_txt(library, site):
    """Each try says how long the file still rests, not how long it rests at most."""
    site.answers |= {"/robots.txt": UNREADABLE["error"], "/a": rss(site)}
    polled(library, site, "/a")
    query(library, "update feed set not_before = 'epoch'")
    query(library, "update host set robots_at = robots_at - interval '20 min'")

    polled(library, site, "/a", run="second")

    assert (
        timedelta(minutes=9)
        < feed_of(library, site, "/a")["not_before"] - library.now()
        < timedelta(minutes=10)
    )


def test_a_feed_that_asks_for_a_pause_pauses_its_host(library, site):
    """503 with Retry-After is a failure of the one feed; the host's other feed waits."""
    site.answers |= {"/a": lambda talk: talk.answer("503 Busy", b"", "Retry-After: 3600"), "/b": rss(site)}

    found = polled(library, site, "/a", "/b")

    assert found.polls == {"failed": 1, "waiting": 1}
    assert "/b" not in site.paths
    assert [feed_of(library, site, path)["failures"] for path in ("/a", "/b")] == [1, 0]


def test_a_feed_whose_host_another_worker_asks_is_waited_for(library, site, monkeypatch):
    """However long the other one takes, the feed is polled afterwards, once."""
    monkeypatch.setattr(turns, "HOST_WAIT", 0.1)
    site.answers["/a"] = rss(site)
    claimed(library, site.host)
    timer = threading.Timer(0.5, released, [library, site.host])
    timer.start()

    assert polled(library, site, "/a").polls == {"changed": 1}
    timer.join()


def test_a_feed_whose_host_stays_busy_is_reported_as_waiting(library, site, monkeypatch):
    """The time is over: it is no failure of the feed, which is due at once in the next run."""
    monkeypatch.setattr(turns, "HOST_WAIT", 0.1)
    claimed(library, site.host)
    with library.store.transaction("sync") as tx:
        feeds.sync(tx, [FeedSource(url=site.url("/a"), publisher="fanal")])
    discover.poll_all(library, "run", [site.url("/a")], seconds=0.3)

    [poll] = query(library, "select * from poll")
    assert (poll["result"], "another worker" in poll["error"]) == ("waiting", True)
    row = feed_of(library, site, "/a")
    assert (row["failures"], row["not_before"] <= library.now()) == (0, True)


def test_two_workers_of_one_run_poll_a_feed_once(library, site):
    """A task that runs twice at once asks each feed once, and writes one row for each."""
    site.answers |= {path: rss(site) for path in ("/a", "/b", "/c")}
    urls = [site.url(path) for path in ("/a", "/b", "/c")]
    with library.store.transaction("sync") as tx:
        feeds.sync(tx, [FeedSource(url=url, publisher="fanal") for url in urls])
    barrier = threading.Barrier(2)

    def work(_):
        barrier.wait()
        discover.poll_all(library, "run", urls)

    with ThreadPoolExecutor(2) as pool:
        list(pool.map(work, range(2)))

    assert sorted(site.paths) == ["/a", "/b", "/c", "/robots.txt"]
    assert query(library, "select result, count(*) as n from poll group by result") == [
        {"result": "changed", "n": 3}
    ]


def test_a_poll_that_another_worker_noted_meanwhile_is_not_noted_again(library, site):
    """Both asked, one under a lease that was lost: the second waits, sees the first, and writes nothing."""
    with library.store.transaction("sync") as tx:
        feeds.sync(tx, [FeedSource(url=site.url("/a"), publisher="fanal")])
        row = feeds.by_url(tx, site.url("/a"))
    poll = Poll(row.id, "run", library.now(), "unchanged")

    def note():
        with library.store.transaction("poll") as tx:
            feeds.save_quiet(tx, poll, failures=0, not_before=poll.at)

    second = threading.Thread(target=note)
    with library.store.transaction("poll") as tx:
        feeds.save_quiet(tx, poll, failures=0, not_before=poll.at)
        second.start()
        assert eventually(lambda: query(library, WAITING))
    second.join()

    assert len(query(library, "select * from poll")) == 1


def test_who_notes_a_poll_waits_for_who_brings_entries_of_that_feed_and_not_the_other_way_round(
    library, site
):
    """Each would have what the other waits for: the feed, and the host of what is in it."""
    with library.store.transaction("sync") as tx:
        feeds.sync(tx, [FeedSource(url=site.url("/a"), publisher="fanal")])
        row = feeds.by_url(tx, site.url("/a"))
    poll = Poll(row.id, "run", library.now(), "unchanged")

    with turns.turns(library, Shift(30)) as mine, ThreadPoolExecutor(1) as pool:
        mine.admit(site.url("/a"))
        with library.store.transaction("import") as tx:
            feeds.lock(tx, row.id)
            noted = pool.submit(discover._note, library, poll, mine=mine)
            assert eventually(lambda: query(library, WAITING))
            hosts.add(tx, mine.host)
        noted.result()

    assert [poll["result"] for poll in query(library, "select result from poll")] == ["unchanged"]
