"""The laws of canonical URLs and keys."""

import json
import tarfile
import xml.etree.ElementTree as ET
from pathlib import Path
from urllib.parse import quote, urlsplit

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from pipeline import catalogue
from pipeline.catalogue import Publisher
from pipeline.errors import Unparsable
from pipeline.model import Key
from pipeline.urls import MAX_LENGTH, canonical, host_of, keys

ROOT = Path(__file__).parent.parent
ARTICLE = "https://gazette.fr/monde/un-titre-12345.html"
GAZETTE = Publisher("gazette", "La Gazette", "", "FR", ("gazette.fr",), r"-(\d{5})\.html$")


# --- spellings of one article

SAME = {
    "http": "http://gazette.fr/monde/un-titre-12345.html",
    "www": "https://www.gazette.fr/monde/un-titre-12345.html",
    "capital host": "HTTPS://WWW.Gazette.FR/monde/un-titre-12345.html",
    "final dot": "https://gazette.fr./monde/un-titre-12345.html",
    "default port": "https://gazette.fr:443/monde/un-titre-12345.html",
    "http's default port": "http://gazette.fr:80/monde/un-titre-12345.html",
    "user name": "https://user:secret@gazette.fr/monde/un-titre-12345.html",
    "double slash": "https://gazette.fr//monde///un-titre-12345.html",
    "dot segments": "https://gazette.fr/sport/../monde/./un-titre-12345.html",
    "escaped dot segments": "https://gazette.fr/sport/%2e%2E/monde/%2e/un-titre-12345.html",
    "backslashes": "https:\\\\gazette.fr\\monde\\un-titre-12345.html",
    "final slash": "https://gazette.fr/monde/un-titre-12345.html/",
    "needless escapes": "https://gazette.fr/%6Donde/un%2Dtitre-12345%2ehtml",
    "blanks around": "\n\t https://gazette.fr/monde/un-titre-12345.html\u00a0\n",
    "line breaks within": "https://gazette.fr/monde/\r\n\tun-titre-12345.html",
    "fragment": f"{ARTICLE}#commentaires",
    "fragment that tracks": f"{ARTICLE}#xtor=RSS-3-[lestitres]",
    "text fragment": f"{ARTICLE}#:~:text=un%20titre",
    "empty query": f"{ARTICLE}?",
    "empty parameters": f"{ARTICLE}?&&",
    "utm": f"{ARTICLE}?utm_source=x&UTM_Medium=y&utm_campaign=z",
    "at_": f"{ARTICLE}?at_medium=email&at_campaign=nl&at_custom1=7",
    "xtor": f"{ARTICLE}?xtor=RSS-3208",
    "xtor twice": f"{ARTICLE}?xtor=CS2-33281034&xtref=acc_dir",
    "click ids": f"{ARTICLE}?fbclid=a&gclid=b&msclkid=c&dclid=d&twclid=e&igshid=f",
    "mail": f"{ARTICLE}?mc_cid=a&mc_eid=b&mkt_tok=c&_hsenc=d&_hsmi=e",
    "ns_ and aef_": f"{ARTICLE}?ns_campaign=editorial&ns_source=twitter&aef_campaign_date=2017-03-01",
    "Matomo and Piano": f"{ARTICLE}?pk_campaign=a&mtm_kwd=b&cx_testId=c",
    "Google": f"{ARTICLE}?_ga=1.2&_gl=x&gad_source=1&srsltid=y&gaa_at=g",
    "house campaigns": f"{ARTICLE}?lmd_medium=al&int_source=x&55_source=of&snetwork=FB&M_BT=1",
    "Echobox": f"{ARTICLE}?Echobox=1688",
    "WebTrends": f"{ARTICLE}?WT.mc_id=a&wt.tsrc=b&cmpid=c",
    "ref to a channel": f"{ARTICLE}?ref=rss&source=facebook&from=newsletter&src=twsrc%5Etfw",
    "share buttons": f"{ARTICLE}?share=facebook",
    "session": "https://gazette.fr/monde/un-titre-12345.html;jsessionid=0A1B?PHPSESSID=c",
    "comments' links": f"{ARTICLE}?replytocom=77#respond",
    "tracking glued with &": f"{ARTICLE}&utm_source=rss&utm_medium=feed",
    "tracking glued with ?": f"{ARTICLE}?utm_source=rss?xtor=RSS-1",
    "escaped ampersands": f"{ARTICLE}?utm_source=a&amp;utm_medium=b&amp;amp;utm_term=c&#38;xtor=d",
    "half-escaped ampersand": f"{ARTICLE}?utm_source=a&amp%3Butm_medium=b",
    "amp host": "https://amp.gazette.fr/monde/un-titre-12345.html",
    "mobile host": "https://m.gazette.fr/monde/un-titre-12345.html",
    "mobile in full": "http://mobile.gazette.fr/monde/un-titre-12345.html",
    "www and m": "https://www.m.gazette.fr/monde/un-titre-12345.html",
    "amp before": "https://www.gazette.fr/amp/monde/un-titre-12345.html",
    "amp within": "https://gazette.fr/monde/amp/un-titre-12345.html",
    "amp behind": f"{ARTICLE}/amp/",
    "amp suffix": "https://gazette.fr/monde/un-titre-12345.amp.html",
    "amp parameter": f"{ARTICLE}?amp",
    "amp parameter with value": f"{ARTICLE}?amp=1",
    "amp output": f"{ARTICLE}?outputType=amp-type",
    "HubSpot's amp": f"{ARTICLE}?hs_amp=true",
    "AMP cache": "https://gazette-fr.cdn.ampproject.org/c/s/www.gazette.fr/amp/monde/un-titre-12345.html?usqp=mq331&amp_js_v=0.1",
    "AMP viewer": "https://www.google.com/amp/s/www.gazette.fr/amp/monde/un-titre-12345.html",
    "Google Alerts": f"https://www.google.com/url?rct=j&sa=t&url={quote(ARTICLE, safe='')}&ct=ga&usg=AOv",
    "Facebook's redirect": f"https://l.facebook.com/l.php?u={quote(ARTICLE + '?fbclid=x', safe='')}&h=AT0",
}


