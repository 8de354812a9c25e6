"""Feeds of every format and in every state of repair become entries; nothing is lost in silence."""

import html
import json
import socket
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.errors import Unparsable
from pipeline.reading import syndication
from pipeline.reading.feeds import digest, parse

FILES = Path(__file__).parent / "data" / "feeds"
URL = "https://www.courrier-valmont.example/flux/rss.xml"
TEN = datetime(2026, 6, 2, 8, tzinfo=UTC)  # 10 o'clock in Paris


def read(name):
    return parse((FILES / name).read_bytes(), url=URL)


def rss(
    items, head="<title>Journal</title>", prolog='<?xml version="1.0" encoding="utf-8"?>', encoding="utf-8"
):
    text = f'{prolog}<rss version="2.0"><channel>{head}{items}</channel></rss>'
    return text.encode(encoding)


def item(number=1, title="Un titre", more=""):
    return f"<item><title>{title}</title><link>https://a.example/article-{number}</link>{more}</item>"


def titles(body, **options):
    return [entry.title for entry in parse(body, url=URL, **options).entries]


# --- formats


def test_rss_2():
    """All fields, cleaned; markup and scripts gone, « : » untouched, captions left to their pictures."""
    feed = read("rss2.xml")
    budget, school = feed.entries

    assert (feed.format, feed.title, feed.language) == ("rss", "Le Courrier de Valmont : à la une", "fr-FR")
    assert (feed.broken, feed.without_link, feed.entries_truncated) == ("", 0, 0)
    assert budget.url == "https://www.courrier-valmont.example/ville/budget-telepherique_1001.html#xtor=RSS-1"
    assert budget.canonical_url == "https://courrier-valmont.example/ville/budget-telepherique_1001.html"
    assert budget.guid == "valmont-1001"
    assert budget.title == "Budget : la ville de Valmont renonce à son téléphérique"
    assert budget.summary == "Le conseil a voté contre. Le maire : « Trop cher. »"
    assert (budget.published, budget.updated) == (TEN, None)
    assert budget.authors == ("Jeanne Martin", "Paul Durand")
    assert school.url == "https://www.courrier-valmont.example/ville/ecole_1002.html"
    assert (school.title, school.summary) == ("L’école du bourg rouvre", "Les élèves sont revenus.")
    assert (school.published, school.authors) == (TEN - timedelta(hours=1), ("Léa Petit",))


def test_rss_0_91_with_the_entities_of_its_document_type():
    feed = read("rss091.xml")

    assert (feed.format, feed.title, feed.language) == ("rss", "L'Écho du Morvan", "fr")
    assert [(e.title, e.summary) for e in feed.entries] == [("La fête à Bibracte", "Trois jours de fête.")]


def test_rss_1_0():
    """RDF has one date, which is the publication's."""
    feed = read("rdf.xml")

    assert (feed.format, feed.language, feed.broken) == ("rdf", "fr", "")
    assert [(e.url, e.title, e.published, e.authors) for e in feed.entries] == [
        ("https://cahiers.example/essai-12", "Un essai sur le vent", TEN, ("Anne Roux",))
    ]


def test_atom_1_0():
    """The alternate link, not the editor's; an update is no publication; an id that is a URL is a link."""
    feed = read("atom10.xml")
    tide, note = feed.entries

    assert (feed.format, feed.title, feed.language) == ("atom", "Gazette de l'estuaire", "fr")
    assert (tide.url, tide.title) == ("https://gazette.example/maree-7", "Marée : le pont « fermé »")
    assert (tide.published, tide.updated) == (TEN, TEN + timedelta(hours=1.5))
    assert (tide.summary, tide.authors) == ("Le pont est fermé.", ("Inès Leroy", "Marc Blin"))
    assert (note.url, note.summary) == ("https://gazette.example/note-8", "Une note.")
    assert (note.published, note.updated) == (None, TEN + timedelta(hours=1.5))


def test_atom_0_3_with_a_base():
    [note] = read("atom03.xml").entries

    assert note.url == "https://vieux-blog.example/notes/2004/une-note.html"
    assert note.published == datetime(2004, 5, 1, 8, tzinfo=UTC)


def test_json_feed():
    feed = read("feed11.json")
    first, second = feed.entries

    assert (feed.format, feed.title, feed.language, feed.broken) == ("json", "Presse ouverte", "fr", "")
    assert (first.url, first.title) == ("https://ouverte.example/42", "Un titre & un autre")
    assert (first.summary, first.authors) == ("Le texte.", ("Sami Noël",))
    assert (first.published, first.updated) == (TEN, TEN + timedelta(hours=2))
    assert (second.url, second.authors) == ("https://ouverte.example/43", ("Zoé",))
    assert feed.without_link == 1


