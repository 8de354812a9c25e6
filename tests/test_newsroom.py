"""The sample newsroom over real HTTP: feeds, pages, special cases, editions, restarts."""

import gzip
import http.client
import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading
from collections import Counter
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import yaml

from pipeline.errors import Busy, ConfigError, NotFound
from pipeline.newsroom.content import HERE, load, typeset
from pipeline.newsroom.pages import article_page
from pipeline.newsroom.printing import Printing, in_words, slug
from pipeline.newsroom.server import Newsroom
from pipeline.newsroom.syndication import damage, items

ROOT = Path(__file__).parent.parent
EPOCH = datetime(2026, 3, 29, 0, 30, 17, tzinfo=UTC)  # half an hour before Paris puts its clocks forward
GAZETTE, PHARE, RADIO = PUBLISHERS = load()
STORIES = [(publisher, story) for publisher in PUBLISHERS for story in publisher.stories]
FEEDS = [(publisher, feed) for publisher in PUBLISHERS for feed in publisher.feeds]
PRINTING = Printing(EPOCH, 20_000)


@pytest.fixture
def newsroom(tmp_path):
    with Newsroom(tmp_path / "home") as served:
        yield served


@dataclass(frozen=True)
class Answer:
    status: int
    headers: http.client.HTTPMessage
    body: bytes

    @property
    def text(self):
        return self.body.decode()


def get(newsroom, url, method="GET", **headers: str):
    """Ask for `url`, or for a path of the first publisher."""
    parts = urlsplit(url)
    host = parts.netloc or newsroom.hosts[0]
    path = parts.path + (f"?{parts.query}" if parts.query else "")
    connection = http.client.HTTPConnection("127.0.0.1", newsroom.port, timeout=10)
    try:
        sent = {name.replace("_", "-"): value for name, value in headers.items()}
        connection.request(method, path, headers={"Host": host} | sent)
        response = connection.getresponse()
        return Answer(response.status, response.headers, response.read())
    finally:
        connection.close()


def printing_of(newsroom):
    state = json.loads((newsroom.home / "newsroom.json").read_text())
    turned = datetime.fromisoformat(state["turned"]) if state["turned"] else None
    return Printing(datetime.fromisoformat(state["epoch"]), state["port"], state["edition"], turned)


def parsed(newsroom, publisher, feed):
    import feedparser

    answer = get(newsroom, printing_of(newsroom).home(publisher) + feed.path)
    assert answer.status == 200
    return feedparser.parse(answer.body, response_headers={"content-type": answer.headers["Content-Type"]})


def everything(newsroom):
    """Every feed entry and every article page as served now: {(feed or page): content}."""
    printing = printing_of(newsroom)
    entries = {
        (feed.path, entry.id): (
            entry.title,
            entry.updated if feed.format == "atom" else entry.published,
            entry.summary,
            entry.link,
        )
        for publisher, feed in FEEDS
        for entry in parsed(newsroom, publisher, feed).entries
    }
    pages = {story.number: get(newsroom, printing.url(publisher, story)).text for publisher, story in STORIES}
    return entries, pages


def article_text(html):
    import trafilatura

    return " ".join((trafilatura.extract(html, include_comments=False) or "").split())


def plain(text):
    return " ".join(text.split())


def missing_from(text, paragraphs):
    """Subheadings apart: extractors may take them for furniture."""
    return [one for one in paragraphs if not one.startswith("## ") and plain(one) not in text]


# The collection


def test_there_are_three_publishers_of_two_families_and_at_least_27_articles():
    assert len(PUBLISHERS) >= 3
    assert len({publisher.family for publisher in PUBLISHERS}) >= 2
    assert len(STORIES) >= 27
    assert all(publisher.host.endswith(".localhost") for publisher in PUBLISHERS)


def test_numbers_slugs_and_titles_are_given_once():
    for values in (
        [story.number for _, story in STORIES],
        [story.slug for _, story in STORIES],
        [story.title for _, story in STORIES],
    ):
        assert [value for value, count in Counter(values).items() if count > 1] == []


@pytest.mark.parametrize(("publisher", "story"), STORIES, ids=[story.slug for _, story in STORIES])
def test_a_story_is_long_enough_and_holds_no_placeholder(publisher, story):
    printing = Printing(EPOCH, 20_000, edition=2, turned=EPOCH)
    text = " ".join(printing.text(story))

    assert len(re.findall(r"\w+", text)) >= 120
    for written in (text, story.title, story.lead, story.retitled, story.author):
        assert not re.search(r"[{}]|@2|lorem|todo|xxx|\.\.\.|  ", written, re.IGNORECASE), written
    assert text[-1] in ".!?»"