@pytest.mark.parametrize("url", SAME.values(), ids=SAME.keys())
def test_spellings_of_one_article_are_one(url):
    assert canonical(url) == ARTICLE


EQUAL = [
    (
        "https://www.challenges.fr/economie/un-titre_11008.amp",
        "https://www.challenges.fr/economie/un-titre_11008",
    ),
    ("https://amp-madame.lefigaro.fr/recettes/x-2024", "https://madame.lefigaro.fr/recettes/x-2024"),
    (
        "https://m.culturebox.francetvinfo.fr/amp/arts/x-195025",
        "https://culturebox.francetvinfo.fr/arts/x-195025",
    ),
    ("https://x.fr/isra%c3%a9lienne", "https://x.fr/israélienne"),
    ("https://x.fr/e%CC%81te%CC%81", "https://x.fr/été"),
    ("https://x.fr/l'%C3%A9lection,(1)!", "https://x.fr/l%27élection%2C%281%29%21"),
    ("https://x.fr/a b", "https://x.fr/a%20b"),
    ("https://x.fr/recherche?q=a+b&p=2", "https://x.fr/recherche?p=2&q=a%20b"),
    ("https://x.fr/a?f[0]=é", "https://x.fr/a?f%5B0%5D=%C3%A9"),
    ("https://x.fr/a?v=", "https://x.fr/a?v"),
    ("https://x.fr/?p=12", "https://x.fr?p=12"),
    ("https://L-Élysée.fr/a", "https://xn--l-lyse-cvad.fr/a"),
    ("https://x.fr:80/a", "http://x.fr:443/a"),
    ("https://x.fr/a&amp;b", "https://x.fr/a&amp%3Bb"),
    ("http://[0:0::1]:80/a", "http://[::1]/a"),
    ("http://www.gazette.localhost:8123/a", "http://gazette.localhost:8123/a/"),
]


@pytest.mark.parametrize(("a", "b"), EQUAL)
def test_forms_seen_in_the_press_are_unified(a, b):
    assert canonical(a) == canonical(b)


