"""What becomes of a page: asked for, kept, read, and read again, on a real store and loopback servers."""

import json
import shutil
from datetime import timedelta
from email.utils import parsedate_to_datetime

import pytest
from sites import Site, listed, query
from warcio.archiveiterator import ArchiveIterator

from pipeline import schedule, steps
from pipeline.archive import Pointer
from pipeline.model import Feed, FeedEntry
from pipeline.stages import discover, documents, fetch
from pipeline.store import runs
from pipeline.store.runs import Run

pytestmark = pytest.mark.slow

TEXT = " ".join(
    f"Le quai {n} du port de Lussonnes a rouvert après {n + 3} jours de travaux menés par la ville."
    for n in range(40)
)


def html(title="Le port rouvre", text=TEXT):
    """An article's page."""
    paragraphs = "".join(f"<p>{text[at : at + 400]}</p>" for at in range(0, len(text), 400))
    head = f"<html lang=fr><head><title>{title}</title></head>"
    return f"{head}<body><article><h1>{title}</h1>{paragraphs}</article></body></html>".encode()


WALLED = html(text=f"{TEXT[:900]} ").replace(
    b"</article>", "<p>Il vous reste 80 % de cet article à lire.</p></article>".encode()
)
SHELL = b"<html><body><script>x()</script><div id=app></div></body></html>"


def answers(body, *headers, status="200 OK"):
    return lambda talk: talk.answer(status, body, "Content-Type: text/html", *headers)


@pytest.fixture
def site():
    with Site() as opened:
        yield opened


@pytest.fixture
def library(open_runtime, site):
    """A runtime that may ask the site."""
    runtime = open_runtime(allow_hosts=frozenset({(site.name, site.server.port)}))
    steps.start(runtime, Run("run", "command", polls=True, reason="a test"))
    return runtime


def conditional(body, etag):
    """A page that is in this state, and 304 for whoever knows it."""

    def answer(talk):
        if talk.headers().get("if-none-match") == etag:
            talk.answer("304 Not Modified")
        else:
            answers(body, f"ETag: {etag}")(talk)

    return answer


def says(runtime, site, title):
    """A feed lists the article under this title, now."""
    url = site.url("/une")
    found = FeedEntry(
        url, url, title=title, summary="Un chapeau.", published=runtime.now() - timedelta(days=5)
    )
    feed, body = Feed("rss", (found,)), title.encode()
    discover.import_feed(runtime, "run", "http://feed.localhost/", body, feed, at=runtime.now())


def go_on(runtime):
    """The rest of the line: what is due is fetched, read, compared, tagged and indexed."""
    for step in (steps.fetch, steps.extract, steps.deduplicate, steps.tag, steps.index):
        step(runtime, "run")


def read_again(runtime):
    """The time has come to read the pages again."""
    query(runtime, "update entry set due_at = %s where stage = 'done'", runtime.now())
    go_on(runtime)


def entry(runtime):
    [row] = query(runtime, "select * from entry")
    return row


# --- what is asked for


@pytest.mark.parametrize(("size", "fate"), [(fetch.PAGE_CAP, "full"), (fetch.PAGE_CAP + 1, "too_large")])
def test_a_page_is_fetched_if_it_can_be_read(size, fate, library, site):
    """One limit for both: what is longer than can be read is not taken for a broken page."""
    site.answers["/une"] = answers(html().ljust(size))
    listed(library, site.url("/une"))

    steps.fetch(library, "run")
    steps.extract(library, "run")

    assert entry(library)["page_fate"] == fate


# --- what is kept


def pdf(talk):
    talk.answer("200 OK", b"%PDF-1.7", "Content-Type: application/pdf")


def cut_off(talk):
    talk.head_only("Content-Length: 99999", "Content-Type: text/html")
    talk.send(html())


