"""robots.txt is obeyed as RFC 9309 has it."""

import json
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.web.robots import AGENT, CAP, Rules

# robots.txt, path, allowed. What each one is about stands in its id.
CASES = {
    "empty file": ("", "/une", True),
    "group of our own": ("User-agent: Veille\nDisallow: /une\n", "/une", False),
    "case of the name": ("user-agent: vEILLE\ndisallow: /une\n", "/une", False),
    "any other robot": ("User-agent: *\nDisallow: /\n", "/une", False),
    "own group before the star": ("User-agent: *\nDisallow: /\nUser-agent: Veille\nAllow: /\n", "/une", True),
    "other robots' groups": ("User-agent: Bavard\nDisallow: /\n", "/une", True),
    "several names, one group": ("User-agent: Bavard\nUser-agent: Veille\nDisallow: /\n", "/une", False),
    "groups of one name are one": (
        "User-agent: Veille\nDisallow: /a\nUser-agent: B\nDisallow: /\nUser-agent: Veille\nDisallow: /b\n",
        "/b",
        False,
    ),
    "a longer name is another": ("User-agent: Veilleuse\nDisallow: /\n", "/une", True),
    "a shorter name is another": ("User-agent: Veil\nDisallow: /\n", "/une", True),
    "name with a version": ("User-agent: Veille/0.1\nDisallow: /\n", "/une", False),
    "name with words after it": ("User-agent: Veille the robot # ours\nDisallow: /\n", "/une", False),
    "longest match allows": ("User-agent: *\nAllow: /une/jour\nDisallow: /une\n", "/une/jour/1", True),
    "longest match forbids": ("User-agent: *\nAllow: /une\nDisallow: /une/jour\n", "/une/jour/1", False),
    "equal length allows": ("User-agent: *\nDisallow: /une\nAllow: /une\n", "/une", True),
    "star inside": ("User-agent: *\nDisallow: /*/amp\n", "/une/amp", False),
    "star is greedy enough": ("User-agent: *\nDisallow: /*.pdf$\n", "/a.pdf/b.pdf", False),
    "dollar ends": ("User-agent: *\nDisallow: /*.pdf$\n", "/a.pdf?x=1", True),
    "query is part of the path": ("User-agent: *\nDisallow: /*?page=\n", "/une?page=2", False),
    "paths have case": ("User-agent: *\nDisallow: /Une\n", "/une", True),
    "empty disallow": ("User-agent: *\nDisallow:\n", "/une", True),
    "accents, written plainly": ("User-agent: *\nDisallow: /actualité\n", "/actualit%C3%A9/1", False),
    "accents, percent-encoded": ("User-agent: *\nDisallow: /actualit%c3%a9\n", "/actualité/1", False),
    "letters percent-encoded": ("User-agent: *\nDisallow: /%75ne\n", "/une", False),
    "an encoded slash is none": ("User-agent: *\nDisallow: /a%2Fb\n", "/a/b", True),
    "comments and blanks": ("# un\n\n User-agent : * # deux\n  Disallow : /une # trois\n", "/une", False),
    "old Macintosh line ends": ("User-agent: *\rDisallow: /une\r", "/une", False),
    "sitemap inside a group": ("User-agent: *\nSitemap: https://x/s.xml\nDisallow: /une\n", "/une", False),
    "unknown line inside a group": ("User-agent: *\nNoindex: /\nUser-agent: B\nDisallow: /\n", "/une", False),
    "rules before any group": ("Disallow: /\nUser-agent: *\nDisallow: /a\n", "/une", True),
    "robots.txt itself": ("User-agent: *\nDisallow: /\n", "/robots.txt", True),
    "byte-order mark": ("\ufeffUser-agent: *\nDisallow: /une\n", "/une", False),
    "a web page instead": ("<!doctype html>\n<title>Introuvable</title>\n<p>Disallow: /\n", "/une", True),
}


@pytest.mark.parametrize("name", CASES)
def test_rules_are_read_as_rfc_9309_has_it(name):
    text, path, allowed = CASES[name]

    assert Rules.parse(200, text.encode()).allows(f"https://www.journal.example{path}") is allowed