# --- what must stay apart

DIFFERENT = [
    ("https://x.fr/index.php?id=478", "https://x.fr/index.php?id=479"),
    ("https://x.fr/index.php?id=478", "https://x.fr/index.php"),
    ("https://x.fr/a?page=2", "https://x.fr/a?page=3"),
    ("https://x.fr/video?v=x8abc", "https://x.fr/video?v=x8abd"),
    ("https://x.fr/spip.php?article12", "https://x.fr/spip.php?article13"),
    ("https://x.fr/chiffres?source=insee", "https://x.fr/chiffres?source=dares"),
    ("https://x.fr/vol?from=paris", "https://x.fr/vol?from=lyon"),
    ("https://x.fr/a?ref=12", "https://x.fr/a?ref=13"),
    ("https://x.fr/a?q=a%2Bb", "https://x.fr/a?q=a+b"),
    ("https://x.fr/a?q=a%26b=c", "https://x.fr/a?q=a&b=c"),
    ("https://x.fr/a%2Fb", "https://x.fr/a/b"),
    ("https://x.fr/a%3Fb", "https://x.fr/a?b"),
    ("https://x.fr/a%E9", "https://x.fr/aé"),
    ("https://x.fr/n0FQ", "https://x.fr/n0fq"),
    ("https://x.fr/a?id=Ab", "https://x.fr/a?id=aB"),
    ("https://x.fr/une-20250628", "https://x.fr/deux-20250628"),
    ("https://x.fr/ampoules", "https://x.fr/oules"),
    ("https://x.fr/a/...amp", "https://x.fr"),
    ("https://x.fr/guide.ampere.html", "https://x.fr/guide.html"),
    ("https://m.fr/a", "https://fr/a"),
    ("https://amp-energie.fr/a", "https://energie.fr/a"),
    ("https://sport.x.fr/a", "https://x.fr/a"),
    ("https://x.fr:8443/a", "https://x.fr/a"),
    ("http://x.fr:8080/a", "https://x.fr:8080/a"),
    ("http://gazette.localhost:8123/a", "https://gazette.localhost:8123/a"),
    ("http://gazette.localhost:8123/a", "http://gazette.localhost:8124/a"),
    ("http://gazette.localhost/a", "https://gazette.localhost/a"),
    ("http://localhost/a", "https://localhost/a"),
    ("http://127.0.0.1/a", "https://127.0.0.1/a"),
    ("http://[::1]/a", "https://[::1]/a"),
    ("https://google.com/url?url=https://x.fr/a", "https://google.com/url?url=https://x.fr/b"),
]


@pytest.mark.parametrize(("a", "b"), DIFFERENT)
def test_what_may_be_another_page_stays_apart(a, b):
    assert canonical(a) != canonical(b)


@pytest.mark.parametrize(
    "url",
    [
        "",
        "gazette.fr/a",
        "//gazette.fr/a",
        "/a",
        "mailto:a@gazette.fr",
        "javascript:alert(1)",
        "file:///etc/passwd",
        "data:text/html,x",
        "ftp://gazette.fr/a",
        "feed:https://gazette.fr/rss",
        "http://",
        "http:///a",
        "https:gazette.fr",
        "http://exa mple.fr/",
        "http://.onion",
        "http://a..b/",
        "http://x.fr:99999/",
        "http://x.fr:0/",
        "http://x.fr:8o/",
        "http://[::1/",
        "http://[::g]/",
        "http://" + "a" * 64 + ".fr/",
        "http://" + "é" * 300 + ".fr/",
        "http://%ff.fr/",
        "http://x.fr/\ud800",
        "#xtor=RSS-1",
        "http : //x.fr",
        "https://x.fr/" + "a" * MAX_LENGTH,
        "https://google.com/" + "amp/s/google.com/" * 9 + "amp/s/x.fr/a",
    ],
)
def test_what_is_no_web_address_is_refused(url):
    with pytest.raises(Unparsable):
        canonical(url)


