"""Real feeds: every item of them is read, and the quick reader sees exactly what the authority sees."""

import calendar
import tarfile
from collections import Counter, defaultdict
from datetime import UTC, datetime
from itertools import pairwise
from urllib.parse import urldefrag

import pytest

from pipeline.errors import Unparsable
from pipeline.reading import feeds, syndication
from pipeline.reading.dates import parse_date
from pipeline.reading.plaintext import plain

pytestmark = [pytest.mark.corpus, pytest.mark.slow]

URL = "https://flux.example/rss/une.xml"
# Links that differ as published and are one article, by the reason: none in 2022 and 2024, whose only noise
# is the fragment; in 2018 Le Monde's main feed added a parameter that says where the reader came from.
MERGED = {"10": {}, "11": {}, "12": {}, "13": {"xtor=RSS-3208": 70}}


@pytest.fixture(scope="module")
def bodies(corpus, tmp_path_factory):
    """The files of a set, by name."""

    def load(number):
        folder = next(corpus.glob(f"{number}-*"))
        packed = sorted(folder.glob("*.tar.xz"))
        for archive in packed:
            unpacked = tmp_path_factory.mktemp(number)
            with tarfile.open(archive) as tar:
                tar.extractall(unpacked, filter="data")
            yield from ((str(p), p.read_bytes()) for p in sorted(unpacked.rglob("*")) if p.is_file())
        if not packed:
            files = (p for p in sorted(folder.rglob("*")) if p.is_file() and p.name != "SOURCE.txt")
            yield from ((str(p), p.read_bytes()) for p in files)

    return load


def read(files):
    """The feeds, the reasons why the others are none, and what was wrong with the feeds."""
    found, refused, broken = [], Counter(), Counter()
    for _, body in files:
        try:
            feed = feeds.parse(body, url=URL)
        except Unparsable as error:
            refused[str(error)] += 1
        else:
            found.append(feed)
            broken[feed.broken.partition(" (")[0]] += 1
    return found, refused, broken


@pytest.mark.parametrize(
    ("number", "files", "entries", "articles", "refused"),
    [
        ("10", 480, 9_538, 2_829, {}),
        ("11", 540, 13_408, 4_913, {}),
        # the second is what an office program leaves beside a file that it has open
        ("12", 26, 624, 604, {"an HTML page, not a feed": 1, "neither XML nor JSON": 1}),
        ("13", 63, 1_273, 898, {"an XML document (<wordcounts>), not a feed": 2}),
    ],
)
def test_every_item_of_the_press_is_read(bodies, number, files, entries, articles, refused):
    """All items have a link, a title and a date; what is no feed is called so; merged links are explained."""
    found, said, broken = read(bodies(number))
    listed = [entry for feed in found for entry in feed.entries]
    published = defaultdict(set)
    for entry in listed:
        published[entry.canonical_url].add(urldefrag(entry.url).url)
    merged = Counter(
        link.partition("?")[2] for links in published.values() if len(links) > 1 for link in links
    )

    assert said == refused
    assert broken == {"": files}
    assert (len(found), len(listed), len(published)) == (files, entries, articles)
    assert not any(feed.without_link or feed.entries_truncated for feed in found)
    assert all(entry.title and entry.published for entry in listed)
    assert {noise: count for noise, count in merged.items() if noise} == MERGED[number]


def test_the_items_are_those_that_the_files_hold(bodies):
    """Counted by their tags, without any parser."""
    for name, body in [*bodies("10"), *bodies("11")]:
        assert len(feeds.parse(body, url=URL).entries) == body.count(b"</item>"), name


def clean(item):
    """An item as an entry would show it."""
    return {
        "links": [feeds._address(link, URL) for link in item.links],
        "guid": item.guid.strip(),
        "title": plain(item.title, 1_000),
        "summary": plain(item.summary, 10_000),
        "published": parse_date(item.published),
        "updated": parse_date(item.updated),
        "authors": list(filter(None, map(feeds._author, item.authors))),
    }