@pytest.mark.parametrize(
    ("status", "readable"),
    [
        *((status, True) for status in (200, 204, 301, 401, 403, 404, 410, 429)),
        *((status, False) for status in (500, 503, 599, 304, 199, None)),
    ],
)
def test_a_missing_file_allows_all_and_an_unreadable_one_nothing(status, readable):
    rules = Rules.parse(status, b"")

    assert (rules.readable, rules.allows("https://www.journal.example/une")) == (readable, readable)


def test_the_body_of_an_error_is_no_rule():
    assert Rules.parse(404, b"User-agent: *\nDisallow: /\n").allows("https://www.journal.example/une")


@pytest.mark.parametrize(
    ("value", "delay"),
    [
        ("10", 10.0),
        ("0.5", 0.5),
        ("0", 0.0),
        ("", None),
        ("-1", None),
        ("nan", None),
        ("inf", None),
        ("dix", None),
    ],
)
def test_crawl_delay_is_a_finite_number_of_seconds(value, delay):
    assert Rules.parse(200, f"User-agent: *\nCrawl-delay: {value}\n".encode()).crawl_delay == delay


def test_crawl_delay_comes_from_the_group_that_is_ours():
    text = b"User-agent: *\nCrawl-delay: 90\nUser-agent: Veille\nCrawl-delay: 3\n"

    assert Rules.parse(200, text).crawl_delay == 3.0


def test_the_first_500_kib_count_and_half_a_line_never():
    """A rule cut in two ("Disallow: /" instead of "Disallow: /secret") would close the whole site."""
    head = b"User-agent: *\nDisallow: /une\n"
    line = b"# " + b"x" * 61 + b"\n"
    filler = line * ((CAP - len(head)) // len(line) - 1)
    room = CAP - len(head) - len(filler) - len(b"Disallow: /")
    text = head + filler + b" " * (room - 1) + b"\nDisallow: /secret\nDisallow: /apres\n"
    assert text[:CAP].endswith(b"Disallow: /")

    for body in (text, text[:CAP]):  # cut here, or by whoever fetched it
        rules = Rules.parse(200, body)

        allowed = [rules.allows(f"https://www.journal.example{path}") for path in ("/une", "/", "/apres")]
        assert allowed == [False, True, True]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "latin-1", "cp1252"])
def test_a_file_in_another_encoding_is_obeyed(encoding):
    rules = Rules.parse(200, "User-agent: *\nDisallow: /vidéo\nDisallow: /une\n".encode(encoding))

    assert not rules.allows("https://www.journal.example/une")
    path = b"/vid\xe9o" if encoding in {"latin-1", "cp1252"} else "/vidéo".encode()
    quoted = "".join(f"%{byte:02X}" if byte > 127 else chr(byte) for byte in path)
    assert not rules.allows(f"https://www.journal.example{quoted}")


@given(
    st.binary(max_size=2000) | st.text(max_size=2000).map(lambda text: text.encode(errors="replace")),
    st.text(),
)
def test_no_file_and_no_path_makes_it_fail(body, path):
    Rules.parse(200, b"User-agent: *\nDisallow: /" + body).allows(f"https://www.journal.example/{path}")


@given(st.lists(st.sampled_from(["User-agent: *", "User-agent: B", "Disallow: /a", "Allow: /", "X: y", ""])))
def test_line_ends_do_not_matter(lines):
    verdicts = {
        Rules.parse(200, end.join([*lines, ""]).encode()).allows("https://www.journal.example/a")
        for end in ("\n", "\r\n", "\r")
    }

    assert len(verdicts) == 1


@pytest.mark.corpus
def test_the_reference_parser_agrees(corpus):
    """Google's own cases, its agent renamed to ours. It compares percent-encoded with plain characters as
    they stand, RFC 9309, 2.2.2 decoded: so do we, which is three of its cases.
    """
    differ, compared = [], 0
    for line in (corpus / "51-robots" / "google-robots-cases.jsonl").read_text().splitlines():
        case = json.loads(line)
        agent = case["user_agent"]
        if not re.fullmatch("[A-Za-z_-]+", agent):
            continue  # no agent, or a name that is no token
        compared += 1
        text = re.sub(re.escape(agent), AGENT, case["robots_txt"], flags=re.IGNORECASE)
        if Rules.parse(200, text.encode()).allows(case["url"]) is not case["expected"]:
            differ.append(case["test"])

    assert compared >= 130
    assert differ == ["RobotsUnittest, ID_Encoding"] * 3
