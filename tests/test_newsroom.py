"""What the sample newsroom publishes, and when: texts, feeds, pages, sitemaps, gold. Without a server."""

import json
import re
from collections import Counter
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from html.parser import HTMLParser
from itertools import pairwise
from pathlib import Path

import pytest
from lxml import etree
from newsroom_client import entries, plain

from pipeline.errors import ConfigError
from pipeline.model import Outcome, PageFate
from pipeline.newsroom import gold
from pipeline.newsroom.clock import Clock
from pipeline.newsroom.content import Revision
from pipeline.newsroom.hazards import BOMB_BYTES
from pipeline.newsroom.loading import HERE, load, typeset
from pipeline.newsroom.pages import amp_page, article_page, related_stories
from pipeline.newsroom.printing import EDITIONS, Printing, in_words, moments, slug
from pipeline.newsroom.site import build
from pipeline.newsroom.sitemaps import INDEX, NEWS
from pipeline.newsroom.syndication import damage, items
from pipeline.topics import rulebook
from pipeline.urls import canonical

ROOT = Path(__file__).parent.parent
EPOCH = datetime(2026, 3, 29, 0, 30, 17, tzinfo=UTC)  # half an hour before Paris puts its clocks forward
PUBLISHERS = load()
BY_ID = {publisher.id: publisher for publisher in PUBLISHERS}
GAZETTE, PHARE, RADIO, AGENCE, MIROIR, GIROUETTE, MARMITE = PUBLISHERS
STORIES = [(publisher, story) for publisher in PUBLISHERS for story in publisher.stories]
FEEDS = [(publisher, feed) for publisher in PUBLISHERS for feed in publisher.feeds]
STRAYS = [(publisher, stray) for publisher, feed in FEEDS for stray in feed.strays]
EDITION = [Printing(EPOCH, 20_000, EPOCH + timedelta(hours=hours)) for hours in EDITIONS]
FIRST, LAST = EDITION[0], EDITION[-1]
FRONT = (HERE / "templates" / "front.html").read_text("utf-8")
SITES = [build(PUBLISHERS, FRONT, printing) for printing in EDITION]
RULES = rulebook.load(ROOT / "config" / "topics")
of_stories = pytest.mark.parametrize(
    ("publisher", "story"), STORIES, ids=[f"{p.id[:5]}-{s.slug[:40]}" for p, s in STORIES]
)
of_feeds = pytest.mark.parametrize(("publisher", "feed"), FEEDS, ids=[f"{p.id}{f.path}" for p, f in FEEDS])
at_each_edition = pytest.mark.parametrize("edition", [1, 2, 3])


@pytest.fixture(scope="module")
def judged():
    return gold.load()


@pytest.fixture(scope="module")
def fates(judged):
    return list(gold.fates(judged, PUBLISHERS, FIRST))


def words(text):
    return re.findall(r"\w+", text)


def find(publisher, start):
    """The one story whose slug starts so."""
    [story] = [story for story in publisher.stories if story.slug.startswith(start)]
    return story


def resource(site, publisher, path):
    return site[publisher.host, path.partition("?")[0].removeprefix(FIRST.home(publisher))]


def read(site, publisher, feed):
    found = resource(site, publisher, feed.path)
    return entries(found.body, found.content_type)


def article_text(html):
    import trafilatura

    return " ".join((trafilatura.extract(html, include_comments=False) or "").split())


def missing_from(text, paragraphs):
    """Subheadings apart: extractors may take them for furniture."""
    return [one for one in paragraphs if not one.startswith("## ") and plain(one) not in text]


# The collection


def test_there_are_seven_publishers_of_three_families_and_sixty_articles_before_the_first_start():
    assert len(PUBLISHERS) >= 7
    assert len({publisher.family for publisher in PUBLISHERS}) >= 3
    assert sum(len(FIRST.stories(publisher)) for publisher in PUBLISHERS) >= 60
    assert all(publisher.host.endswith(".localhost") for publisher in PUBLISHERS)
    assert all(len(publisher.stories) >= 8 for publisher in PUBLISHERS)


def test_numbers_slugs_and_titles_are_given_once():
    for values in (
        [story.number for _, story in STORIES],
        [name for _, story in STORIES for name in (story.slug, story.other_slug) if name],
        [story.title for _, story in STORIES],
        [story.lead for _, story in STORIES],
    ):
        assert [value for value, count in Counter(values).items() if count > 1] == []


@of_stories
def test_a_story_is_long_enough_and_holds_no_placeholder(publisher, story):
    text = " ".join(LAST.text(story))

    assert 120 <= len(words(text)) <= 800
    titles = [story.title, *(revision.title for revision in story.revised)]
    for written in (text, story.lead, story.author, *titles):
        assert not re.search(r"[{}]|@\d|@dispatch|lorem|todo|xxx|\.\.\.|  ", written, re.IGNORECASE), written
    assert text[-1] in ".!?»"