# --- links


def test_the_link_that_leads_to_the_article():
    """origLink, link, permalink guid, in this order; fragments and home pages are no links."""
    feed = read("links.xml")

    assert [(e.title, e.url) for e in feed.entries] == [
        ("Redirigé", "https://liens.example/article-1"),
        ("Guid seul", "https://liens.example/article-2"),
        ("Fragment et guid", "https://liens.example/article-3"),
        ("Relatif", "https://www.courrier-valmont.example/article-6"),
        ("Sans schéma", "https://liens.example/article-7"),
    ]
    assert feed.without_link == 6


@pytest.mark.parametrize("broken", [False, True])
def test_both_readers_choose_the_same_links(broken):
    """A feed that breaks tomorrow keeps its entries' links and guids."""
    body = (FILES / "links.xml").read_bytes()
    if broken:
        body = body.replace(b"</channel>", b"<x>&nbsp;</x></channel>")
    feed = parse(body, url=URL)

    assert bool(feed.broken) == broken
    assert [(e.url, e.guid) for e in feed.entries] == [(e.url, e.guid) for e in read("links.xml").entries]
    assert feed.without_link == 6


def test_a_guid_that_is_no_permalink_is_no_link():
    guid = '<guid isPermaLink="false">https://a.example/?p=1</guid>'
    feed = parse(rss(f"<item><title>Un</title>{guid}</item>"), url=URL)

    assert (feed.entries, feed.without_link) == ((), 1)


def test_an_address_that_is_none_is_counted():
    feed = parse(rss(item("1") + "<item><title>Deux</title><link>https://[::1/x</link></item>"), url=URL)

    assert (len(feed.entries), feed.without_link) == (1, 1)


# --- broken


def test_a_feed_that_was_cut_off_keeps_its_whole_items():
    feed = read("truncated.xml")

    assert [e.url for e in feed.entries] == [
        "https://coupe.example/article-premier",
        "https://coupe.example/article-deuxieme",
    ]
    assert "cut off in the middle of an item" in feed.broken


@pytest.mark.parametrize("length", range(120, 640, 13))
def test_no_cut_makes_a_link_that_is_none(length):
    """Wherever a feed is cut, its links are links of the whole feed."""
    body = (FILES / "truncated.xml").read_bytes()[:-1] + b"le-troisieme</link></item></channel></rss>"
    whole = {entry.url for entry in parse(body, url=URL).entries}

    assert len(whole) == 3
    assert {entry.url for entry in parse(body[:length], url=URL).entries} <= whole


def test_undeclared_entities_bare_ampersands_and_junk_before_the_declaration():
    feed = read("entities.xml")

    assert feed.title == "Café du commerce"
    assert [(e.url, e.title, e.summary) for e in feed.entries] == [
        (
            "https://cafe.example/article?id=1&page=2",
            "Thé & café : l'été est là",
            "Une phrase ; une autre",
        )
    ]
    assert "junk before the feed" in feed.broken
    assert "undefined entity" in feed.broken


@pytest.mark.parametrize(
    "damage",
    [
        lambda body: body.replace(b"</title>", b"", 1),
        lambda body: body.replace(b"<rss version=", b"<rss version=2.0 x="),
        lambda body: body.replace(b"Un titre", b"Un\x0b\x00 titre"),
        lambda body: body.replace(b"</channel>", b"</chanel>"),
        lambda body: body.replace(b"</channel></rss>", b""),
        lambda body: b"\r\n \xef\xbb\xbf" + body,
        lambda body: b"<br />\n<b>Notice</b>: x\n" + body,
        lambda body: body + b"<script>x</script>",
        lambda body: body.replace(b"<item>", b"<media:x/><item>", 1),
        lambda body: body.replace(b"<item>", b"<item x=1 x=2>", 1),
    ],
)
def test_damage_loses_no_item(damage):
    """Both items of a damaged feed are read."""
    feed = parse(damage(rss(item(1) + item(2))), url=URL)

    assert [entry.url for entry in feed.entries] == [
        "https://a.example/article-1",
        "https://a.example/article-2",
    ]


