"""The laws of the catalogue, and of the one that is shipped."""

import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from pipeline import catalogue
from pipeline.catalogue import Catalogue, FeedSource, Publisher
from pipeline.errors import ConfigError, NotFound
from pipeline.urls import canonical, keys

SHIPPED = Path(__file__).parent.parent / "config" / "sources.yaml"

GOOD = """\
publishers:
  - id: gazette
    name: La Gazette
    family: Groupe Gazette
    country: FR
    domains: [gazette.fr, gazette.localhost]
    article_id: '-(\\d{5})\\.html$'
    example: https://www.gazette.fr/monde/un-titre-12345.html
    languages: [fr, en]
    feeds:
      - {url: https://www.gazette.fr/rss, section: une, evidence: served 2024-02-14}
      - url: https://www.gazette.fr/sport/rss

  - id: sport-gazette
    name: Gazette des sports
    country: BE
    domains: [sport.gazette.fr]
"""


@pytest.fixture
def load(tmp_path):
    def load(text):
        path = tmp_path / "sources.yaml"
        path.write_text(text, encoding="utf-8")
        return catalogue.load(path)

    return load


@pytest.fixture
def good(load):
    return load(GOOD)


@pytest.fixture(scope="module")
def shipped():
    return catalogue.load(SHIPPED)


# --- reading


def test_a_file_is_read_as_it_stands(good):
    feeds = (
        FeedSource("https://www.gazette.fr/rss", "gazette", "une", "served 2024-02-14"),
        FeedSource("https://www.gazette.fr/sport/rss", "gazette"),
    )
    gazette = Publisher(
        id="gazette",
        name="La Gazette",
        family="Groupe Gazette",
        country="FR",
        domains=("gazette.fr", "gazette.localhost"),
        article_id=r"-(\d{5})\.html$",
        languages=("fr", "en"),
        feeds=feeds,
    )
    sport = Publisher("sport-gazette", "Gazette des sports", "", "BE", ("sport.gazette.fr",))

    assert good == Catalogue((gazette, sport))
    assert good.feeds() == feeds


def test_a_publisher_is_found_by_id(good):
    assert good.publisher("gazette").name == "La Gazette"
    assert good.get("gazette") is good.publisher("gazette")
    assert good.get("gazete") is None


def test_an_unknown_id_names_the_nearest(good):
    with pytest.raises(NotFound, match="no publisher 'gazete'; did you mean 'gazette'"):
        good.publisher("gazete")


@pytest.mark.parametrize(
    ("host", "found"),
    [
        ("gazette.fr", "gazette"),
        ("www.gazette.fr", "gazette"),
        ("WWW.Gazette.FR.", "gazette"),
        ("gazette.fr:8443", "gazette"),
        ("gazette.localhost:8123", "gazette"),
        ("sport.gazette.fr", "sport-gazette"),
        ("m.sport.gazette.fr", "sport-gazette"),
        ("lagazette.fr", None),
        ("fr", None),
        ("", None),
        ("[::1]:80", None),
    ],
)
def test_a_host_belongs_to_the_publisher_with_the_longest_domain(good, host, found):
    publisher = good.publisher_of(host)

    assert (publisher.id if publisher else None) == found


def test_nobody_owns_a_host_in_an_empty_catalogue():
    assert Catalogue(()).publisher_of("gazette.fr") is None


@pytest.mark.parametrize(
    ("publisher", "language", "admitted"),
    [
        ("gazette", "fr", True),
        ("gazette", "en", True),
        ("gazette", "de", False),
        ("sport-gazette", "en", False),
        ("unknown", "fr", True),
        ("unknown", "en", False),
        ("unknown", "und", True),
    ],
)
def test_a_publisher_is_read_for_its_languages(publisher, language, admitted, good):
    """French, unless the catalogue says otherwise; what cannot be told is kept."""
    assert good.admits(publisher, language) is admitted


# --- what is wrong with a file