def test_four_articles_of_five_have_250_to_600_words():
    fair = [story for _, story in STORIES if 250 <= len(words(" ".join(LAST.text(story)))) <= 600]

    assert len(fair) >= len(STORIES) * 0.8


def test_every_date_lies_within_five_days_before_the_first_start_and_the_last_edition_after_it():
    everything = moments(PUBLISHERS, FIRST)

    assert everything[0] >= EPOCH - timedelta(days=5)
    assert everything[-1] <= LAST.now, "after the last edition nothing changes any more"
    for first, second in pairwise([EPOCH - timedelta(days=5), *(printing.now for printing in EDITION)]):
        assert [moment for moment in everything if first < moment <= second], "each edition brings something"


def test_the_articles_fall_on_every_one_of_the_five_days():
    assert {int(story.hours // 24) for _, story in STORIES if story.hours >= 0} == {0, 1, 2, 3, 4}


def test_weekdays_in_a_text_agree_with_its_date():
    story = find(AGENCE, "climat-port-clement")
    published = FIRST.published(story)
    days = ("lundi", "mardi", "mercredi", "jeudi", "vendredi", "samedi", "dimanche")
    text = " ".join(FIRST.text(story))

    assert days[published.weekday()] in text
    assert days[(published.weekday() + 1) % 7] in text


def test_the_subjects_are_those_of_a_daily_press():
    sections = {slug(story.section) for _, story in STORIES}

    assert sections >= {"international", "politique", "economie", "sante", "climat", "culture", "sport"}


def test_one_article_each_is_in_english_occitan_and_haitian_creole():
    foreign = Counter(story.language for _, story in STORIES if story.language != "fr")

    assert foreign == {"en": 1, "oc": 1, "ht": 1}


def test_one_dispatch_runs_whole_cut_with_an_own_head_an_own_tail_and_inside_a_longer_piece():
    told = {
        story.publisher: [plain(text).replace("’", "'") for text in FIRST.text(story)]
        for _, story in STORIES
        if story.dispatch
    }
    whole = told[AGENCE.id]
    cut, headed, tailed = told[PHARE.id], told[RADIO.id], told[MIROIR.id]
    around = told[GIROUETTE.id]
    start = around.index(whole[0])

    assert told[GAZETTE.id] == whole
    assert cut == whole[: len(cut)]
    assert 0.4 <= len(" ".join(cut)) / len(" ".join(whole)) <= 0.6
    assert headed[-len(whole) :] == whole
    assert len(headed) > len(whole)
    assert tailed[: len(whole)] == whole
    assert len(tailed) > len(whole)
    assert around[start : start + len(whole)] == whole
    assert start > 0
    assert len(around) > start + len(whole)
    carriers = [story for _, story in STORIES if story.dispatch]
    assert max(carriers, key=lambda story: story.hours).publisher == AGENCE.id, "the agency is the first"


# Typography and dates


def test_typesetting_binds_high_punctuation_and_chooses_the_apostrophe():
    assert typeset("« L'eau » : 3 % ?", "’") == "«\xa0L’eau\xa0»\xa0: 3\xa0%\xa0?"
    assert typeset("l'eau", "'") == "l'eau"


def test_days_and_months_are_written_in_french():
    assert in_words(datetime(2026, 8, 1, 7, 5, tzinfo=UTC)) == "1er août 2026 à 07 h 05"
    assert slug("Économie & pêche") == "economie-peche"


# The clock


def test_the_clock_can_be_set_and_goes_at_its_own_pace():
    real = datetime(2026, 11, 26, 8, tzinfo=UTC)
    clock = Clock(real, EPOCH)
    hour = timedelta(hours=1)

    assert clock.at(real + hour) == EPOCH + hour
    assert clock.offset(real + hour) == clock.offset(real) == (EPOCH - real).total_seconds()
    fast = clock.moved(real + hour, tick=3600.0)
    assert fast.at(real + hour) == EPOCH + hour
    assert fast.at(real + hour + timedelta(seconds=2)) == EPOCH + 3 * hour
    still = fast.moved(real + 2 * hour, to=real, tick=0.0)
    assert still.at(real + 9 * hour) == real
    assert still.offset(real + 2 * hour) == -7200


def test_between_two_moments_nothing_changes():
    """What is served is a function of publishers, first start and moment: it may be built anew any time."""
    known = moments(PUBLISHERS, FIRST)
    for number, (moment, later) in enumerate(pairwise(known)):
        start, end, after = (replace(FIRST, now=now) for now in (moment, later - timedelta(seconds=1), later))
        assert _state(start) == _state(end) != _state(after)
        if number % 9 == 0:
            assert build(PUBLISHERS, FRONT, start) == build(PUBLISHERS, FRONT, end)
            assert build(PUBLISHERS, FRONT, end) != build(PUBLISHERS, FRONT, after)


def _state(printing):
    """Which stories and strays are out, and in which version."""
    stories = [(printing.is_out(story), printing.version(story)) for _, story in STORIES]
    return stories, [printing.is_out(stray) for _, stray in STRAYS]


def test_before_the_first_article_there_are_empty_feeds_and_no_pages():
    empty = build(PUBLISHERS, FRONT, replace(FIRST, now=EPOCH - timedelta(days=6)))

    for publisher, feed in FEEDS:
        assert read(empty, publisher, feed)[1] == []
    assert not [path for _, path in empty if re.search(r"\d{5}", path)]


@of_stories
def test_an_article_is_out_when_its_time_has_come(publisher, story):
    """Its page, its picture and its entry appear together, and stay."""
    moment = FIRST.published(story)
    before, after = (
        build((publisher,), FRONT, replace(FIRST, now=now)) for now in (moment - timedelta(seconds=1), moment)
    )
    path = FIRST.path(publisher, story)
    guid = f":{story.number}"

    assert (publisher.host, path) not in before
    assert (publisher.host, path) in after
    for feed in publisher.feeds:
        listed = [item.guid for item in items(publisher, feed, replace(FIRST, now=moment))]
        assert any(name.endswith(guid) for name in listed) == feed.carries(story)
    assert (publisher.host, path) in SITES[-1]


def test_one_article_is_revised_in_both_later_editions():
    story = find(PHARE, "ukraine-echange")
    texts = [printing.text(story) for printing in EDITION]

    assert [printing.version(story) for printing in EDITION] == [1, 2, 3]
    assert [len(text) for text in texts] == [len(texts[0]), len(texts[0]) + 1, len(texts[0]) + 2]
    assert FIRST.title(story) == story.title != LAST.title(story) == EDITION[1].title(story)
    assert [printing.modified(story) for printing in EDITION] == [
        printing.instant(hours) for printing, hours in zip(EDITION, (5, -5.5, -19), strict=True)
    ]
    assert {printing.published(story) for printing in EDITION} == {FIRST.published(story)}


def test_the_live_page_grows_at_the_top_and_keeps_what_it_said():
    [story] = [story for _, story in STORIES if story.live]
    times = [story.hours, *(revision.hours for revision in story.revised)]
    texts = [replace(FIRST, now=FIRST.instant(hours)).text(story) for hours in times]

    assert len(texts) >= 6
    leading = [text for text in texts[0] if not text[0].isdigit()]
    for number, (before, after) in enumerate(pairwise(texts)):
        assert after[: len(leading)] == before[: len(leading)] == tuple(leading)
        assert after[len(leading) + 1 :] == before[len(leading) :]
        said = f"{FIRST.instant(times[number + 1]):%H h %M}"
        assert after[len(leading)].startswith(said), "the newest says when it came"
    assert FIRST.title(story).startswith("En direct")


def test_a_page_changes_when_its_own_story_does_and_only_then():
    for publisher, story in STORIES:
        seen = [site.get((publisher.host, FIRST.path(publisher, story))) for site in SITES]
        pages = {found.body for found in seen if found}
        versions = {printing.version(story) for printing in EDITION if printing.is_out(story)}
        assert len(pages) == len(versions), story.slug


# Feeds


@at_each_edition
@of_feeds
def test_a_feed_holds_every_entry_of_its_plan_in_order(publisher, feed, edition):
    printing, site = EDITION[edition - 1], SITES[edition - 1]
    expected = items(publisher, feed, printing)

    version, found, _ = read(site, publisher, feed)

    formats = {"rss": "rss20", "atom": "atom10", "rdf": "rss10", "json": "https://jsonfeed.org/version/1.1"}
    assert version == formats[feed.format]
    assert [plain(entry.title) for entry in found] == [plain(item.title) for item in expected]
    assert [plain(entry.summary) for entry in found] == [plain(item.summary) for item in expected]
    assert [entry.link for entry in found] == [item.link for item in expected]
    ids = [item.link if feed.format == "rdf" else item.guid for item in expected]
    assert [entry.id for entry in found] == ids
    assert [entry.author for entry in found] == [item.author for item in expected]
    for entry, item in zip(found, expected, strict=True):
        parse = parsedate_to_datetime if feed.format == "rss" else datetime.fromisoformat
        assert parse(entry.updated) == item.updated


def test_all_four_formats_are_there():
    assert {feed.format for _, feed in FEEDS} == {"rss", "atom", "rdf", "json"}


def test_the_figures_that_the_demonstration_rests_on():
    """How many entries each feed carries in the end, and how many addresses they are."""
    counts = {
        f"{publisher.id[:7]}{feed.path}": len(read(SITES[-1], publisher, feed)[1])
        for publisher, feed in FEEDS
    }
    links = [
        {canonical(item.link) for publisher, feed in FEEDS for item in items(publisher, feed, printing)}
        for printing in EDITION
    ]

    assert counts == {
        "gazette/rss/une.xml": 11,
        "gazette/rss/international.xml": 3,
        "phare-d/atom.xml": 10,
        "radio-s/podcasts-et-infos.rss": 11,
        "agence-/flux.json": 8,
        "miroir-/flux/une.rss": 13,
        "miroir-/flux/mobile.rss": 2,
        "miroir-/flux/politique.rss": 1,
        "girouet/rss.rdf": 10,
        "marmite/atom.xml": 11,
    }
    assert [len(found) for found in links] == [70, 73, 75]


@of_feeds
def test_a_feed_is_well_formed_unless_it_was_damaged_on_purpose(publisher, feed):
    found = resource(SITES[-1], publisher, feed.path)
    if feed.format == "json":
        values = json.loads(found.body)
        assert {"version", "title", "items"} <= set(values)
        assert all({"id", "url", "content_text"} <= set(item) for item in values["items"])
    elif feed.damaged:
        with pytest.raises(etree.XMLSyntaxError):
            etree.fromstring(found.body)
        assert read(SITES[-1], publisher, feed)[2]
    else:
        root = etree.fromstring(found.body)
        assert root.getroottree().docinfo.encoding.lower() == publisher.charset
        assert not read(SITES[-1], publisher, feed)[2]


def test_an_rdf_feed_lists_its_items_twice_as_the_format_wants():
    root = etree.fromstring(resource(SITES[-1], GIROUETTE, "/rss.rdf").body)
    names = {"rdf": "http://www.w3.org/1999/02/22-rdf-syntax-ns#", "r": "http://purl.org/rss/1.0/"}
    order = root.xpath("//r:items/rdf:Seq/rdf:li/@rdf:resource", namespaces=names)

    assert order == root.xpath("/rdf:RDF/r:item/@rdf:about", namespaces=names)
    assert order == root.xpath("/rdf:RDF/r:item/r:link/text()", namespaces=names)


def test_the_one_damaged_feed_is_broken_in_three_ways():
    assert [publisher.id for publisher, feed in FEEDS if feed.damaged] == [RADIO.id]
    raw = resource(SITES[0], RADIO, RADIO.feeds[0].path).body.decode()

    assert "&nbsp;" in raw
    assert "<!DOCTYPE" not in raw
    assert "Sabots & Cie" in raw
    assert "</channel>" not in raw
    assert not raw.rstrip().endswith("</rss>")


def test_damage_leaves_every_item_whole():
    broken = damage("<rss><channel><item>a\xa0&amp;</item><item>b</item></channel></rss>")

    assert broken == "<rss><channel><item>a&nbsp;&</item><item>b</item>\n"


# Special cases


def test_one_article_is_linked_with_and_without_tracking():
    links = {
        item.link for feed in GAZETTE.feeds for item in items(GAZETTE, feed, LAST) if "ormevault" in item.link
    }
    bare, tracked = sorted(links, key=len)

    assert tracked.partition("?")[0] == bare
    assert "utm_source=" in tracked
    assert "xtor=" in tracked
    assert canonical(tracked) == canonical(bare)


def test_one_article_is_linked_under_two_slugs_with_one_number():
    [story] = [story for story in MIROIR.stories if story.other_slug]
    links = {
        item.link
        for feed in MIROIR.feeds
        for item in items(MIROIR, feed, LAST)
        if str(story.number) in item.link
    }

    assert len({canonical(link) for link in links}) == 2
    assert {re.search(MIROIR.article_id, link)[1] for link in links} == {str(story.number)}
    assert len({resource(SITES[-1], MIROIR, link).body for link in links}) == 1


def test_one_feed_leads_to_amp_versions_of_the_same_articles():
    [feed] = [feed for _, feed in FEEDS if feed.amp]
    for item in items(MIROIR, feed, LAST):
        page = resource(SITES[-1], MIROIR, item.link).body.decode()
        assert "<html amp" in page
        [name] = re.findall(r'<link rel="canonical" href="([^"]+)"', page)
        assert canonical(item.link) == canonical(name)
        assert name != item.link
        assert f'<link rel="amphtml" href="{item.link}">' in resource(SITES[-1], MIROIR, name).body.decode()


def test_moved_articles_are_redirected_for_good_one_of_them_three_times():
    chains = {}
    for publisher, story in STORIES:
        if story.moved_from:
            [link] = {
                i.link for f in publisher.feeds for i in items(publisher, f, LAST) if story.lead == i.summary
            }
            hops = 0
            while (found := resource(SITES[-1], publisher, link)).location:
                link, hops = found.location, hops + 1
            assert link == LAST.url(publisher, story)
            chains[story.slug] = hops

    assert sorted(chains.values()) == [1, 3]


def test_strays_lead_to_nothing_to_what_is_gone_to_loopback_to_no_end_and_to_a_bomb():
    answers = {}
    for publisher, stray in STRAYS:
        found = SITES[-1].get((publisher.host, stray.path))
        answers[stray.link.rpartition("/")[2]] = found and (found.status, found.hazard)

    assert answers == {
        "marche-aux-puces-de-montrivel-reporte-104199.html": None,
        "journal-de-8-heures": None,
        "art20977.htm": (410, ""),
        "album-de-la-fete-des-quais": (200, "endless"),
        "registre-complet-du-port": (200, "bomb"),
    }
    assert [s.link for _, s in STRAYS if not s.path] == ["http://127.0.0.1:1/reecouter/journal-de-8-heures"]
    assert [story.slug for _, story in STORIES if story.hazard == "slow"] == ["loyers-des-ateliers-du-port"]
    assert BOMB_BYTES > 10 << 20, "more than a reader takes for a page"


def test_robots_txt_forbids_exactly_one_article():
    from protego import Protego

    forbidden = []
    for publisher in PUBLISHERS:
        found = resource(SITES[-1], publisher, "/robots.txt")
        assert found.content_type.startswith("text/plain")
        rules = Protego.parse(found.body.decode())
        urls = [FIRST.url(publisher, story) for story in publisher.stories]
        forbidden += [url for url in urls if not rules.can_fetch(url, "Veille")]
        for feed in publisher.feeds:
            assert rules.can_fetch(FIRST.home(publisher) + feed.path, "Veille")
        maps = [FIRST.home(publisher) + INDEX] if publisher.sitemaps else []
        assert list(rules.sitemaps) == maps

    assert len(forbidden) == 1
    assert "/reserve/" in forbidden[0]


def test_a_paywalled_page_shows_its_beginning_and_says_so():
    [(publisher, story)] = [(publisher, story) for publisher, story in STORIES if story.visible is not None]
    first, *_, last = FIRST.text(story)

    page = article_page(publisher, story, FIRST)
    text = article_text(page)

    assert plain(first) in text
    assert plain(last) not in " ".join(page.split())
    assert 'content="locked"' in page
    assert "abonne" in page


# Pages


@of_stories
def test_the_main_text_of_a_page_can_be_recovered(publisher, story):
    """Every visible paragraph, and nothing of the furniture around it."""
    page = article_page(publisher, story, LAST)
    shown = LAST.text(story)[: story.visible]

    text = article_text(page)

    assert missing_from(text, shown) == []
    assert re.search(
        f">{re.escape(LAST.title(story).replace('&', '&amp;').replace(chr(39), '&#x27;'))}</", page
    )
    for furniture in ("cookies", "Publicité", "Josette42", "Abonnements", "Pleine mer", "Téléchargez"):
        assert furniture not in text
    if publisher.amp_template:
        assert missing_from(article_text(amp_page(publisher, story, LAST)), shown) == []


MARKS = {
    "JSON-LD": r'<script type="application/ld\+json">',
    "OpenGraph": r'<meta property="og:',
    "article:": r'<meta property="article:',
    "microdata": r"\bitemprop=",
    "time": r"<time\b",
    "author": r'<meta name="author"',
    "description": r'<meta name="description"',
    "canonical": r'<link rel="canonical"',
    "amphtml": r'<link rel="amphtml"',
    "feeds": r'<link rel="alternate"',
    "language": r"<html[^>]* lang=",
    "heading": r"<h1\b",
    "viewport": r'name="viewport"',
}
CARRIES = {
    GAZETTE.id: {"JSON-LD", "time", "description", "canonical", "feeds", "language", "heading", "viewport"},
    PHARE.id: {"OpenGraph", "article:", "author", "canonical", "feeds", "language", "heading", "viewport"},
    RADIO.id: {"microdata", "time", "feeds", "language"},
    AGENCE.id: {"JSON-LD", "canonical", "feeds", "language", "heading", "viewport"},
    MIROIR.id: {"JSON-LD", "OpenGraph", "time", "description", "canonical", "amphtml", "feeds", "language"}
    | {"heading", "viewport"},
    GIROUETTE.id: set(),
    MARMITE.id: {"heading"},
}


@of_stories
def test_each_template_carries_exactly_the_metadata_it_claims(publisher, story):
    page = article_page(publisher, story, LAST)

    assert {name for name, mark in MARKS.items() if re.search(mark, page)} == CARRIES[publisher.id]
    assert len(re.findall(r"<title>", page, re.IGNORECASE)) == 1


def test_an_amp_page_carries_a_canonical_link_and_json_ld_and_refers_to_nothing_outside():
    for story in MIROIR.stories:
        page = amp_page(MIROIR, story, LAST)
        found = {name for name, mark in MARKS.items() if re.search(mark, page)}
        assert found == {"JSON-LD", "time", "canonical", "language", "heading", "viewport"}
        hosts = set(re.findall(r'(?:href|src)="https?://([^/"]+)', page))
        assert hosts == {f"{MIROIR.host}:20000"}


def test_json_ld_says_what_the_story_says():
    for publisher in (GAZETTE, AGENCE, MIROIR):
        for story in publisher.stories:
            [block] = re.findall(
                r'<script type="application/ld\+json">(.*?)</script>', article_page(publisher, story, LAST)
            )
            values = json.loads(block)
            if publisher is AGENCE:
                site, values, crumbs = values["@graph"]
                assert (site["@type"], crumbs["@type"]) == ("WebSite", "BreadcrumbList")
            assert values["@type"] == ("LiveBlogPosting" if story.live else "NewsArticle")
            assert values["headline"] == LAST.title(story)
            assert values["author"][0]["name"] == story.author
            assert datetime.fromisoformat(values["datePublished"]) == LAST.published(story)
            assert datetime.fromisoformat(values["dateModified"]) == LAST.modified(story)


def test_every_machine_date_of_a_page_is_its_publication_in_paris():
    for publisher, story in STORIES:
        page = article_page(publisher, story, LAST)
        dates = re.findall(r'(?:datetime|published_time" content|"datePublished)"?[=:] ?"([^"]+)"', page)
        assert {datetime.fromisoformat(date) for date in dates} <= {LAST.published(story)}
        assert bool(dates) == (publisher not in {GIROUETTE, MARMITE})
        assert (in_words(LAST.published(story)) in page) == (publisher not in {AGENCE, MARMITE})


def test_the_old_site_declares_its_charset_inside_the_page_alone():
    found = resource(SITES[-1], GIROUETTE, LAST.path(GIROUETTE, find(GIROUETTE, "ble-mer")))

    assert found.content_type == "text/html"
    assert b"charset=windows-1252" in found.body[:400]
    assert "œ" not in found.body.decode("latin-1")
    with pytest.raises(UnicodeDecodeError):
        found.body.decode("utf-8")
    assert plain(LAST.text(find(GIROUETTE, "ble-mer"))[0]) in plain(
        found.body.decode("cp1252").replace("&#x27;", "'")
    )
    raw = resource(SITES[-1], GIROUETTE, "/rss.rdf")
    assert raw.content_type == "application/rdf+xml"
    assert raw.body.startswith(b'<?xml version="1.0" encoding="windows-1252"?>')


class Balance(HTMLParser):
    """Finds tags that are closed without having been opened, and those that are never closed."""

    VOID = frozenset({"br", "hr", "img", "link", "meta"})

    def __init__(self, page):
        super().__init__()
        self.open, self.wrong = [], []
        self.feed(page)
        self.close()
        self.wrong += self.open

    def handle_starttag(self, tag, attrs):
        names = [name for name, _ in attrs]
        if len(set(names)) < len(names):
            self.wrong.append(f"{tag}: an attribute twice")
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        if self.open and self.open[-1] == tag:
            self.open.pop()
        else:
            self.wrong.append(f"/{tag}")


def test_every_tag_of_every_page_is_closed_where_it_was_opened():
    wrong = {}
    for (host, path), found in SITES[-1].items():
        if found.content_type.startswith("text/html") and not found.hazard and not found.location:
            publisher = next(publisher for publisher in PUBLISHERS if publisher.host == host)
            coding = "utf-8" if "utf-8" in found.content_type else publisher.charset
            page = found.body.decode(coding)
            if problems := Balance(page).wrong:
                wrong[path] = problems

    assert {path: problems for path, problems in wrong.items() if not path.endswith("art20977.htm")} == {}


def test_every_internal_link_leads_somewhere():
    """Navigation, related articles, pictures, feeds, AMP: a visitor never meets a dead end."""
    dead = set()
    for site, printing in zip(SITES, EDITION, strict=True):
        for (host, _), found in site.items():
            if not found.content_type.startswith("text/html"):
                continue
            for link in re.findall(rb'(?:href|src)="([^"#]+)"', found.body, re.IGNORECASE):
                address = link.decode().removeprefix(f"http://{host}:{printing.port}")
                if (host, address) not in site:
                    dead.add((host, address))

    assert dead == set()


def test_related_articles_are_older_and_never_revised():
    for publisher, story in STORIES:
        related = related_stories(publisher, story)
        assert len(related) <= 3
        assert all(other.hours >= story.hours and not other.revised for other in related)


def test_the_publishers_id_can_be_read_from_every_address():
    for publisher, story in STORIES:
        if publisher.article_id:
            for path in (FIRST.path(publisher, story), FIRST.path(publisher, story, story.other_slug)):
                [number] = re.findall(publisher.article_id, FIRST.home(publisher) + path)
                assert int(number) == story.number


# Sitemaps

SITEMAP = {"s": "http://www.sitemaps.org/schemas/sitemap/0.9"}
NAMES = SITEMAP | {"n": "http://www.google.com/schemas/sitemap-news/0.9"}


def test_two_publishers_have_sitemaps():
    assert [publisher.id for publisher in PUBLISHERS if publisher.sitemaps] == [AGENCE.id, MIROIR.id]
    for publisher in PUBLISHERS:
        assert ((publisher.host, INDEX) in SITES[-1]) == publisher.sitemaps


@at_each_edition
@pytest.mark.parametrize("publisher", [AGENCE, MIROIR], ids=["agence", "miroir"])
def test_a_sitemap_index_leads_to_one_map_for_each_day_in_paris(publisher, edition):
    """Each article that is out stands in the map of its day, and in no other."""
    printing, site = EDITION[edition - 1], SITES[edition - 1]
    home = printing.home(publisher)
    index = etree.fromstring(resource(site, publisher, INDEX).body)
    listed = [loc.removeprefix(home) for loc in index.xpath("//s:sitemap/s:loc/text()", namespaces=SITEMAP)]
    by_day = {
        path: etree.fromstring(resource(site, publisher, path).body).xpath(
            "//s:loc/text()", namespaces=SITEMAP
        )
        for path in listed
        if path != NEWS
    }

    assert NEWS in listed
    assert by_day == {
        f"/sitemaps/{day}.xml": [
            printing.url(publisher, story)
            for story in sorted(printing.stories(publisher), key=printing.published)
            if f"{printing.published(story):%Y-%m-%d}" == day
        ]
        for day in sorted({f"{printing.published(story):%Y-%m-%d}" for story in printing.stories(publisher)})
    }
    assert len(by_day) >= 5


def test_the_news_sitemap_holds_two_days_with_title_language_and_publication():
    urls = etree.fromstring(resource(SITES[-1], MIROIR, NEWS).body).xpath("//s:url", namespaces=NAMES)
    newest = max(LAST.published(story) for story in MIROIR.stories)
    recent = [s for s in MIROIR.stories if newest - LAST.published(s) <= timedelta(days=2)]

    assert [url.findtext("s:loc", namespaces=NAMES) for url in urls] == [LAST.url(MIROIR, s) for s in recent]
    assert 3 <= len(recent) < len(MIROIR.stories)
    for url, story in zip(urls, recent, strict=True):
        assert url.findtext(".//n:title", namespaces=NAMES) == LAST.title(story)
        assert url.findtext(".//n:name", namespaces=NAMES) == MIROIR.name
        assert url.findtext(".//n:language", namespaces=NAMES) == story.language
        published = url.findtext(".//n:publication_date", namespaces=NAMES)
        assert datetime.fromisoformat(published) == LAST.published(story)
        assert datetime.fromisoformat(url.findtext("s:lastmod", namespaces=NAMES)) == LAST.modified(story)


# Gold


def test_every_story_and_stray_has_a_verdict_and_no_verdict_lacks_one(judged):
    told = {(publisher.id, story.slug) for publisher, story in STORIES}
    told |= {(publisher.id, stray.link) for publisher, stray in STRAYS}

    assert judged.verdicts.keys() == told


def test_the_fates_are_those_of_the_addresses_that_the_feeds_give(fates):
    links = Counter(
        canonical(link)
        for link in {i.link for p, feed in FEEDS for printing in EDITION for i in items(p, feed, printing)}
    )

    assert sorted(canonical(fate.url) for fate in fates) == sorted(links)


def test_fates_speak_the_words_of_the_model_and_of_the_shipped_topics(fates):
    shipped = {rule.id for rule in RULES}
    for fate in fates:
        Outcome(fate.outcome)
        PageFate(fate.page)
        assert fate.topics | fate.not_topics <= shipped
        assert not fate.topics & fate.not_topics
        assert fate.false_friend <= fate.not_topics, f"{fate.name} has to be free of what it tries"
        assert (fate.revisions > 1) == (fate.outcome == "revised")


def test_every_shipped_topic_was_judged_and_has_articles_and_false_friends(judged, fates):
    assert set(judged.judged) == {rule.id for rule in RULES}
    for topic in judged.judged:
        right = [fate for fate in fates if topic in fate.topics]
        friends = [fate for fate in fates if topic in fate.false_friend]
        assert len({fate.publisher for fate in right}) >= 3, topic
        assert len(friends) >= 4, topic
        assert len({fate.publisher for fate in friends}) >= 2, topic


def test_the_fates_add_up_to_the_report_that_a_whole_run_must_give(fates):
    assert Counter(fate.outcome for fate in fates) == {
        "new": 66,
        "revised": 2,
        "duplicate": 1,
        "not_french": 3,
        "failed": 3,
    }
    assert Counter(fate.page for fate in fates) == {
        "full": 68,
        "gone": 2,
        "too_large": 2,
        "address_refused": 1,
        "robots": 1,
        "teaser": 1,
    }
    assert {fate.name: fate.revisions for fate in fates if fate.revisions > 1} == {
        "ukraine-echange-de-prisonniers-mediation": 3,
        "en-direct-crue-de-l-orvanne": 3,
    }


def test_copies_share_what_the_gold_says_they_share(fates):
    """Counted in words of paragraphs: what is the agency's, of all that the copy says."""
    texts = {LAST.url(p, s): [plain(t).replace("’", "'") for t in LAST.text(s)] for p, s in STORIES}
    copies = [fate for fate in fates if fate.copy_of]
    assert {fate.publisher for fate in copies} == {p.id for p in (GAZETTE, PHARE, RADIO, MIROIR, GIROUETTE)}
    for fate in copies:
        original, own = texts[fate.copy_of], texts[fate.url]
        shared = sum(len(words(text)) for text in own if text in original)
        assert shared / sum(len(words(text)) for text in own) == pytest.approx(fate.share, abs=0.05), (
            fate.name
        )


def test_a_fate_says_what_the_story_says_after_the_last_edition(fates):
    fate = next(fate for fate in fates if fate.name == "ukraine-echange-de-prisonniers-mediation")

    assert plain(fate.title).startswith("Ukraine : l’échange de prisonniers a eu lieu")
    assert fate.authors == ("Armel Quéméneuvic",)
    assert fate.day == LAST.instant(5).date()
    assert fate.url == LAST.url(PHARE, find(PHARE, "ukraine-echange"))
    moved = next(fate for fate in fates if fate.name == "opera-outre-pont-rideau-de-scene")
    assert moved.url.endswith("/culture/opera-rideau"), "as the feed gives it"


@pytest.mark.parametrize(
    ("before", "after", "said"),
    [
        ("handball-deux-lunes-renverse-valbruyere: {}", "", "handball-deux-lunes-renverse-valbruyere"),
        ("{page: robots}", "{fate: robots}", "fate"),
        ("copy_of: agence-depeche-libre/mer", "copy_of: agence-depeche-libre/mar", "which is no story"),
    ],
)
def test_a_gold_that_is_wrong_is_named(tmp_path, before, after, said):
    (tmp_path / "data").mkdir()
    text = (HERE / "data" / "gold.yaml").read_text("utf-8")
    assert before in text
    (tmp_path / "data" / "gold.yaml").write_text(text.replace(before, after), "utf-8")

    with pytest.raises(ConfigError, match=said):
        list(gold.fates(gold.load(tmp_path), PUBLISHERS, FIRST))


# Data files


@pytest.mark.parametrize(
    "text",
    [
        "no head",
        "---\nnumber: 1\ntitel: faute\n---\nTexte.\n",
        "---\n: [\n---\nTexte.\n",
        "---\nnumber: 1\ntitle: a\nlead: b\nsection: c\nauthor: d\nhours: 1\nhazard: fire\n---\nTexte.\n",
    ],
)
def test_a_faulty_data_file_is_named(tmp_path, text):
    import shutil

    shutil.copytree(HERE, tmp_path / "copy", ignore=shutil.ignore_patterns("*.py", "__pycache__"))
    (tmp_path / "copy" / "data" / "articles" / RADIO.id / "neuf.md").write_text(text, "utf-8")
    with pytest.raises(ConfigError, match=r"neuf\.md"):
        load(tmp_path / "copy")


def test_revisions_follow_publication_in_their_order():
    for _, story in STORIES:
        hours = [story.hours, *(revision.hours for revision in story.revised)]
        assert hours == sorted(hours, reverse=True)
        marks = {int(mark) for text in story.paragraphs for mark in re.findall(r"^@(\d+) ", text)}
        marks.discard(1)
        titled = {number for number, one in enumerate(story.revised, start=2) if one.title}
        assert marks | titled == set(range(2, len(hours) + 1)), story.slug
        assert all(isinstance(revision, Revision) for revision in story.revised)