KEPT = {
    "a page": (answers(html()), "full", html()),
    "gone": (answers(b"Rien ici", status="404 Not Found"), "gone", b"Rien ici"),
    "a wall": (answers(html("Vos cookies"), status="403 Forbidden"), "forbidden", html("Vos cookies")),
    "another type": (pdf, "unparsable", b"%PDF-1.7"),
    "no body": (answers(b"", status="410 Gone"), "gone", b""),
    "an error, at last": (answers(b"En panne", status="503 Busy"), "not_fetched", b"En panne"),
    "cut off, at last": (cut_off, "not_fetched", html()),
}


@pytest.mark.parametrize("name", KEPT)
def test_whatever_came_for_a_page_is_kept_with_its_redirects(name, library, site):
    """What a publisher answered can be shown, a refusal as well; only pages are read, though."""
    answer, fate, body = KEPT[name]
    site.answers = {"/une": lambda talk: talk.answer("302 Found", b"", "Location: /deux"), "/deux": answer}
    listed(library, site.url("/une"))
    query(library, "update entry set attempts = %s", len(schedule.RETRY))

    steps.fetch(library, "run")
    steps.extract(library, "run")

    [row] = query(library, "select * from page")
    assert row["fate"] == fate
    pointer = Pointer(row["archive_file"], row["archive_offset"], row["archive_length"])
    assert library.archive.read(pointer)[1] == body
    [file] = library.archive.folder.glob("*/*.gz")
    with file.open("rb") as opened:
        asked = [record.rec_headers["WARC-Target-URI"] for record in ArchiveIterator(opened)]
    assert asked == [site.url("/une")] * 2 + [site.url("/deux")] * 2
    read = query(library, "select engine from revision where engine <> 'feed'")
    assert len(read) == (fate == "full")


def test_not_modified_leaves_nothing_in_the_archive(library, site):
    """The page that it speaks of is there."""
    site.answers["/une"] = conditional(html(), '"a"')
    listed(library, site.url("/une"))
    go_on(library)
    read_again(library)

    pages = query(library, "select status, archive_file is null as nowhere from page order by id")
    assert [(row["status"], row["nowhere"]) for row in pages] == [(200, False), (304, True)]


# --- what is asked for again


def test_a_page_behind_a_redirect_says_nothing_of_the_address_that_was_asked(library, site):
    """A page of maintenance, younger than the article: its date must not make the article "not modified"."""
    younger, older = "Wed, 25 Nov 2026 20:00:00 GMT", "Tue, 24 Nov 2026 08:00:00 GMT"

    def une(talk):  # as RFC 9110, 13.1.3, has it
        since = talk.headers().get("if-modified-since")
        if since and parsedate_to_datetime(older) <= parsedate_to_datetime(since):
            talk.answer("304 Not Modified")
        else:
            answers(html(), f"Last-Modified: {older}")(talk)

    site.answers = {
        "/une": lambda talk: talk.answer("302 Found", b"", "Location: /maintenance"),
        "/maintenance": answers(html("Site en maintenance", TEXT[:700]), f"Last-Modified: {younger}"),
    }
    listed(library, site.url("/une"))
    go_on(library)
    site.answers["/une"] = une

    read_again(library)

    assert titles(library) == ["Site en maintenance", "Le port rouvre"]


def lost(runtime):
    """The archive's disk is gone, and another one stands in its place."""
    runtime.archive.close()
    shutil.rmtree(runtime.archive.folder)


def titles(runtime):
    return [row["title"] for row in query(runtime, "select title from revision order by number")]


def test_a_page_that_was_not_read_is_asked_for_in_full(library, site):
    """The feed's summary stood in for it: that the page is as it was does not make it known."""
    site.answers["/une"] = conditional(html(), '"a"')
    listed(library, site.url("/une"))
    steps.fetch(library, "run")
    lost(library)
    go_on(library)
    assert entry(library)["page_fate"] == "unparsable"

    read_again(library)

    assert titles(library) == ["Un titre", "Le port rouvre"]
    assert entry(library)["page_fate"] == "full"