@pytest.mark.parametrize("password", ["canary", "a/canary", "a?canary", "a#canary", "canary\n"])
def test_a_message_shows_no_password_and_no_token(password):
    with pytest.raises(Unparsable) as caught:
        canonical(f"https://user:{password}@x.fr:99999/a?token=canary#canary")

    assert "canary" not in str(caught.value)


def test_a_url_of_no_sane_length_is_refused_before_it_costs_time():
    with pytest.raises(Unparsable, match="longer than"):
        canonical("https://x.fr/a" + "\u0301\u0323" * 200_000)


def test_long_tracking_does_not_make_a_url_too_long():
    assert canonical(f"{ARTICLE}?utm_content={'a' * 5000}") == ARTICLE


# --- any input

PIECES = [
    *(
        "http://",
        "https://",
        "HTTP:\\\\",
        "www.",
        "amp.",
        "amp-",
        "m.",
        "x.fr",
        "a.b",
        "localhost",
        "[::1]",
        "1.2.3.4",
    ),
    *(
        ":80",
        ":443",
        ":8080",
        "@",
        "/",
        "//",
        "\\",
        ".",
        "..",
        "amp",
        ".amp",
        ".html",
        "/amp/",
        "?",
        "&",
        "=",
        "+",
    ),
    *(
        "amp;",
        "&amp;",
        "&#38;",
        "%26",
        "%26amp%3B",
        "%3B",
        ";",
        ";jsessionid=1",
        ";sid=",
        "sid=",
        "#",
        "%",
        "%25",
    ),
    *(
        "%2",
        "%41",
        "%2e",
        "%2F",
        "%3F",
        "%3C",
        "%C3%A9",
        "%E9",
        "%CC%81",
        "é",
        "e",
        "e\u0301",
        "\u0327",
        "\u0338",
    ),
    *(
        "\u037e",
        "\u1fef",
        "\u212a",
        "<",
        " ",
        "\t",
        "\n",
        "\u00a0",
        "utm_source=",
        "xtor=",
        "at_medium=",
        "fbclid=",
    ),
    *(
        "ref=rss",
        "id=1",
        "amp=1",
        "outputType=amp",
        "https://google.com/url?url=",
        "https://google.com/amp/s/",
    ),
    *(
        "https://x-fr.cdn.ampproject.org/c/s/",
        "%3Futm_source=",
        "&%75tm_source=",
        "\ud800",
        "\udc80",
        "。",
        "ß",
        "httpſ://",
    ),
]
ANYTHING = st.one_of(
    st.text(),
    st.lists(st.sampled_from(PIECES) | st.characters(), max_size=14).map("".join),
    st.lists(st.sampled_from(PIECES), max_size=12).map(lambda pieces: "https://x.fr/" + "".join(pieces)),
)


def refuses_or_settles(url):
    """Canonical or Unparsable, nothing else; short, printable ASCII; and canonical for good."""
    try:
        once = canonical(url)
    except Unparsable:
        return
    assert len(once) <= MAX_LENGTH
    assert once.isascii()
    assert once.isprintable()
    assert " " not in once
    assert "#" not in once
    assert canonical(once) == once


@settings(deadline=None)
@given(ANYTHING)
@example("https://x.fr/%26utm_source=a")
@example("https://x.fr/&%75tm_source=a")
@example("https://x.fr/%%34%31")
@example("https://x.fr/%3C\u0327")
@example("https://x.fr/a.amp/amp")
@example("https://x.fr/a.amp.amp")
@example("https://x.fr/a&a%6Dp;b")
@example("https://x.fr/\u037e")
@example("https://x.fr/?a=b%3D\u0338")
def test_any_text_is_refused_or_settles_at_once(url):
    refuses_or_settles(url)


@pytest.mark.slow
@settings(max_examples=10_000, deadline=None)
@given(ANYTHING)
def test_any_text_is_refused_or_settles_at_once_at_length(url):
    refuses_or_settles(url)


SEGMENT = st.text(
    st.characters(codec="utf-8", exclude_characters="/\\%?#&.~;"), min_size=1, max_size=12
).filter(
    lambda text: (
        text.strip() == text and text.lower() not in ("amp", "_amp") and not set(text) & set("\t\n\r")
    )
)


