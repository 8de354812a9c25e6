"""What a page declares is read as its readers would read it, and no tree is too strange for that."""

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from lxml import html

from pipeline.reading import metadata
from pipeline.reading.metadata import persons, without_site

URL = "https://www.lephare.example/mer/quotas"

BYLINES = {
    "Le Phare avec ADL": ["Le Phare", "ADL"],
    "Radio Sabot-Fleuri avec ADL": ["Radio Sabot-Fleuri", "ADL"],
    "Par Anne Le Goff et Luc Ba, à Brest": ["Anne Le Goff", "Luc Ba"],
    "Par A. Martin et B. Durand (avec ADL)": ["A. Martin", "B. Durand"],
    "Par notre correspondante à Rome, Ana Po": ["Ana Po"],
    "Article rédigé par Luc Ba": ["Luc Ba"],
    "Propos recueillis par Luc Ba": ["Luc Ba"],
    "Texte : Ana Po • Photos : Luc Ba": ["Ana Po"],
    "La rédaction avec ADL": ["La rédaction", "ADL"],
    "<b>Ana&nbsp;Po</b>": ["Ana Po"],
    "Marie d’Ormevault & Jean-Pierre de La Tour": ["Marie d’Ormevault", "Jean-Pierre de La Tour"],
    "d’Ormevault": ["d’Ormevault"],
    "Parfait Barbier": ["Parfait Barbier"],  # « Par » is a word
    "https://www.facebook.com/lephare": [],
    "ana@lephare.example": [],
    "Publié le 4 mai 2026": [],
    "correspondant": [],
    "": [],
}


@pytest.mark.parametrize("byline", BYLINES)
def test_a_byline_names_its_authors(byline):
    """People, newsrooms and agencies, each alone; no roles, places, addresses or dates."""
    assert persons(byline) == BYLINES[byline]


TITLES = {
    "Quotas : la flotte reste à quai - Le Phare": "Quotas : la flotte reste à quai",
    "Quotas : la flotte reste à quai | lephare.example": "Quotas : la flotte reste à quai",
    "Quotas : la flotte reste à quai – Mer – Le Phare": "Quotas : la flotte reste à quai – Mer",
    "Quotas | Le Phare Santé | Le Phare": "Quotas",
    "Quotas - la flotte reste à quai": "Quotas - la flotte reste à quai",
    "Tourisme - Le phare qui ne voulait pas s’éteindre": "Tourisme - Le phare qui ne voulait pas s’éteindre",
    "Le Phare - Quotas : la flotte reste à quai": "Quotas : la flotte reste à quai",
    "Le Phare | Quotas | Le Phare": "Quotas",
    "Le phare qui ne voulait pas s’éteindre - Tourisme": "Le phare qui ne voulait pas s’éteindre - Tourisme",
    "Quotas : le phare": "Quotas : le phare",
    "Peut-être": "Peut-être",
    "Le Phare": "Le Phare",
}


@pytest.mark.parametrize("title", TITLES)
def test_a_title_does_not_name_the_site(title):
    """Only first and last parts that are little more than its name are cut, and never at a colon."""
    assert without_site(title, frozenset({"lephare", "lepharexample", "lephareexample"})) == TITLES[title]


def read(head, body=""):
    return metadata.read(
        html.document_fromstring(f"<html><head>{head}</head><body>{body}</body></html>"), url=URL
    )


def ld(text):
    return f'<script type="application/ld+json">{text}</script>'


def test_a_headline_needs_a_witness():
    """A JSON-LD headline that nothing on the page agrees with is another article's; a logo is no title."""
    other = ld('{"@type": "NewsArticle", "headline": "Horoscope de la semaine"}')
    said = "<title>Quotas : la flotte reste à quai</title>"

    assert read(other + said).title == "Quotas : la flotte reste à quai"
    assert read(other).title == "Horoscope de la semaine"
    assert read(said, "<h1>Le Phare</h1>").title == "Quotas : la flotte reste à quai"


@pytest.mark.parametrize(
    ("head", "paywalled"),
    [
        ("", None),
        (ld('{"@type": "NewsArticle", "isAccessibleForFree": false}'), True),
        (ld('{"@type": "NewsArticle", "isAccessibleForFree": "False"}'), True),
        (ld('{"@type": "NewsArticle", "isAccessibleForFree": "https://schema.org/True"}'), False),
        (ld('{"@type": "NewsArticle", "isAccessibleForFree": "peut-être"}'), None),
        ('<meta property="article:content_tier" content="metered">', True),
        ('<meta property="article:content_tier" content="free">', False),
        ('<meta property="article:content_tier" content="or">', None),
    ],
)
def test_a_page_says_that_it_is_free_or_not_or_nothing(head, paywalled):
    """None is neither."""
    assert read(head).paywalled is paywalled


def test_neighbours_lend_nothing():
    """Where a node names this page, what it leaves open is not taken from the articles beside it."""
    mine = f'{{"@type": "NewsArticle", "url": "{URL}?x=1", "headline": "Quotas"}}'
    beside = (
        '{"@type": "NewsArticle", "headline": "Horoscope", "author": {"name": "Madame Zodiaque"}, '
        '"datePublished": "2020-01-01", "isAccessibleForFree": false, "articleSection": "Jeux", '
        '"description": "Lion : une semaine de rêve.", "image": "https://images.example/lion.jpg"}'
    )

    found = read(ld(f"[{beside}, {mine}]") + "<title>Quotas</title>")

    assert found == metadata.Metadata(title="Quotas")


@pytest.mark.parametrize(
    ("attribute", "language"),
    [("fr-FR", "fr"), ("FR", "fr"), ("fr_CA", "fr"), ("oci", "oci"), ("français", ""), ("", "")],
)
def test_a_page_claims_a_language(attribute, language):
    tree = html.document_fromstring(f'<html lang="{attribute}"><body><p>x</p></body></html>')

    assert metadata.read(tree, url=URL).language == language


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5) | st.sampled_from(["NewsArticle", URL]),
    lambda inner: st.one_of(
        st.lists(inner, max_size=4),
        st.dictionaries(
            st.sampled_from(
                ["@graph", "@type", "@id", "url", "author", "name", "headline", "datePublished", "image",
                 "publisher", "mainEntityOfPage", "isAccessibleForFree", "inLanguage", "articleSection"]
            ),
            inner,
            max_size=6,
        ),
    ),
    max_leaves=20,
)  # fmt: skip


@settings(max_examples=100, deadline=None)
@given(JSON)
def test_no_json_is_too_strange(value):
    """Whatever stands where schema.org wants a person or a date, the page is read."""
    found = read(ld(json.dumps(value).replace("<", "\\u003c")))

    assert all(isinstance(name, str) and name for name in found.authors)
    assert all(isinstance(written, str) for _, written in found.published)


@pytest.mark.parametrize(
    "text", ["{", "[" * 100_000, '{"@type": "NewsArticle",}', "<!-- x -->", "null", "1e999"]
)
def test_broken_json_is_passed_over(text):
    assert read(ld(text) + "<title>Quotas</title>").title == "Quotas"