def test_a_change_that_was_not_read_is_asked_for_in_full(library, site):
    """The text before it is known, and stays; the page's new state is not."""
    site.answers["/une"] = conditional(html(), '"a"')
    listed(library, site.url("/une"))
    go_on(library)
    site.answers["/une"] = conditional(html("Le port ne rouvre pas"), '"b"')
    query(library, "update entry set due_at = now()")
    steps.fetch(library, "run")
    lost(library)
    go_on(library)
    assert titles(library) == ["Le port rouvre"]

    read_again(library)

    assert titles(library) == ["Le port rouvre", "Le port ne rouvre pas"]


@pytest.mark.parametrize("body", [html(), WALLED], ids=["the same text", "less"])
def test_a_page_that_brought_nothing_is_known_all_the_same(body, library, site):
    """It was read: the next question is whether that one is still there."""
    site.answers["/une"] = conditional(html(), '"a"')
    listed(library, site.url("/une"))
    go_on(library)
    site.answers["/une"] = conditional(body, '"b"')
    read_again(library)
    read_again(library)

    assert [row["status"] for row in query(library, "select status from page order by id")] == [200, 200, 304]


def test_a_text_that_was_handed_in_is_not_what_the_page_says(library, site):
    """A document imported over a page that was read: "not modified" would not speak of it."""
    site.answers["/une"] = conditional(html(), '"a"')
    listed(library, site.url("/une"))
    go_on(library)
    record = {"url": site.url("/une"), "title": "Le port", "text": TEXT}
    documents.take(library, "run", [documents.parse(json.dumps(record).encode())])
    go_on(library)

    read_again(library)

    assert titles(library) == ["Le port rouvre", "Le port", "Le port rouvre"]


# --- what a feed announces meanwhile


CORRECTED = html("Le port ne rouvre pas")


def then_announced(runtime, site, answer=None):
    """The answer is on its way when the feed says something new, and the page shows it."""
    answer = answer or answers(html())

    def answering(talk):
        says(runtime, site, "Rectificatif")
        site.answers["/une"] = answers(CORRECTED)
        answer(talk)

    return answering


@pytest.mark.parametrize("stage", ["fetch", "extract", "deduplicate"])
def test_a_change_announced_while_the_entry_is_under_way_is_read(stage, library, site):
    """Whichever stage the entry has passed: the page that was fetched before does not have it."""
    site.answers["/une"] = answers(html())
    says(library, site, "Un titre")
    for step in ("fetch", "extract", "deduplicate"):
        getattr(steps, step)(library, "run")
        if step == stage:
            break
    says(library, site, "Rectificatif")
    site.answers["/une"] = answers(CORRECTED)

    go_on(library)
    go_on(library)

    assert titles(library) == ["Le port rouvre", "Le port ne rouvre pas"]
    assert entry(library)["due_at"] is None


ANSWERS = {
    "a page": (answers(html()), ["Le port rouvre", "Le port ne rouvre pas"]),
    "gone": (answers(b"", status="404 Not Found"), ["Le port ne rouvre pas"]),
    "no page": (pdf, ["Le port ne rouvre pas"]),
    "no access": (answers(b"", status="403 Forbidden"), ["Rectificatif", "Le port ne rouvre pas"]),
}


@pytest.mark.parametrize("name", ANSWERS)
def test_a_change_announced_during_the_first_request_is_read(name, library, site):
    """Whatever came, even where the entry would have been given up."""
    answer, known = ANSWERS[name]
    site.answers["/une"] = then_announced(library, site, answer)
    says(library, site, "Un titre")

    go_on(library)
    go_on(library)

    assert titles(library) == known
    assert entry(library)["due_at"] is None


@pytest.mark.parametrize("status", ["200 OK", "304 Not Modified", "404 Not Found", "403 Forbidden"])
def test_a_change_announced_while_a_page_is_read_again_is_read(status, library, site):
    """Also where the reading brought nothing, or was to be the last."""
    site.answers["/une"] = answers(html(), 'ETag: "a"')
    says(library, site, "Un titre")
    go_on(library)
    site.answers["/une"] = then_announced(library, site, answers(html(), status=status))

    read_again(library)
    go_on(library)

    assert titles(library) == ["Le port rouvre", "Le port ne rouvre pas"]
    assert entry(library)["due_at"] is None