def differences(files):
    """How many items both readers read, and in which fields they differ."""
    items, unlike = 0, Counter()
    for _, body in files:
        try:
            text, _ = syndication._characters(body, "")
            kind, text, _ = syndication._root(text)
        except (Unparsable, IndexError):
            continue
        quick = syndication._read_tree(text, kind) if "xml:base" not in text else None
        if quick is None:
            continue
        authority = syndication._read_with_authority(text, kind)
        unlike["items"] += abs(len(quick.items) - len(authority.items))
        unlike["title of the feed"] += plain(quick.title, 1_000) != plain(authority.title, 1_000)
        for one, other in zip(quick.items, authority.items, strict=False):
            items += 1
            seen, known = clean(one), clean(other)
            unlike.update(field for field in seen if seen[field] != known[field])
    return items, +unlike


@pytest.mark.parametrize(
    ("number", "items", "unlike"),
    [
        ("10", 9_538, {}),
        ("11", 12_808, {}),  # the other 600 have media:group, which is left to the authority
        ("12", 524, {}),  # the other 100 too
        ("13", 1_273, {}),
        ("14", 9, {"links": 1}),  # <link uri="at://…">https://…</link>: the authority takes the attribute
    ],
)
def test_the_quick_reader_sees_what_the_authority_sees(bodies, number, items, unlike):
    """Links, guids, titles, summaries, dates and authors, item by item."""
    assert differences(bodies(number)) == (items, unlike)


def test_dates_are_those_of_the_authority(bodies):
    """feedparser's own reading of the dates of 2022 and 2024 is ours, to the second."""
    import feedparser

    compared = 0
    for _, body in [*bodies("10"), *bodies("11")]:
        for entry in feedparser.parse(body, sanitize_html=False, resolve_relative_uris=False).entries:
            known = datetime.fromtimestamp(calendar.timegm(entry.published_parsed), UTC)
            compared += 1
            assert parse_date(entry.published) == known

    assert compared == 22_946


def test_unchanged_feeds_are_recognised(bodies, floor):
    """Of the feeds seen at 0:28, 11:00 and 18:48 none is the same file again; many list the same."""
    versions = defaultdict(list)
    for name, body in bodies("11"):
        versions[name.rpartition("/")[2]].append(body)
    pairs = [pair for same in versions.values() for pair in pairwise(same)]

    assert not sum(one == other and b"<item" in one for one, other in pairs)
    assert sum(feeds.digest(one) == feeds.digest(other) for one, other in pairs) >= floor(
        "feeds_unchanged_of_360"
    )
    for one, other in pairs:
        if feeds.digest(one) == feeds.digest(other):
            assert feeds.parse(one, url=URL).entries == feeds.parse(other, url=URL).entries


def test_the_test_files_of_other_parsers(bodies):
    """3 198 files made to trip parsers: none does, and those that are no feeds are told apart."""
    _, refused, broken = read(bodies("14"))

    assert refused == {
        "a JSON document without items, not a feed": 270,  # the expected results beside the feeds
        "broken JSON, not a feed": 2,
        "neither XML nor JSON": 1,
        "the feed is empty": 1,
        "an XML document (<note>), not a feed": 1,
    }
    assert sum(broken.values()) == 2_923


def test_entities_and_old_encodings_come_out_as_their_authors_expect(bodies):
    """feedparser's files of entities: each is decoded, or stands as it was written where nobody knows it."""
    left = Counter()
    for name, body in bodies("14"):
        if "/entities/" in name:
            reading = syndication.read(body)
            said = " ".join(
                plain(text, 1_000) for item in reading.items for text in (item.title, item.summary)
            )
            left.update(word for word in said.split() if word.startswith("&") and word.endswith(";"))

    assert left <= Counter({"&doesnotexist;": 1})


def test_hostile_xml_is_refused_or_harmless(bodies):
    """defusedxml's nine files: none is a feed, as bombs in feeds are tested elsewhere."""
    found, refused, _ = read(bodies("54"))

    assert not found
    assert sum(refused.values()) == 13