WRONG = {
    "an unknown field": (
        "country: FR",
        "contry: FR",
        5,
        r"publishers\[0\]\.contry: unknown field; did you mean 'country'\?",
    ),
    "an unknown field of a feed": ("section: une", "sektion: une", 11, r"feeds\[0\]\.sektion: .*'section'"),
    "an unknown field of the file": (
        "publishers:",
        "publisher: []\npublishers:",
        1,
        "publisher: .*'publishers'",
    ),
    "a field unlike any": (
        "    country: BE",
        "    country: BE\n    zzz: 1",
        17,
        r"\[1\]\.zzz: unknown field; known are id, name",
    ),
    "a missing field": ("    name: La Gazette\n", "", 2, r"publishers\[0\]\.name: missing"),
    "a wrong kind": (
        "name: La Gazette",
        "name: [La, Gazette]",
        3,
        r"name: found \['La', 'Gazette'\]; expected text",
    ),
    "a number for text": ("name: La Gazette", "name: 20", 3, "name: found 20; expected text"),
    "an empty name": ("name: La Gazette", "name: ' '", 3, "name: found ' '; expected a name"),
    "YAML's Norway": ("country: FR", "country: NO", 5, "country: found False; expected text"),
    "no country": (
        "country: FR",
        "country: France",
        5,
        "found 'France'; expected a country's two capital letters",
    ),
    "an id with capitals": (
        "id: gazette\n",
        "id: Gazette\n",
        2,
        "found 'Gazette'; expected an id of a-z, 0-9 and -",
    ),
    "a domain with www": (
        "[gazette.fr,",
        "[www.gazette.fr,",
        6,
        r"domains\[0\]: found 'www.gazette.fr'; expected a domain",
    ),
    "a domain with a port": (
        "gazette.localhost]",
        "'gazette.localhost:80']",
        6,
        r"domains\[1\]: .*expected a domain",
    ),
    "no domain": ("domains: [sport.gazette.fr]", "domains: []", 17, r"\[1\]\.domains: found \[\]"),
    "domains as text": ("domains: [sport.gazette.fr]", "domains: sport.gazette.fr", 17, "expected a list"),
    "a pattern that is none": (
        r"'-(\d{5})\.html$'",
        "'-(x'",
        7,
        "article_id: .*expected a regular expression with one group",
    ),
    "a pattern without group": (r"'-(\d{5})\.html$'", "'-x'", 7, "article_id: .*with one group"),
    "a pattern with two groups": (r"'-(\d{5})\.html$'", "'(a)(b)'", 7, "article_id: .*with one group"),
    "an example without number": (
        "un-titre-12345",
        "un-titre",
        8,
        "example: .*in which article_id finds a number",
    ),
    "an example of another site": (
        "//www.gazette.fr/monde",
        "//www.autre.fr/monde",
        8,
        "example: .*an article of gazette.fr",
    ),
    "an example that is no URL": ("https://www.gazette.fr/monde/un", "un", 8, "example: found 'un-titre"),
    "a language in full": ("[fr, en]", "[français]", 9, r"languages\[0\]: .*ISO 639"),
    "a feed that is no URL": (
        "url: https://www.gazette.fr/sport/rss",
        "url: gazette.fr/rss",
        12,
        "expected an http",
    ),
    "a feed twice": (
        "gazette.fr/sport/rss",
        "gazette.fr/rss/?utm_source=x",
        12,
        r"feeds\[1\]\.url: found 'https://gazette.fr/rss' again",
    ),
    "an id twice": ("id: sport-gazette", "id: gazette", 14, r"publishers\[1\]\.id: found 'gazette' again"),
    "a domain twice": (
        "[sport.gazette.fr]",
        "[gazette.fr]",
        17,
        "found 'gazette.fr' again; .*'La Gazette' has it",
    ),
    "a field twice": (
        "    country: FR",
        "    country: FR\n    country: BE",
        6,
        r"\[0\]\.country: found twice; expected once",
    ),
    "no YAML": ("country: FR", "country: [FR", 6, "not valid YAML"),
    "publishers as text": (GOOD, "publishers: none", 1, "publishers: found 'none'; expected a list"),
    "a list for a file": (GOOD, "- gazette", 1, r"file: found \['gazette'\]; expected a mapping"),
    "an empty file": (GOOD, "# nothing\n", 1, "publishers: missing"),
    "a mapping for a key": ("country: FR", "{a: b}: FR", 5, "not valid YAML|unhashable"),
}


@pytest.mark.parametrize(("old", "new", "line", "message"), WRONG.values(), ids=WRONG.keys())
def test_a_wrong_file_is_refused_with_line_field_and_what_is_expected(load, old, new, line, message):
    assert GOOD.count(old) >= 1
    with pytest.raises(ConfigError) as caught:
        load(GOOD.replace(old, new, 1))

    assert re.search(rf"sources\.yaml:{line}: .*(?:{message})", str(caught.value)), str(caught.value)