def test_two_thirds_of_the_articles_have_at_least_240_words():
    long = [story for _, story in STORIES if len(re.findall(r"\w+", " ".join(PRINTING.text(story)))) >= 240]

    assert len(long) >= len(STORIES) * 2 / 3


def test_every_date_lies_within_the_five_days_before_the_first_start():
    for _, story in STORIES:
        assert EPOCH - timedelta(days=5) <= PRINTING.published(story) <= PRINTING.modified(story) <= EPOCH
    for publisher, feed in FEEDS:
        for item in items(publisher, feed, PRINTING):
            assert EPOCH - timedelta(days=5) <= item.published <= item.updated <= EPOCH


def test_the_articles_fall_on_every_one_of_the_five_days():
    assert {int(story.hours // 24) for _, story in STORIES} == {0, 1, 2, 3, 4}


def test_weekdays_in_a_text_agree_with_its_date():
    story = next(story for _, story in STORIES if any("{jour}" in text for text in story.paragraphs))
    day = ("lundi", "mardi", "mercredi", "jeudi", "vendredi", "samedi", "dimanche")[
        PRINTING.published(story).weekday()
    ]

    assert day in " ".join(PRINTING.text(story))


def test_the_newsroom_covers_the_security_guarantees_from_every_publisher():
    guarantees = [
        story
        for _, story in STORIES
        if "garanties de sécurité" in (everything := story.title + story.lead).lower()
        and "Ukraine" in everything
    ]

    assert len(guarantees) >= 3
    assert {story.publisher for story in guarantees} == {publisher.id for publisher in PUBLISHERS}


def test_security_has_false_friends():
    titles = " ".join(story.title for _, story in STORIES)

    for friend in ("Sécurité sociale", "Sécurité routière", "Sécurité alimentaire"):
        assert friend in titles


def test_one_article_is_in_english():
    assert [story.section for _, story in STORIES if story.language == "en"] == ["Visitors"]


def test_one_dispatch_runs_whole_cut_to_half_and_behind_an_own_head():
    told = {story.publisher: PRINTING.text(story) for _, story in STORIES if story.dispatch}
    whole, half, headed = (
        [plain(text).replace("’", "'") for text in told[publisher.id]] for publisher in PUBLISHERS
    )
    share = len(" ".join(half).split()) / len(" ".join(whole).split())

    assert whole[: len(half)] == half
    assert 0.4 <= share <= 0.6
    assert headed[-len(whole) :] == whole
    assert 2 <= len(headed) - len(whole) <= 3


# Typography and dates


def test_typesetting_binds_high_punctuation_and_chooses_the_apostrophe():
    assert typeset("« L'eau » : 3 % ?", "’") == "«\xa0L’eau\xa0»\xa0: 3\xa0%\xa0?"
    assert typeset("l'eau", "'") == "l'eau"


def test_days_and_months_are_written_in_french():
    assert in_words(datetime(2026, 8, 1, 7, 5, tzinfo=UTC)) == "1er août 2026 à 07 h 05"
    assert slug("Économie & pêche") == "economie-peche"


# Feeds


@pytest.mark.parametrize(("publisher", "feed"), FEEDS, ids=[feed.path for _, feed in FEEDS])
def test_a_feed_holds_every_entry_of_its_plan_in_order(newsroom, publisher, feed):
    expected = items(publisher, feed, printing_of(newsroom))

    found = parsed(newsroom, publisher, feed)

    assert found.version == {"rss": "rss20", "atom": "atom10"}[feed.format]
    assert [plain(entry.title) for entry in found.entries] == [plain(item.title) for item in expected]
    assert [entry.link for entry in found.entries] == [item.link for item in expected]
    assert [entry.id for entry in found.entries] == [item.guid for item in expected]
    assert [plain(entry.summary) for entry in found.entries] == [plain(item.summary) for item in expected]
    for entry, item in zip(found.entries, expected, strict=True):
        when = entry.updated_parsed if feed.format == "atom" else entry.published_parsed
        assert datetime(*when[:6], tzinfo=UTC) == item.updated


def test_the_feeds_carry_35_entries_of_32_articles(newsroom):
    """The figures that the demo's expectations rest on."""
    counts = {feed.path: len(parsed(newsroom, publisher, feed).entries) for publisher, feed in FEEDS}
    links = {
        entry.link.partition("?")[0]
        for publisher, feed in FEEDS
        for entry in parsed(newsroom, publisher, feed).entries
    }

    assert counts == {
        "/rss/une.xml": 11,
        "/rss/international.xml": 3,
        "/atom.xml": 10,
        "/podcasts-et-infos.rss": 11,
    }
    assert len(links) == 32


def test_one_feed_is_broken_in_three_ways_and_the_others_are_not(newsroom):
    for publisher, feed in FEEDS:
        assert bool(parsed(newsroom, publisher, feed).bozo) == feed.damaged
    raw = get(newsroom, printing_of(newsroom).home(RADIO) + RADIO.feeds[0].path).text

    assert "&nbsp;" in raw
    assert "<!DOCTYPE" not in raw
    assert "Sabots & Cie" in raw
    assert "</channel>" not in raw
    assert not raw.rstrip().endswith("</rss>")


def test_damage_leaves_every_item_whole():
    broken = damage("<rss><channel><item>a\xa0&amp;</item><item>b</item></channel></rss>")

    assert broken == "<rss><channel><item>a&nbsp;&</item><item>b</item>\n"


# Special cases


def test_an_article_is_linked_with_and_without_tracking(newsroom):
    links = [
        entry.link
        for feed in GAZETTE.feeds
        for entry in parsed(newsroom, GAZETTE, feed).entries
        if "ormevault" in entry.link
    ]
    tracked, bare = sorted(links, key=len, reverse=True)

    assert tracked.partition("?")[0] == bare
    assert "utm_source=" in tracked
    assert "xtor=" in tracked
    assert get(newsroom, tracked).body == get(newsroom, bare).body


def test_one_link_is_gone_and_one_leads_to_loopback(newsroom):
    printing = printing_of(newsroom)
    strays = [item.link for p, feed in FEEDS for item in items(p, feed, printing) if item.guid == item.link]

    assert len(strays) == 2
    assert get(newsroom, next(link for link in strays if ".localhost" in link)).status == 404
    assert [link for link in strays if link.startswith("http://127.0.0.1:1/")] != []


def test_robots_txt_forbids_exactly_one_article(newsroom):
    from protego import Protego

    printing = printing_of(newsroom)
    forbidden = []
    for publisher in PUBLISHERS:
        answer = get(newsroom, printing.home(publisher) + "/robots.txt")
        assert answer.headers["Content-Type"].startswith("text/plain")
        rules = Protego.parse(answer.text)
        urls = [printing.url(publisher, story) for story in publisher.stories]
        forbidden += [url for url in urls if not rules.can_fetch(url, "Veille")]
        assert all(
            rules.can_fetch(printing.home(publisher) + feed.path, "Veille") for feed in publisher.feeds
        )

    assert len(forbidden) == 1
    assert get(newsroom, forbidden[0]).status == 200, "it can be read: only the rule forbids it"


def test_a_moved_article_is_redirected_for_good(newsroom):
    printing = printing_of(newsroom)
    [(publisher, story)] = [(publisher, story) for publisher, story in STORIES if story.moved_from]
    old = printing.home(publisher) + story.moved_from

    answer = get(newsroom, old)

    assert answer.status == 301
    assert answer.headers["Location"] == printing.url(publisher, story)
    assert get(newsroom, answer.headers["Location"]).status == 200
    assert old in [entry.link for entry in parsed(newsroom, publisher, publisher.feeds[0]).entries]


def test_a_paywalled_page_shows_its_beginning_and_says_so(newsroom):
    printing = printing_of(newsroom)
    [(publisher, story)] = [(publisher, story) for publisher, story in STORIES if story.visible is not None]
    first, *_, last = printing.text(story)

    page = get(newsroom, printing.url(publisher, story)).text
    text = article_text(page)

    assert plain(first) in text
    assert plain(last) not in " ".join(page.split())
    assert 'content="locked"' in page
    assert "abonne" in page


# Pages


@pytest.mark.parametrize(("publisher", "story"), STORIES, ids=[story.slug for _, story in STORIES])
def test_the_main_text_of_a_page_can_be_recovered(publisher, story):
    """Every visible paragraph, and nothing of the furniture around it."""
    page = article_page(publisher, story, PRINTING)
    shown = PRINTING.text(story)[: story.visible]

    text = article_text(page)

    assert missing_from(text, shown) == []
    assert f">{story.title.replace('&', '&amp;').replace(chr(39), '&#x27;')}</h" in page
    for furniture in ("cookies", "Publicité", "Josette42", "Abonnements", "Pleine mer"):
        assert furniture not in text


def test_every_page_carries_its_date_in_its_publishers_way():
    for publisher, story in STORIES:
        page = article_page(publisher, story, PRINTING)
        dates = re.findall(r'(?:datetime|published_time" content|"datePublished)"?[=:] ?"([^"]+)"', page)

        assert dates
        assert {datetime.fromisoformat(date) for date in dates} == {PRINTING.published(story)}


def test_the_publishers_describe_their_articles_in_three_different_ways():
    first = [article_page(publisher, publisher.stories[0], PRINTING) for publisher in PUBLISHERS]
    marks = ("application/ld+json", "og:title", "itemprop")

    assert [[mark in page for mark in marks] for page in first] == [
        [True, False, False],
        [False, True, False],
        [False, False, True],
    ]
    [block] = re.findall(r'<script type="application/ld\+json">(.*?)</script>', first[0])
    assert json.loads(block)["@type"] == "NewsArticle"


def test_every_internal_link_leads_somewhere(newsroom):
    """Navigation, related articles, images, feeds: a visitor never meets a dead end."""
    dead = set()
    printing = printing_of(newsroom)
    for publisher in PUBLISHERS:
        home = printing.home(publisher)
        pages = [f"{home}/", *(printing.url(publisher, story) for story in publisher.stories)]
        found = {
            link
            for page in pages
            for link in re.findall(r'(?:href|src)="([^"#]+)"', get(newsroom, page).text)
        }
        addresses = {link if link.startswith("http") else home + link for link in found}
        dead |= {address for address in addresses if get(newsroom, address, "HEAD").status != 200}

    assert dead == set()


def test_the_publishers_id_can_be_read_from_the_address():
    for publisher, story in STORIES:
        if publisher.article_id:
            [number] = re.findall(publisher.article_id, PRINTING.url(publisher, story))
            assert int(number) == story.number


# HTTP


def test_an_unknown_host_or_path_gets_404(newsroom):
    assert get(newsroom, "/nulle-part").status == 404
    assert get(newsroom, f"http://ailleurs.localhost:{newsroom.port}/").status == 404


def test_unchanged_things_cost_304(newsroom):
    for path in ("/rss/une.xml", "/", "/robots.txt"):
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


def test_a_port_taken_by_something_else_gives_one_clear_error(tmp_path):
    with Newsroom(tmp_path) as newsroom:
        port = newsroom.port
    with socket.create_server(("127.0.0.1", port)):
        with pytest.raises(Busy, match=f"127.0.0.1:{port}") as caught:
            Newsroom(tmp_path).start()
        assert "python -m pipeline.newsroom" in caught.value.hint
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
        _ = Newsroom(tmp_path).hosts
    (tmp_path / "newsroom.json").write_text("{")
    with pytest.raises(ConfigError, match=r"newsroom\.json is damaged"):
        Newsroom(tmp_path).start()


def test_the_written_configuration_names_every_publisher_and_feed(newsroom, tmp_path):
    file = newsroom.write_config(tmp_path / "config")
    publishers = yaml.safe_load(file.read_text("utf-8"))["publishers"]

    assert file.name == "sources.yaml"
    assert [publisher["domains"] for publisher in publishers] == [[p.host] for p in PUBLISHERS]
    assert set(newsroom.hosts) == {f"{p.host}:{newsroom.port}" for p in PUBLISHERS}
    for publisher in publishers:
        assert {"id", "name", "family", "country", "domains", "languages", "feeds"} <= set(publisher)
        for feed in publisher["feeds"]:
            assert get(newsroom, feed["url"]).status == 200


def test_a_faulty_data_file_is_named(tmp_path):
    import shutil

    shutil.copytree(HERE, tmp_path / "copy", ignore=shutil.ignore_patterns("*.py", "__pycache__"))
    article = tmp_path / "copy" / "data" / "articles" / RADIO.id / "neuf.md"
    for text in ("no head", "---\nnumber: 1\ntitel: faute\n---\nTexte.\n", "---\n: [\n---\nTexte.\n"):
        article.write_text(text, "utf-8")
        with pytest.raises(ConfigError, match=r"neuf\.md"):
            load(tmp_path / "copy")


# Editions


def test_the_second_edition_changes_one_article_and_its_entry(newsroom):
    entries, pages = everything(newsroom)
    [story] = [story for _, story in STORIES if story.has_second_edition]
    began = datetime.now(UTC).replace(microsecond=0)

    newsroom.edition = 2
    new_entries, new_pages = everything(newsroom)

    [entry] = {key for key in entries if entries[key] != new_entries[key]}
    [page] = {number for number in pages if pages[number] != new_pages[number]}
    assert new_entries.keys() == entries.keys()
    assert page == story.number
    assert entry[1].endswith(f":{story.number}")
    assert plain(new_entries[entry][0]) == plain(story.retitled)
    assert began <= datetime.fromisoformat(new_entries[entry][1]) <= datetime.now(UTC)
    printing = printing_of(newsroom)
    assert len(printing.text(story)) == len(PRINTING.text(story)) + 1
    assert missing_from(article_text(new_pages[page]), printing.text(story)) == []


def test_conditional_requests_see_the_second_edition(newsroom):
    feed = printing_of(newsroom).home(PHARE) + PHARE.feeds[0].path
    first = get(newsroom, feed)
    others = {url: get(newsroom, url) for url in ("/rss/une.xml", "/rss/international.xml")}

    newsroom.publish_edition(2)

    assert get(newsroom, feed, If_None_Match=first.headers["ETag"]).status == 200
    second = get(newsroom, feed, If_Modified_Since=first.headers["Last-Modified"])
    assert second.status == 200
    assert parsedate_to_datetime(second.headers["Last-Modified"]) > parsedate_to_datetime(
        first.headers["Last-Modified"]
    )
    for url, answer in others.items():
        assert get(newsroom, url, If_None_Match=answer.headers["ETag"]).status == 304


def test_an_edition_survives_a_restart_and_can_be_turned_back(tmp_path):
    with Newsroom(tmp_path) as first:
        before = everything(first)
        first.edition = 2
        first.edition = 2
        after = everything(first)
        with pytest.raises(ConfigError):
            first.edition = 0
    with Newsroom(tmp_path) as second:
        assert second.edition == 2
        assert everything(second) == after
        second.edition = 1
        assert everything(second) == before


# The command


def command(*arguments: object):
    return [sys.executable, "-m", "pipeline.newsroom", *map(str, arguments)]


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return probe.getsockname()[1]


def addresses(process):
    """What the command prints once it serves."""
    lines = []
    for line in process.stdout:
        lines.append(line.rstrip("\n"))
        if line.startswith("VEILLE_ALLOW_HOSTS="):
            return lines
    raise AssertionError(lines)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_the_command_serves_prints_addresses_turns_editions_and_stops_on_a_signal(tmp_path, number):
    with subprocess.Popen(
        command("--home", tmp_path), cwd=ROOT, stdout=subprocess.PIPE, text=True
    ) as process:
        try:
            lines = addresses(process)
            newsroom = Newsroom(tmp_path)
            assert lines[-1] == f"VEILLE_ALLOW_HOSTS={','.join(newsroom.hosts)}"
            assert sum(line.startswith("  http://") for line in lines) == len(FEEDS)
            turn = subprocess.run(
                command("--home", tmp_path, "--edition", 2),
                cwd=ROOT,
                check=True,
                capture_output=True,
                text=True,
            )
            assert turn.stdout == "edition 2\n"
            feed = get(newsroom, printing_of(newsroom).home(PHARE) + PHARE.feeds[0].path)
            assert "412 soldats" in feed.text
        finally:
            process.send_signal(number)
        assert process.wait(timeout=20) == 0


def test_the_command_names_cause_and_next_step(newsroom):
    failed = subprocess.run(
        command("--home", newsroom.home), cwd=ROOT, capture_output=True, text=True, check=False
    )

    assert failed.returncode == 1
    assert failed.stdout == ""
    assert "being served by another process\n  stop that one" in failed.stderr
    assert "Traceback" not in failed.stderr


@pytest.mark.slow
def test_until_eof_it_outlives_all_who_read_it_and_no_longer(tmp_path):
    """The starter is killed without a chance to tidy up, but has a reader, which holds the pipe too."""
    starter = (
        "import os, subprocess, sys, time\n"
        "reader, writer = os.pipe()\n"
        f"subprocess.Popen({command('--home', tmp_path, '--until-eof')!r}, stdin=reader)\n"
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
        assert get(newsroom, printing_of(newsroom).home(PHARE) + PHARE.feeds[0].path).status == 200
        parent.stdin.close()
        assert parent.stdout.read() == ""
    with Newsroom(tmp_path):
        pass


def test_with_patience_the_next_one_waits_for_the_end_of_the_last(tmp_path):
    with Newsroom(tmp_path) as last:
        threading.Timer(0.2, last.stop).start()
        with Newsroom(tmp_path, patience=20.0) as newsroom:
            assert newsroom.port == last.port