def test_what_the_authority_cannot_read_in_time_goes_to_the_recovering_parser():
    """Large and broken: everything is there, entities too, and the feed says how it was read."""
    title = "L'&eacute;t&eacute; & apr&egrave;s"
    items = "".join(item(number, title, f"<description>{'x ' * 400}</description>")
                    for number in range(4_500))  # fmt: skip
    feed = parse(rss(items), url=URL)

    assert (len(feed.entries), feed.entries_truncated) == (2_000, 2_500)
    assert feed.entries[0].title == "L'été & après"
    assert "recovering parser" in feed.broken


NO_FEEDS = {
    b"": "the feed is empty",
    b" \n\t": "the feed is empty",
    b"\xef\xbb\xbf": "the feed is empty",
    b"<!DOCTYPE html><html><body><item>x</item></body></html>": "an HTML page, not a feed",
    b"<!-- x --><HTML><rss></rss></HTML>": "an HTML page, not a feed",
    b"<head></head>": "an HTML page, not a feed",
    b'<?xml version="1.0"?><opml version="2.0"/>': "an XML document (<opml>), not a feed",
    b"Not found": "neither XML nor JSON",
    b"\x89PNG\r\n\x1a\n\0\0": "neither XML nor JSON",
    b'{"a": 1}': "a JSON document without items, not a feed",
    b'[{"a": 1}]': "a JSON document without items, not a feed",
    b'{"items": [': "broken JSON, not a feed",
    b"[" * 100_000: "broken JSON, not a feed",
}


@pytest.mark.parametrize("body", NO_FEEDS, ids=lambda body: ascii(body[:30]))
def test_what_is_no_feed_is_called_by_its_name(body):
    with pytest.raises(Unparsable) as caught:
        parse(body, url=URL)

    assert str(caught.value) == NO_FEEDS[body]


def test_a_feed_without_items_is_a_feed():
    """A quiet section is not an error."""
    assert parse(rss(""), url=URL).entries == ()


# --- encodings

WORDS = "L’été à « Œuvres » : 5 €"
ENCODED = {
    "utf-8": WORDS.encode(),
    "windows-1252": WORDS.encode("cp1252"),
    "iso-8859-1": WORDS.encode("cp1252"),  # what "latin-1" means in practice
    "iso-8859-15": WORDS.replace("’", "'").encode("iso-8859-15"),
}


@pytest.mark.parametrize("declared", [*ENCODED, "us-ascii", "none", "x-unknown"])
@pytest.mark.parametrize("header", ["", "text/xml; charset=utf-8", "text/xml; charset=iso-8859-1"])
def test_utf_8_is_recognised_whatever_is_declared(declared, header):
    body = rss(item(title=WORDS), prolog=f'<?xml version="1.0" encoding="{declared}"?>')

    assert titles(body, content_type=header) == [WORDS]


@pytest.mark.parametrize("declared", ["windows-1252", "iso-8859-1", "iso-8859-15"])
@pytest.mark.parametrize("header", ["", "text/xml; charset=utf-8"])
def test_old_encodings_are_read_as_declared(declared, header):
    body = rss(item(title="@"), prolog=f'<?xml version="1.0" encoding="{declared}"?>').replace(
        b"@", ENCODED[declared]
    )

    assert titles(body, content_type=header)[0].replace("'", "’") == WORDS


def test_windows_1252_said_to_be_utf_8():
    body = rss(item(title="@")).replace(b"@", ENCODED["windows-1252"])

    assert titles(body) == [WORDS]


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32", "utf-32-be"])
@pytest.mark.parametrize("declared", ["utf-8", "utf-16"])
def test_wide_characters_with_and_without_a_mark(encoding, declared):
    body = rss(item(title=WORDS), prolog=f'<?xml version="1.0" encoding="{declared}"?>', encoding=encoding)

    assert titles(body) == [WORDS]


def test_one_bad_byte_spoils_one_character():
    """A byte of windows-1252 in a feed of UTF-8 is read as what it is."""
    body = rss(item(1, "L’été, l’été") + item(2, "l@été")).replace(b"@", b"\x92")

    assert titles(body) == ["L’été, l’été", "l’été"]


def test_text_that_was_coded_twice_is_put_right_where_it_was():
    body = rss(
        item(1, WORDS.encode().decode("cp1252", "replace").replace("\ufffd", "")) + item(2, "« né\u00a0» »")
    )

    assert titles(rss(item(1, "L’été".encode().decode("cp1252")) + item(2, "« né\u00a0»"))) == [
        "L’été",
        "« né »",
    ]
    assert titles(body)[1] == "« né » »"