def test_a_change_announced_before_the_page_was_asked_for_costs_no_second_reading(library, site):
    """While it waited for its host, and once more while it is done and due."""
    site.answers["/une"] = answers(html())
    says(library, site, "Un titre")
    says(library, site, "Rectificatif")
    go_on(library)
    assert site.paths == ["/robots.txt", "/une"]
    says(library, site, "Encore un rectificatif")
    says(library, site, "Et un autre")

    go_on(library)
    go_on(library)

    assert site.paths == ["/robots.txt", "/une", "/une"]


# --- a page that shows less


@pytest.mark.parametrize(
    ("first", "then", "kept"),
    [
        (answers(html()), answers(WALLED), "full"),
        (answers(html()), answers(SHELL), "full"),
        (answers(WALLED), answers(SHELL), "teaser"),
        (answers(WALLED), answers(html(), status="403 Forbidden"), "teaser"),
        (answers(SHELL), answers(WALLED), "summary teaser"),
        (answers(WALLED), answers(html()), "teaser full"),
    ],
    ids=[
        "a wall",
        "a shell",
        "a shell before a wall",
        "no access",
        "a wall for a shell",
        "a wall that opens",
    ],
)
def test_a_text_is_replaced_by_a_better_one_only(first, then, kept, library, site):
    """Full, teaser, the feed's summary: a later reading that brings less has brought nothing."""
    site.answers["/une"] = first
    listed(library, site.url("/une"))
    go_on(library)
    site.answers["/une"] = then

    read_again(library)

    revisions = query(library, "select completeness from revision order by number")
    assert " ".join(row["completeness"] for row in revisions) == kept
    [newest] = query(library, "select outcome from page order by id desc limit 1")
    assert newest["outcome"] == ("revised" if " " in kept else "unchanged")
    assert entry(library)["page_fate"] == kept.rpartition(" ")[2]


def test_an_article_made_of_the_feed_s_summary_follows_the_feed(library, site):
    """Its page is closed to us, then as now: what the feed corrects is corrected here."""
    site.answers["/robots.txt"] = answers(b"User-agent: *\nDisallow: /")
    says(library, site, "Le port ferme")
    go_on(library)
    says(library, site, "Le port ne ferme pas")
    go_on(library)

    assert titles(library) == ["Le port ferme", "Le port ne ferme pas"]
    assert (entry(library)["outcome"], entry(library)["page_fate"]) == ("revised", "robots")


# --- why a page was not read


UNREAD = {
    "robots": {"/robots.txt": answers(b"User-agent: *\nDisallow: /")},
    "forbidden": {"/une": answers(html(), status="403 Forbidden")},
    "unparsable": {"/une": answers(b"%PDF-1.7 ")},
    "too_large": {"/une": answers(html().ljust(fetch.PAGE_CAP + 1))},
}


@pytest.mark.parametrize("fate", UNREAD)
def test_the_report_says_why_a_page_was_not_read_until_it_is(fate, library, site):
    """The article that the feed's summary makes went through all stages: the reason is still there."""
    site.answers = UNREAD[fate] | {"/deux": answers(html())}
    listed(library, site.url("/une"), site.url("/deux"))
    go_on(library)

    with library.store.transaction("report") as tx:
        report = runs.report(tx, "run")
    assert report.outcomes == {"new": 2}
    found = {row["url"]: (row["page_fate"], row["reason"]) for row in report.failures}
    if fate == "robots":  # of both
        assert found.pop(site.url("/deux"))[0] == fate
    assert found.keys() == {site.url("/une")}
    said = {"robots": "robots.txt", "forbidden": "403", "unparsable": "no HTML", "too_large": "10,000,000"}
    assert found[site.url("/une")][0] == fate
    assert said[fate] in found[site.url("/une")][1]

    site.answers = {"/une": answers(html())}
    query(library, "update host set robots_at = 'epoch'")
    read_again(library)

    with library.store.transaction("report") as tx:
        assert runs.report(tx, "run").failures == []