@settings(deadline=None, max_examples=60)
@given(st.lists(SEGMENT, min_size=1, max_size=4), st.lists(st.tuples(SEGMENT, SEGMENT), max_size=3))
def test_escaping_more_than_needed_changes_nothing(segments, parameters):
    def written(escape):
        path = "".join("/" + escape(segment) for segment in segments)
        query = "&".join(f"z{escape(name)}={escape(value)}" for name, value in parameters)
        return f"https://x.fr{path}?{query}"

    needed = canonical(written(lambda text: quote(text, safe="!$'()*,:@")))

    assert canonical(written(lambda text: "".join(f"%{byte:02x}" for byte in text.encode()))) == needed


@settings(deadline=None)
@given(st.permutations(["id=1", "page=2", "lang=fr", "utm_source=a", "b"]))
def test_the_order_of_parameters_changes_nothing(parameters):
    assert canonical(f"https://x.fr/a?{'&'.join(parameters)}") == "https://x.fr/a?b&id=1&lang=fr&page=2"


def test_parameters_of_one_name_keep_their_order():
    assert canonical("https://x.fr/a?f=2&f=1") != canonical("https://x.fr/a?f=1&f=2")


# --- host_of


@pytest.mark.parametrize(
    ("url", "host"),
    [
        ("https://www.LeMonde.fr/a", "www.lemonde.fr"),
        ("http://x.fr:80/", "x.fr"),
        ("https://x.fr:443/", "x.fr"),
        ("https://x.fr:80/", "x.fr:80"),
        ("http://gazette.localhost:8123/a", "gazette.localhost:8123"),
        ("http://user:secret@x.fr/", "x.fr"),
        ("http://good.fr\\@evil.fr/", "good.fr"),
        ("http://[::1]:8000/", "[::1]:8000"),
        ("https://été.fr/", "xn--t-9fab.fr"),
    ],
)
def test_the_host_is_the_authority_that_is_fetched_from(url, host):
    assert host_of(url) == host


def test_the_host_of_no_web_address_is_refused():
    with pytest.raises(Unparsable):
        host_of("mailto:a@x.fr")


# --- keys


def test_a_url_is_a_key_in_its_canonical_form():
    assert keys("http://www.autre.fr/a/") == (Key("url", "https://autre.fr/a"),)


def test_the_publishers_number_is_a_key_whatever_the_title():
    first, second = (
        keys(ARTICLE, GAZETTE),
        keys("https://m.gazette.fr/sport/corrige-12345.html?xtor=1", GAZETTE),
    )

    assert set(first) & set(second) == {Key("id", "gazette:12345")}


def test_a_number_on_somebody_elses_host_is_no_key():
    assert [key.kind for key in keys("https://autre.fr/monde/un-titre-12345.html", GAZETTE)] == ["url"]
    assert [key.kind for key in keys("https://lagazette.fr/un-titre-12345.html", GAZETTE)] == ["url"]


def test_a_number_in_a_query_is_no_key():
    """Log-in and subscription pages carry their article's URL there."""
    assert [key.kind for key in keys(f"https://compte.gazette.fr/login?redirect={ARTICLE}", GAZETTE)] == [
        "url"
    ]


# --- the press


def same(sources, a, b):
    def names(url):
        return set(keys(url, sources.publisher_of(host_of(url))))

    return bool(names(a) & names(b))


@pytest.fixture(scope="module")
def sources():
    return catalogue.load(ROOT / "config" / "sources.yaml")


def test_press_urls(sources, floor):
    """The pinned floor of pairs judged right; none that must differ may be merged."""
    lines = (ROOT / "tests" / "data" / "press_urls.jsonl").read_text(encoding="utf-8").splitlines()
    cases = [json.loads(line) for line in lines]
    right = [case for case in cases if same(sources, case["a"], case["b"]) == (case["must"] == "same")]
    kept_apart = [case for case in right if case["must"] == "different"]

    assert len(right) >= floor("press_urls_right")
    assert len(kept_apart) >= floor("press_urls_must_differ")