# --- bounds


def test_the_newest_are_kept_in_the_order_of_the_feed():
    """Of 2 500 items in an order of their own, the 500 oldest go; what has no date is older still."""
    start = datetime(2026, 1, 1, tzinfo=UTC)
    ages = [(number * 5) % 2_499 for number in range(2_499)]
    dated = [
        item(n, more=f"<pubDate>{(start + timedelta(hours=age)).isoformat()}</pubDate>")
        for n, age in enumerate(ages)
    ]
    feed = parse(rss(item("sans-date") + "".join(dated)), url=URL)

    assert feed.entries_truncated == 500
    assert [e.url for e in feed.entries] == [
        f"https://a.example/article-{n}" for n, age in enumerate(ages) if age >= 499
    ]


def test_texts_are_bounded():
    more = f"<description>{'mot ' * 10_000}</description><guid>{'g' * 2_000}</guid>"
    [entry] = parse(rss(item(title="x" * 200_000, more=more)), url=URL).entries

    assert (len(entry.title), len(entry.summary), entry.guid) == (1_000, 9_999, "")


HOSTILE = {
    "laughs": '<!DOCTYPE a [<!ENTITY l0 "lol">'
    + "".join(f'<!ENTITY l{n} "{f"&l{n - 1};" * 10}">' for n in range(1, 10))
    + "]>",
    "quadratic": f'<!DOCTYPE a [<!ENTITY l9 "{"a" * 100_000}">]>',
    "file": '<!DOCTYPE a [<!ENTITY l9 SYSTEM "file:///etc/passwd">]>',
    "parameter": '<!DOCTYPE a [<!ENTITY % x SYSTEM "http://127.0.0.1:{port}/x"> %x; <!ENTITY l9 "%x;">]>',
    "external": '<!DOCTYPE a SYSTEM "http://127.0.0.1:{port}/x.dtd" [<!ENTITY l9 SYSTEM "http://127.0.0.1:{port}/">]>',
    "cyclic": '<!DOCTYPE a [<!ENTITY l8 "&l9;"><!ENTITY l9 "&l8;">]>',
}


