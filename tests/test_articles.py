"""Pages become articles: exactly these, in any encoding and nesting, and never an unexplained error."""

import contextlib
import dataclasses
import json
import random
import re
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.errors import Unparsable
from pipeline.model import Claims, Completeness
from pipeline.reading import PAGE_CAP, articles
from pipeline.reading.articles import extract, from_claims

PAGES = Path(__file__).parent / "data" / "pages"
URL = "https://www.journal.example/politique/halle"
NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)
SENTENCE = "Le conseil municipal a voté hier soir la restauration de la halle, après trois heures de débats. "
BODY = f"<p>{SENTENCE * 3}</p>"
TEXT = (SENTENCE * 3).strip()


def read(html, url=URL, **said):
    return extract(html, url=url, fetched_at=NOW, **said)


def page(head="", body=BODY, title="La halle sera restaurée"):
    return f"<!DOCTYPE html><html><head><title>{title}</title>{head}</head><body>{body}</body></html>"


def meta(name, value):
    return f'<meta property="{name}" content="{value}">'


# ---- whole pages


@pytest.mark.parametrize("name", sorted(file.stem for file in PAGES.glob("*.html")))
def test_a_page_becomes_this_article(name):
    """Text, declared facts, date with provenance: pages of invented publishers, each with one difficulty."""
    expected = json.loads((PAGES / f"{name}.json").read_text())

    article = read((PAGES / f"{name}.html").read_bytes(), url=expected["read_at"])

    found = {key: getattr(article, key) for key in expected["article"]}
    found |= {"text": article.text.split("\n"), "authors": list(article.authors)}
    found |= {
        key: value and value.isoformat() for key, value in found.items() if key in {"published", "modified"}
    }
    assert found == expected["article"]


@pytest.mark.parametrize(
    ("encoding", "declared", "header"),
    [
        ("utf-8", "utf-8", ""),
        ("utf-8", "iso-8859-1", "text/html; charset=ISO-8859-1"),  # valid UTF-8 is UTF-8
        ("utf-8-sig", "", ""),
        ("cp1252", "iso-8859-1", ""),
        ("cp1252", "", "text/html; charset=latin1"),
        ("cp1252", "", ""),
        ("utf-16", "", ""),
        ("utf-16-le", "", ""),
    ],
)
def test_the_encoding_makes_no_difference(encoding, declared, header):
    """The same characters come out, also of pages that declare nothing or the wrong thing."""
    text = "« L’œuvre a coûté 5 € », dit l’élu à l’issue d’un été brûlant où les chênes ont séché sur pied. "
    charset = f'<meta charset="{declared}">' if declared else ""
    html = page(charset, f"<p>{text * 4}</p>", title="L’été des chênes")

    article = read(html.encode(encoding), content_type=header)

    assert article.title == "L’été des chênes"
    assert article.text == (text * 4).strip()


def test_what_was_coded_twice_is_put_right():
    """UTF-8 that went through windows-1252 is itself again."""
    twice = page(title="L’été à la halle").encode().decode("cp1252").encode()

    article = read(twice)

    assert (article.title, article.text) == ("L’été à la halle", TEXT)


@pytest.mark.parametrize("depth", [10, 253, 254, 300, 400, 512, 5_000, 38_000])
def test_any_nesting_gives_the_text(depth):
    """libxml2 drops what lies deeper than 254 elements; the article is read all the same, in linear time."""
    assert read(page(body="<div>" * depth + BODY + "</div>" * depth)).text == TEXT