def test_all_that_is_wrong_is_named_at_once(load):
    with pytest.raises(ConfigError) as caught:
        load(GOOD.replace("country: FR", "country: fr").replace("country: BE", "country: be"))

    assert len(str(caught.value).splitlines()) == 2


def test_a_file_wrong_throughout_gets_a_short_message(load):
    entries = "".join(f"  - {{id: p{n}, name: P, country: fr, domains: [p{n}.fr]}}\n" for n in range(50))
    with pytest.raises(ConfigError) as caught:
        load("publishers:\n" + entries)

    lines = str(caught.value).splitlines()
    assert len(lines) == 21
    assert lines[-1].endswith("and 30 more")


def test_a_file_that_is_not_there_says_where_it_was_looked_for(tmp_path):
    with pytest.raises(ConfigError, match=r"sources\.yaml: no such file") as caught:
        catalogue.load(tmp_path / "sources.yaml")

    assert "VEILLE_CONFIG" in caught.value.hint


def test_a_file_that_is_no_text_is_refused(tmp_path):
    path = tmp_path / "sources.yaml"
    path.write_bytes(b"publishers: \xff")
    with pytest.raises(ConfigError, match="cannot be read"):
        catalogue.load(path)


# --- what is shipped


def test_the_shipped_catalogue_is_large(shipped):
    assert len(shipped.publishers) >= 40
    assert len(shipped.feeds()) >= 200


def test_every_shipped_feed_has_its_evidence_and_stands_by_it(shipped):
    order = [
        "served 2024-02-14",
        "fetched 2025-05-31",
        "saved 2024-02-14",
        "served 2022",
        "listed 2026",
        "listed 2025",
        "listed",
        "listed in calibre",
        "listed 2020",
    ]
    ranks = [[order.index(feed.evidence) for feed in publisher.feeds] for publisher in shipped.publishers]
    header = SHIPPED.read_text(encoding="utf-8").partition("publishers:")[0]

    assert all(evidence in header for evidence in order)
    assert all(each == sorted(each) for each in ranks)
    assert [min(each) for each in ranks] == sorted(min(each) for each in ranks)


def test_every_shipped_pattern_has_an_example_in_which_it_finds_a_number(shipped):
    entries = yaml.safe_load(SHIPPED.read_text(encoding="utf-8"))["publishers"]
    with_pattern = [entry for entry in entries if "article_id" in entry]

    assert len(with_pattern) >= 25
    for entry in with_pattern:
        names = keys(entry["example"], shipped.publisher(entry["id"]))
        assert [key.kind for key in names] == ["url", "id"], entry["id"]


PAGES = [
    *(
        "/",
        "/politique",
        "/2025/05/31",
        "/2025-05-31/un-titre",
        "/20250531-un-titre",
        "/france/300525/un-titre",
    ),
    *("/monde/un-titre-20250531", "/monde/un-titre-20250531.html", "/monde/un-titre_20250531.html"),
    *("/monde/un-titre-20250531.php", "/monde/un-titre-31-05-2025", "/monde/un-titre-31-05-2025.php"),
    *("/fr/story/un-titre-20250531", "/articles/2025/un-titre-court"),
]


def test_no_shipped_pattern_takes_a_page_or_a_date_for_an_article(shipped):
    """Front pages, sections, feeds and titles with a day have no number."""
    for publisher in shipped.publishers:
        urls = [f"https://www.{domain}{page}" for domain in publisher.domains for page in PAGES]
        for url in urls + [feed.url for feed in publisher.feeds]:
            assert len(keys(url, publisher)) == 1, (publisher.id, url)


def test_every_shipped_publisher_owns_its_domains(shipped):
    for publisher in shipped.publishers:
        assert all(shipped.publisher_of(f"www.{domain}:443") is publisher for domain in publisher.domains)


def test_shipped_feeds_are_written_as_they_are_fetched(shipped):
    assert all(
        canonical(feed.url) and "&amp;" not in feed.url and " " not in feed.url for feed in shipped.feeds()
    )


def test_importing_the_catalogue_imports_neither_pydantic_nor_yaml():
    code = "import sys, pipeline.catalogue; print(sorted({'pydantic', 'yaml', 'idna'} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert done.stdout.strip() == "[]"