MORE_PRESS = [
    (
        "https://www.bfmtv.com/societe/a_AN-202505310039.html",
        "https://bfmtv.com/people/b_AN-202505310039.html",
        True,
    ),
    (
        "https://www.bfmtv.com/societe/a_AN-202505310039.html",
        "https://www.bfmtv.com/societe/a_AN-202505310038.html",
        False,
    ),
    (
        "https://www.francetvinfo.fr/a_6325935.html",
        "https://www.franceinfo.fr/monde/b_6325935.html#xtor=AL-1",
        True,
    ),
    (
        "https://www.liberation.fr/a-20240126_R5SWBWDTIFAYJFLKLXLNJ6UTBA/",
        "https://www.liberation.fr/b/c-20240127_R5SWBWDTIFAYJFLKLXLNJ6UTBA/?outputType=amp",
        True,
    ),
    ("https://www.sudouest.fr/a/b-13258170.php", "https://www.sudouest.fr/amp/c/d-13258170.php", True),
    (
        "https://www.letelegramme.fr/_amp/803/13252803.php",
        "https://www.letelegramme.fr/x/y-05-01-2023-13252803.php",
        True,
    ),
    ("https://www.europe1.fr/sport/a-756254", "https://www.europe1.fr/sport/a-756255", False),
    (
        "https://www.lepoint.fr/politique/a-31-05-2025-2590918_20.php",
        "https://www.lepoint.fr/economie/b-31-05-2025-2590918_28.php",
        True,
    ),
    (
        "https://www.nouvelobs.com/monde/20250529.OBS104397/a.html",
        "https://www.nouvelobs.com/economie/20250529.OBS104397/b.html",
        True,
    ),
    ("https://www.la-croix.com/sport/a-20250530", "https://www.la-croix.com/sport/b-20250530", False),
    (
        "https://www.mediapart.fr/journal/france/300525/a",
        "https://www.mediapart.fr/journal/france/300525/b",
        False,
    ),
    ("https://www.20min.ch/fr/story/a-103355565", "https://www.20min.ch/fr/story/b-103355565", True),
    ("https://www.lemonde.fr/a_6116089_3210.html", "https://abonnes.lemonde.fr/b_6116089_3224.html", True),
    (
        "https://www.rmc.bfmtv.com/a_AN-202505310033.html",
        "https://www.bfmtv.com/b_AN-202505310033.html",
        False,
    ),
]


@pytest.mark.parametrize(("a", "b", "one"), MORE_PRESS)
def test_numbers_of_the_press_join_titles_and_nothing_else(sources, a, b, one):
    assert same(sources, a, b) is one


def links(archives):
    for archive in archives:
        with tarfile.open(archive) as packed:
            for member in packed:
                if not member.name.endswith(".xml"):
                    continue
                try:
                    feed = ET.fromstring(packed.extractfile(member).read())
                except ET.ParseError:  # one file of March 2022 and some saved error pages
                    continue
                yield from (
                    item.findtext("link").strip() for item in feed.iter("item") if item.findtext("link")
                )


@pytest.mark.corpus
@pytest.mark.slow
def test_a_month_of_le_monde_keeps_its_articles(corpus, sources):
    """2 829 addresses, 2 821 articles: eight live pages changed their title."""
    found = set(links(sorted((corpus / "10-feeds-lemonde-2022").glob("*.tar.xz"))))
    lemonde = sources.publisher("lemonde")
    names = [keys(url, lemonde) for url in found]

    assert len(found) == 2829
    assert len({one[0] for one in names}) == 2829
    assert len({one[-1] for one in names}) == 2821


@pytest.mark.corpus
@pytest.mark.slow
def test_a_day_of_french_feeds_keeps_its_articles(corpus, sources):
    """Canonical URLs and numbers merge none of a day's 4 913 links."""
    found = {url.partition("#")[0] for url in links(sorted((corpus / "11-feeds-fr-2024").glob("*.tar.xz")))}
    found = {url for url in found if url}
    names = [keys(url, sources.publisher_of(urlsplit(url).netloc)) for url in found]

    assert len(found) == 4913
    assert len({one[0] for one in names}) == 4913
    assert len({one[-1] for one in names}) == 4913