def test_nothing_is_looked_for_in_bottomless_pages():
    """Beyond 10 000 tags the search for the main part would take its time squared: all the text is taken."""
    shallow, bottomless = (
        read(page(body="<div>" * depth + BODY + "</div>" * depth + "<footer>Mentions légales</footer>")).text
        for depth in (400, articles.DEEP_LIMIT // 2)
    )

    assert shallow == TEXT
    assert bottomless == f"{TEXT}\nMentions légales"


def test_other_faults_do_not_hide_the_depth():
    """Thousands of errors before it do not make the tree look whole."""
    assert read(page(body="&nix;</b></x>" * 500 + "<div>" * 400 + BODY)).text.endswith(TEXT)


# ---- refusals and guards


@pytest.mark.parametrize(
    ("html", "content_type"),
    [
        ("", ""),
        (" \n ", ""),
        ("<html></html>", ""),
        ("<!-- rien -->", ""),
        ("du texte sans balise", ""),
        ("%PDF-1.7 <b>", ""),
        ('{"html": "<p>non</p>"}', ""),
        ("<?xml version='1.0'?><rss><channel/></rss>", ""),
        (page(), "image/png"),
        (page(), "application/pdf; charset=binary"),
        ("\x00" * 100, ""),
    ],
)
def test_what_is_no_page_is_refused(html, content_type):
    """Unparsable, with a reason, as bytes and as text."""
    for given_ in (html, html.encode()):
        with pytest.raises(Unparsable, match=r"\w"):
            read(given_, content_type=content_type)


@pytest.mark.parametrize(
    "data",
    [
        random.Random(1).randbytes(20_000),
        b"ID3\x04\x00\x00\x00\x00\x00#<p>TSSE" + random.Random(2).randbytes(20_000),
    ],
)
def test_binary_data_is_no_page(data):
    """Somewhere in it there is always a « <a »; whatever it calls itself."""
    with pytest.raises(Unparsable, match="no HTML"):
        read(data, content_type="text/html")


def test_a_damaged_page_is_a_page():
    """A few characters that were lost on the way do not make it binary data."""
    assert read(page(body=BODY.replace("a v", "a \ufffd\x01v"))).text


@pytest.mark.parametrize("url", ["http://[", "http://[::1", "https://[journal]/x"])
def test_what_is_no_address_is_refused(url):
    """A URL that no parser takes is the caller's fault, and named."""
    with pytest.raises(Unparsable, match="no URL"):
        read(page(), url=url)


def test_a_page_beyond_ten_megabytes_is_refused():
    """By its size alone, before it is parsed."""
    with pytest.raises(Unparsable, match="10,000,000 are the most"):
        read(b"<p>" + b"a" * PAGE_CAP)


def test_a_page_of_many_elements_is_read_by_the_linear_engine():
    """Beyond 40 000 tags the precise engine would need more than its time."""
    few, many = (read(page(body="<br>" * n + BODY)) for n in (100, articles.MARKUP_LIMIT))

    assert few.engine.startswith("trafilatura ")
    assert many.engine.startswith("resiliparse ")
    assert few.text == many.text == TEXT


def test_a_tag_of_a_thousand_attributes_loses_them():
    """They cost seconds; a long attribute costs nothing and stays."""
    burdened = meta("og:title", "La halle brûle").replace(">", " " + "a='b' " * 20_000 + ">")
    photo = meta("og:title", "La halle brûle").replace(">", f" data-src='{'A' * 100_000}'>")

    assert read(page(burdened)).title == "La halle sera restaurée"
    assert read(page(photo)).title == "La halle brûle"


PIECES = st.lists(
    st.one_of(
        st.text(max_size=5),
        st.sampled_from(
            ["<div>", "</div>", "<p>", "<h1>", "<title>", "<script type=application/ld+json>", "</script>"]
        ),
        st.sampled_from(
            ['{"@type":"NewsArticle","author":', '[{"@graph":[[', "null", "}", '"datePublished":"2026"']
        ),
        st.sampled_from(
            ["<meta name=date content='", "<time datetime='2026-13-45' pubdate>", "'>", "Publié le 3 mai"]
        ),
        st.sampled_from(
            [
                "<link rel=canonical href='http://[",
                "<html lang=",
                "<table><td>",
                "<!--",
                "]]>",
                "&#0;",
                "\x00",
            ]
        ),
        st.just(SENTENCE),
    ),
    max_size=40,
).map("".join)


@settings(max_examples=40, deadline=None)
@given(PIECES)
def test_any_page_gives_an_article_or_a_reason(html):
    """Nothing but Unparsable comes out of a page, and what comes out is sound."""
    with contextlib.suppress(Unparsable):
        article = read(html)
        assert article.title or article.text
        assert "\n\n" not in article.text
        assert article.text == article.text.strip()
        assert (article.published is None) == (article.date_source == "")


@settings(max_examples=40, deadline=None)
@given(st.binary(max_size=300))
def test_any_bytes_give_an_article_or_a_reason(data):
    """Also where they are no text in any encoding."""
    with contextlib.suppress(Unparsable):
        assert read(data)


# ---- text, lead, completeness


def test_the_title_is_no_part_of_the_text():
    """What stands on top of the text as its title is taken off, and repeated paragraphs are said once."""
    assert articles.tidy("Le titre !\n\n Un.\nUn.\n\nDeux.\nUn.", title="Le titre") == "Un.\nDeux.\nUn."


def test_a_summary_is_not_said_twice():
    """Where the summary is all there is, it is the text and not also the lead: no word counts double."""
    bare = page(meta("og:description", "Un résumé."), body="<nav></nav>")

    article = read(bare, claims=Claims(summary="Un résumé, plus long."))

    assert (article.lead, article.text) == ("", "Un résumé, plus long.")
    assert (article.completeness, article.completeness_reason) == (
        Completeness.SUMMARY,
        "no text on the page",
    )


def test_a_page_that_says_less_than_its_feed_gives_way():
    """The longer of the two is kept."""
    article = read(page(), claims=Claims(summary=SENTENCE * 8))

    assert article.text == (SENTENCE * 8).strip()
    assert article.completeness is Completeness.SUMMARY


@pytest.mark.parametrize(
    ("head", "words", "completeness"),
    [
        ("", 60, Completeness.FULL),
        (meta("article:content_tier", "free"), 60, Completeness.FULL),
        (meta("article:content_tier", "locked"), 60, Completeness.TEASER),
        (meta("article:content_tier", "locked"), 300, Completeness.FULL),  # shown to us all the same
    ],
)
def test_what_is_paywalled_and_short_is_a_teaser(head, words, completeness):
    """Fewer than 250 words of an article that the page calls locked are its beginning."""
    body = "".join(f"<p>{SENTENCE} {number}.</p>" for number in range(words // len(SENTENCE.split())))

    assert read(page(head, body)).completeness is completeness


def test_words_of_a_wall_count_at_the_end_only():
    """An article about subscriptions is no teaser."""
    about = "<p>Ce contenu réservé aux abonnés a doublé les ventes, selon la direction du journal local.</p>"
    paragraphs = "".join(f"<p>Chapitre {number}. {SENTENCE}</p>" for number in range(12))

    assert read(page(body=about + paragraphs)).completeness is Completeness.FULL
    assert read(page(body=paragraphs + about)).completeness is Completeness.TEASER


@pytest.mark.parametrize(
    ("head", "end", "completeness"),
    [
        ("", "<p>Déjà abonné ? Connectez-vous</p>", Completeness.TEASER),
        ("", "<p>→ Il vous reste 62 % de cet article à lire.</p><p>Une offre sans engagement pour tous.</p>",
         Completeness.TEASER),
        (meta("article:content_tier", "free"), "<p>Déjà abonné ? Connectez-vous ici</p>", Completeness.FULL),
        ("", "<p>Le panneau « Déjà abonné » du guichet a été retiré.</p>", Completeness.FULL),
        ("", "<p>Déjà abonné, le maire l’était depuis trente ans. " + SENTENCE * 2, Completeness.FULL),
        ("", "<p>Abonnez-vous pour accéder à notre lettre gratuite du matin.</p>", Completeness.FULL),
        ("", "<p>Déjà abonné, il lit.</p>" + f"<p>1. {SENTENCE}</p><p>2. {SENTENCE}</p>",
         Completeness.FULL),
    ],
)  # fmt: skip
def test_a_wall_is_a_short_paragraph_at_the_end(head, end, completeness):
    """What mentions one, or comes with a free page, is the article's own and stays."""
    body = "".join(f"<p>Chapitre {number}. {SENTENCE}</p>" for number in range(4))

    article = read(page(head, f"<article>{body}{end}</article>"))

    assert article.completeness is completeness
    assert bool(re.search("[Dd]éjà abonné|Abonnez|Il vous", article.text)) is (
        completeness is Completeness.FULL
    )


# ---- addresses


@pytest.mark.parametrize(
    ("canonical", "own"),
    [
        ("/politique/halle-123", "https://www.journal.example/politique/halle-123"),
        ("https://journal.example/halle", "https://journal.example/halle"),
        ("//m.journal.example/halle.amp.html", "https://m.journal.example/halle.amp.html"),
        ("https://www.journal.example/", URL),  # the home page
        ("https://www.journal.example", URL),
        ("https://autre.example/politique/halle", URL),  # another publisher
        ("https://journal.example.autre.example/halle", URL),
        ("https://moi:secret@www.journal.example/halle", URL),
        ("javascript:alert(1)", URL),
        ("http://[::1/a", URL),
        ("", URL),
    ],
)
def test_the_page_names_its_own_address(canonical, own):
    """Its canonical URL counts, unless it names a home page, another publisher or nothing readable."""
    assert read(page(f'<link rel="canonical" href="{canonical}">')).url == own


@pytest.mark.parametrize(
    ("canonical", "path"),
    [
        ("/vie/", "/vie/a1"),  # the section
        ("/vie", "/vie/2026/03/halle-123456"),
        ("/vie/a1", "/vie/a2"),  # one article for all
        ("/vie/match-nul-a-brest", "/vie/la-halle-rouvre"),
        ("/une", "/vie/halle-123456"),
    ],
)
def test_a_name_that_is_not_this_articles_does_not_count(canonical, path):
    """A template's mistake would make one article of many."""
    url = f"https://www.journal.example{path}"

    assert read(page(f'<link rel="canonical" href="{canonical}">'), url=url).url == url


@pytest.mark.parametrize(
    ("canonical", "path"),
    [
        ("/vie/la-halle", "/vie/la-halle/amp/"),
        ("/vie/la-halle", "/vie/la-halle/amp/page/2"),
        ("/vie/la-halle.html", "/vie/la-halle.html?page=2"),
        ("/vie/la-halle-rouvre", "/politique/la-halle-rouvrira.html"),  # renamed
        ("/vie/un-autre-titre-123456", "/s/123456"),
        ("/vie/la-forêt", "/la-for%C3%AAt"),
    ],
)
def test_another_version_of_the_page_has_its_name(canonical, path):
    """For readers on telephones, the second page, an old or short address."""
    name = f"https://www.journal.example{canonical}"

    article = read(
        page(f'<link rel="canonical" href="{canonical}">'), url=f"https://www.journal.example{path}"
    )

    assert article.url == name


def test_a_cached_copy_belongs_to_its_publisher():
    """The AMP cache writes the publisher's host into its own."""
    cached = "https://www-le--journal-example.cdn.ampproject.org/c/s/www.le-journal.example/a"

    article = read(page('<link rel="canonical" href="https://www.le-journal.example/a">'), url=cached)

    assert article.url == "https://www.le-journal.example/a"


@pytest.mark.parametrize(
    ("said", "image"),
    [
        ("https://images.example/a.jpg?w=1200&amp;h=630", "https://images.example/a.jpg?w=1200&h=630"),
        ("//images.example/a.jpg", "https://images.example/a.jpg"),
        ("../a.jpg", "https://www.journal.example/a.jpg"),
        ("data:image/png;base64,AAAA", ""),
        ("javascript:alert(1)", ""),
        ("file:///etc/passwd", ""),
        ("ftp://images.example/a.jpg", ""),
        ("https://images.example/a b.jpg", ""),
        ("https://images.example/" + "a" * 2_048, ""),
    ],
)
def test_an_image_is_an_absolute_http_address(said, image):
    assert read(page(meta("og:image", said))).image == image


# ---- dates

MORNING = "2026-08-01T09:05:00+02:00"
TIME = f'<time itemprop="datePublished" datetime="{MORNING}"></time>'


@pytest.mark.parametrize(
    ("head", "body", "url", "claims", "source"),
    [
        (f'<script type="application/ld+json">{{"@type":"Article","datePublished":"{MORNING}"}}</script>'
         + meta("article:published_time", "2020-01-01"), TIME, "/2021/01/01/a", "2022-01-01", "json-ld"),
        (meta("article:published_time", "1er août 2026 à 9h05"), TIME, "/2021/01/01/a", "2022-01-01", "meta"),
        ("", TIME, "/2021/01/01/a", "2022-01-01", "time"),
        ("", "<p>Publié le 3 mai 2020</p>", "/2021/01/01/a", MORNING, "feed"),
        ("", "<p>Publié le 1<sup>er</sup> août 2026 à 9h05, modifié le 2 août 2026</p>", "/a", None, "text"),
    ],
)  # fmt: skip
def test_the_best_evidence_of_the_date_counts(head, body, url, claims, source):
    """JSON-LD, meta tags, time elements, the feed, the address, the visible text, in this order."""
    told = Claims(published=claims and datetime.fromisoformat(claims).astimezone(UTC))

    article = read(page(head, body + BODY), url=f"https://www.journal.example{url}", claims=told)

    assert (article.published, article.date_source) == (datetime(2026, 8, 1, 7, 5, tzinfo=UTC), source)
    assert not article.date_suspect


@pytest.mark.parametrize(
    "body",
    [
        "<p>Mis à jour le 10 août 2026 à 9h30 - Publié le 1er août 2026 à 9h05</p>",
        '<p><span>Publié le</span> <time datetime="2026-08-01T09:05+02:00">samedi</time></p>',
        '<p>Publié le <time datetime="2026-08-01T09:05+02:00">samedi 1er août 2026</time></p>',
        '<p><b>Actualité</b> Publié le <time datetime="2026-08-01T09:05+02:00">1/8</time></p>',
    ],
)
def test_the_words_lead_to_the_date(body):
    """Behind that of a correction, or in the time element beside them, which is exact."""
    article = read(page(body=body + BODY), url="https://www.journal.example/a")

    assert (article.published, article.date_source) == (datetime(2026, 8, 1, 7, 5, tzinfo=UTC), "text")


def test_a_date_that_cannot_be_gives_way():
    """A future or ancient date is passed over where another source has a possible one."""
    head = meta("article:published_time", "2031-01-01T00:00:00Z") + meta("date", "1970-01-01")

    article = read(page(head), url="https://www.journal.example/2026/03/07/a")

    assert (article.published, article.date_source) == (datetime(2026, 3, 6, 23, tzinfo=UTC), "url")
    assert not article.date_suspect


def test_only_impossible_dates_make_a_suspect():
    """A date ahead of the reading is that of the reading, and marked."""
    article = read(page(meta("article:published_time", "2031-01-01T00:00:00Z")))

    assert (article.published, article.date_source, article.date_suspect) == (NOW, "meta", True)


@pytest.mark.parametrize("written", ["2031-01-01T00:00:00Z", "1970-01-01T00:00:00Z"])
def test_an_impossible_modification_is_none(written):
    """Nothing can mark it as doubtful, so it is not said."""
    told = Claims(title="Titre", updated=datetime.fromisoformat(written))

    assert read(page(meta("article:modified_time", written))).modified is None
    assert from_claims(told, url=URL, fetched_at=NOW).modified is None


# ---- the feed's word

TOLD = Claims(
    title="La <b>halle</b> sera&nbsp;restaurée",
    summary=f"<p>{SENTENCE}</p><p>Fin.</p>",
    published=NOW - timedelta(days=1),
    authors=("Le Phare avec ADL", "franceinfo"),
    language="fr",
)


def test_claims_fill_what_the_page_leaves_open():
    """Title, lead, authors and date of the feed, where the page has none."""
    article = read("<html><body>" + BODY, claims=TOLD)

    assert article.title == "La halle sera restaurée"
    assert article.lead == f"{SENTENCE}Fin."
    assert article.authors == ("Le Phare", "ADL", "franceinfo")
    assert (article.published, article.date_source) == (TOLD.published, "feed")


def test_claims_alone_make_an_article():
    """Where the page cannot be read: title and summary, marked as what they are."""
    article = from_claims(TOLD, url=URL, fetched_at=NOW)

    assert article.title == "La halle sera restaurée"
    assert (article.lead, article.text) == ("", f"{SENTENCE}Fin.")
    assert article.completeness is Completeness.SUMMARY
    assert article.authors == ("Le Phare", "ADL", "franceinfo")
    assert (article.language, article.published, article.date_source) == ("fr", TOLD.published, "feed")
    assert article.paywalled is None


def test_a_title_alone_is_an_empty_article():
    article = from_claims(dataclasses.replace(TOLD, summary=""), url=URL, fetched_at=NOW)

    assert (article.text, article.completeness) == ("", Completeness.EMPTY)


@pytest.mark.parametrize(
    "line",
    [
        "À lire aussi : Garanties de sécurité à l'Ukraine",
        "→ LIRE AUSSI Le pont rouvre",
        "Sur le même sujet : le port",
    ],
)
def test_links_to_other_articles_are_not_this_one_s_text(line):
    """What they speak of would be found, and tagged, in an article about something else."""
    assert articles.tidy(f"Un paragraphe.\n{line}\nUn autre.") == "Un paragraphe.\nUn autre."


def test_a_sentence_about_reading_stays():
    assert articles.tidy("Lire aussi longtemps fatigue. " + "Le bibliothécaire en convient volontiers. " * 10)
    assert articles.tidy("Il faut lire aussi les petites lignes.")