@pytest.mark.parametrize("name", HOSTILE)
def test_entities_are_not_expanded(name):
    """No bomb goes off, no file is read, nobody is called, and the items are there."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.setblocking(False)  # noqa: FBT003  its only form
        prolog = HOSTILE[name].replace("{port}", str(listener.getsockname()[1]))
        body = rss(item(1, "&l9;" * 50_000) + item(2), prolog='<?xml version="1.0"?>' + prolog)
        feed = parse(body, url=URL)
        with pytest.raises(BlockingIOError):
            listener.accept()

    assert feed.entries[-1].title == "Un titre"
    assert len(feed.entries) == 2
    assert "root:" not in repr(feed)
    assert "lollol" not in repr(feed)


FLOODS = {
    "items": b"<item/>" * 300_000,
    "depth": b"<a>" * 100_000,
    "depth in a title": b"<item><title>" + b"<a>" * 100_000,
    "attributes": b"<item " + b"".join(b"a%d='1' " % n for n in range(100_000)) + b"/>",
    "an author": b"&nbsp;<item><author>" + b"a." * 400_000 + b"</author></item>",
    "a title": b"&nbsp;<item><title>" + b"x " * 2_000_000 + b"</title></item>",
    "comments": b"<!--" * 1_000_000,
    "media": b"<media:content>" * 200_000,
    "sections": b"<![CDATA[" * 400_000,
    "ampersands": b"&" * 2_000_000,
    "openings": b"<" * 1_000_000,
    "characters": b"<item><title>&#99999999999;&#xD800;&#0;</title></item>",
}


@pytest.mark.slow
@pytest.mark.timeout(30)
@pytest.mark.parametrize("name", FLOODS)
def test_a_flood_ends(name):
    """Megabytes of one thing are read or refused in seconds, by the parser and by the digest."""
    body = rss("@").replace(b"@", FLOODS[name])
    feed = parse(body, url=URL)

    assert feed.format == "rss"
    assert feed.entries == ()
    assert digest(body)


@pytest.mark.slow
def test_items_beyond_the_first_hundred_thousand_are_counted():
    feed = parse(rss("<item/>" * 100_007), url=URL)

    assert (feed.without_link, feed.entries_truncated) == (2_000, 98_007)


MARKUP = st.lists(
    st.one_of(
        st.text(max_size=5),
        st.sampled_from(
            [
                "<item>",
                "</item>",
                "<entry>",
                "<title>",
                "</title>",
                "<link>",
                "</link>",
                "&amp;",
                "&eacute;",
                "&",
                "<",
                ">",
                "]]>",
                "<rss>",
            ]
        ),
        st.sampled_from(
            ["<![CDATA[", "<!DOCTYPE a [", "<?xml", "https://a.example/1", "xml:base='x'", "<feed>", "{"]
        ),
        st.sampled_from(
            ["<media:content>", "</rss>", "<guid>", "</guid>", "<pubDate>", "2026-06-02", "\x00", "\ufffe"]
        ),
    )
).map("".join)


@given(MARKUP)
def test_no_body_raises_anything_but_unparsable(text):
    """Any bytes are a feed or no feed; entries have absolute http(s) links, and the account adds up."""
    for body in (
        text.encode("utf-8", "replace"),
        rss(text, encoding="utf-8"),
        b"\xff" + text.encode("utf-16", "replace"),
    ):
        try:
            feed = parse(body, url=URL)
        except Unparsable as error:
            assert str(error)  # noqa: PT017  either outcome is right
        else:
            assert all(entry.url.startswith(("https://", "http://")) for entry in feed.entries)
            assert all(entry.canonical_url for entry in feed.entries)


@given(st.binary(max_size=200))
def test_no_bytes_raise_anything_but_unparsable(body):
    for content in (body, b"<rss><channel><item><title>" + body):
        try:
            parse(content, url=URL, content_type=body.decode("latin-1"))
        except Unparsable as error:
            assert str(error)  # noqa: PT017  either outcome is right


JSON = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | st.text(),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                ["items", "url", "id", "title", "authors", "author", "name", "summary", "version"]
            ),
            inner,
        )
    ),
)


@given(st.lists(JSON, max_size=4))
def test_no_json_raises(items):
    """Fields of the wrong type count as absent."""
    parse(json.dumps({"items": items, "title": items, "version": items}).encode(), url=URL)


PRINTED = st.text(st.characters(exclude_categories=("Cc", "Cs")))  # feedparser translates C1 controls


@given(st.lists(st.tuples(PRINTED, PRINTED, PRINTED), min_size=1, max_size=3))
def test_the_two_readers_agree(said):
    """The quick reader sees in a plain feed what the authority sees."""
    items = "".join(
        f"<item><title>{html.escape(a)}</title><link>https://a.example/{n}</link><guid>{html.escape(b)}</guid>"
        f"<description>{html.escape(c)}</description></item>"
        for n, (a, b, c) in enumerate(said)
    )
    text = syndication._NOT_XML.sub("", rss(items, encoding="utf-8").decode()).partition("?>")[2]
    quick, authority = syndication._read_tree(text, "rss"), syndication._read_with_authority(text, "rss")

    assert quick is None or names(quick) == names(authority)


def names(reading):
    """Links and guids. feedparser undoes UTF-8 that was encoded twice; the quick reader does not do so."""
    found = []
    for item in reading.items:
        guid = item.guid
        with suppress(UnicodeError):
            guid = guid.encode("latin-1").decode()
        found.append((item.links, guid.split()))
    return found


# --- unchanged feeds


def test_the_digest_overlooks_the_channel_s_dates():
    """A feed that only says that it was built anew is unchanged."""
    head = "<title>J</title><lastBuildDate>{0}</lastBuildDate><pubDate>{0}</pubDate><ttl>{1}</ttl>"
    one = rss(item(), head=head.format("Tue, 02 Jun 2026 10:00:00 GMT", 5))
    two = rss(item(), head=head.format("Tue, 02 Jun 2026 10:15:00 GMT", 15))

    assert digest(one) == digest(two) == digest(two + b"<!-- cached at 10:15 -->")


@pytest.mark.parametrize("change", ["title", "pubDate", "description", "updated"])
def test_the_digest_sees_every_change_of_an_item(change):
    """An item's own dates are not noise."""
    one, two = (rss(item(more=f"<{change}>{value}</{change}>")) for value in ("2026-06-02", "2026-06-03"))

    assert digest(one) != digest(two)


def test_the_digest_of_an_atom_feed():
    body = (FILES / "atom10.xml").read_bytes()

    assert digest(body) == digest(body.replace(b"<updated>2026-06-02T11:00", b"<updated>2026-06-02T12:00"))
    assert digest(body) != digest(body.replace(b"<updated>2026-06-02T09:30", b"<updated>2026-06-02T12:00"))
