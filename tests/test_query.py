"""The query language: every text is understood in one way or refused with one clear error."""

from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.errors import Permanent
from pipeline.query import (
    FIELDS,
    MAX_DEPTH,
    MAX_LENGTH,
    MAX_PARTS,
    And,
    Days,
    Everything,
    Kind,
    Not,
    Numbers,
    Or,
    Present,
    QueryError,
    Value,
    Words,
    parse,
)
from pipeline.query.tree import NEIGHBOURS


def shown(tree) -> str:
    """A tree in a short form for people; offsets where they are not 0, 1, 2 …"""
    match tree:
        case Words(field, terms):
            words = " ".join(
                ("" if term.offset == i else f"@{term.offset}:") + term.exact for i, term in enumerate(terms)
            )
            words = f"<{words}>" if len(terms) > 1 else words
            slop = f"~{tree.slop}" if tree.slop else ""
            text = (f"{field}:" if field else "") + words + "*" * tree.prefix + slop
        case Value(field, value, prefix):
            text = f"{field}={value}{'*' * prefix}"
        case Days(field, low, high) | Numbers(field, low, high):
            text = f"{field}[{low}..{high}]"
        case Present(field):
            text = f"{field}?"
        case Everything():
            text = "ALL"
        case Not(part):
            text = f"-{shown(part)}"
        case And(parts):
            text = f"({' & '.join(map(shown, parts))})"
        case Or(parts):
            text = f"({' | '.join(map(shown, parts))})"
    return text


@pytest.mark.parametrize(
    ("text", "meaning"),
    [
        # words, compounds and phrases
        ("Ukraine paix", "(ukraine & paix)"),
        ("l'OTAN l’OTAN OTAN", "otan"),
        ("aujourd’hui", "aujourdhui"),
        ("porte-clos", "<porte clos>"),
        ("49.3", "49.3"),
        ("12 500 euros", "(12500 & euros)"),
        ("12\u202f500", "12500"),
        ('"accord de paix"', "<accord @2:paix>"),
        ("« accord de paix »", "<accord @2:paix>"),
        ("“accord paix”~3", "<accord paix>~3"),
        ("« le “bon” accord »", "<bon accord>"),
        # stop words: nothing beside others, themselves alone
        ("le budget de la France", "(budget & france)"),
        ("le", "le"),
        ("le de", "(le & de)"),
        ("le*  budget", "(le* & budget)"),
        ('"le" budget', "(le & budget)"),
        # boolean
        ("gaz AND paix", "(gaz & paix)"),
        ("gaz and paix et vin", "(gaz & and & paix & vin)"),
        ("gaz OR paix vin", "(gaz | (paix & vin))"),
        ("(gaz OR paix) vin", "((gaz | paix) & vin)"),
        ("gaz OR (paix OR vin)", "(gaz | paix | vin)"),
        ("gaz (paix (vin))", "(gaz & paix & vin)"),
        ("gaz NOT paix", "(gaz & -paix)"),
        ("gaz AND NOT paix", "(gaz & -paix)"),
        ("gaz -paix +vin", "(gaz & -paix & vin)"),
        ("gaz -(paix vin)", "(gaz & -(paix & vin))"),
        ("-gaz", "-gaz"),
        ("NOT NOT gaz", "gaz"),
        ("gaz OR -paix", "(gaz | -paix)"),
        ("Ukraine - Russie", "(ukraine & russie)"),
        ("gaz gaz gaz", "gaz"),
        ("(gaz)(paix)", "(gaz & paix)"),
        ('gaz"paix"', "(gaz & paix)"),
        ("ET gaz", "gaz"),
        # prefixes
        ("Zelensk*", "zelensk*"),
        ("l'écolo*", "ecolo*"),
        ('"accord de pai*"', "<accord @2:pai>*"),
        ("porte-av*", "<porte av>*"),
        # fields
        ("title:gaz", "title:gaz"),
        ("TITLE: gaz", "title:gaz"),
        ("title:(gaz OR paix) vin", "((title:gaz | title:paix) & vin)"),
        ("title:(gaz text:paix)", "(title:gaz & text:paix)"),
        ("-title:gaz", "-title:gaz"),
        ("title:-gaz", "title:gaz"),
        ('publisher:"Le Monde"', "publisher:<le monde>"),
        ("author:Lefèvre", "author:lefevre"),
        ("topic:Énergie", "topic=energie"),
        ("topic:(climat OR energ*)", "(topic=climat | topic=energ*)"),
        ("topic:*", "topic?"),
        ("*", "ALL"),
        ("* -gaz", "-gaz"),
        ("url:https://www.Presse.fr/a/", "url=presse.fr/a"),
        ("https://presse.fr/a?b=1", "url=presse.fr/a?b=1"),
        ("http://presse.fr/*", "url=presse.fr*"),
        ("Élections: le point", "(elections & point)"),
        ("Région : un budget", "(region & budget)"),
        ("20:30", "<20 30>"),
        # days and numbers
        ("published:2025-07-14", "published[2025-07-14..2025-07-14]"),
        ('published:"2025-07-14"', "published[2025-07-14..2025-07-14]"),
        ("published:2024-02", "published[2024-02-01..2024-02-29]"),
        ("published:2025", "published[2025-01-01..2025-12-31]"),
        ("published:[2025-01-02 TO *]", "published[2025-01-02..None]"),
        ("published:[2024 TO 2025-02]", "published[2024-01-01..2025-02-28]"),
        ("published:{2024 TO 2025-02}", "published[2025-01-01..2025-01-31]"),
        ("published:{2024-02-28 TO 2024-03-01}", "published[2024-02-29..2024-02-29]"),
        ("published:>=2025-02", "published[2025-02-01..None]"),
        ("published:>2025-02", "published[2025-03-01..None]"),
        ("published:<= 2025-02", "published[None..2025-02-28]"),
        ("published:<2025-02", "published[None..2025-01-31]"),
        ("published:[* TO *]", "published?"),
        ("NOT published:*", "-published?"),
        ("words:(20 OR [30 TO 40])", "(words[20..20] | words[30..40])"),
        ("copies:>=3 words:[300 TO 500}", "(copies[3..None] & words[300..499])"),
        # nothing to search for is skipped beside something
        ("gaz 😀 -- ; !", "gaz"),
        ("gaz AND 😀", "gaz"),
        ("'; DROP TABLE articles; --", "(drop & table & articles)"),
        ("gaz \ud800 url:a\ud800b", "(gaz & url=a?b)"),
        ("", "ALL"),
        ("  \n ", "ALL"),
    ],
)  # fmt: skip
def test_a_query_means(text, meaning):
    assert shown(parse(text)) == meaning


@pytest.mark.parametrize(
    ("text", "neighbours"),
    [
        ("garantie de sécurité pour l'Ukraine", ["<garantie securite>~2", "<securite ukraine>~2"]),
        ("title:(gaz paix) vin", ["title:<gaz paix>~2"]),
        ("gaz AND paix", ["<gaz paix>~2"]),
        ("gaz porte-avions paix", []),
        ('gaz "paix" vin', []),
        ("gaz pai* vin", []),
        ("author:Jean author:Lefèvre", []),
        ("gaz -paix vin", []),
        ("le de", []),
    ],
)
def test_plain_words_beside_each_other_are_neighbours(text, neighbours):
    assert [shown(pair) for pair in parse(text).neighbours] == neighbours


def test_only_the_first_neighbours_count():
    """Whoever pastes a page asks for no order, and an engine would have to look for thousands of phrases."""
    assert len(parse(" ".join(f"mot{i}" for i in range(200))).neighbours) == NEIGHBOURS


@pytest.mark.parametrize(
    ("text", "position", "says"),
    [
        ("AND", 0, "AND needs something on both sides"),
        ("gaz AND", 4, "AND needs something on both sides"),
        ("AND gaz", 0, "AND needs something on both sides"),
        ("gaz AND AND paix", 4, "AND needs something on both sides"),
        ("gaz AND OR paix", 4, "AND needs something on both sides"),
        ("gaz OR", 4, "OR needs something on both sides"),
        ("OR gaz", 0, "OR needs something on both sides"),
        ("gaz NOT", 4, "NOT needs something after it"),
        ("NOT OR gaz", 0, "NOT needs something after it"),
        ("gaz (paix", 4, "not closed"),
        ("gaz) paix", 3, "')'"),
        ('gaz "paix', 4, "quote is not closed"),
        ("gaz « paix", 4, "quote is not closed"),
        ("gaz » paix", 4, "'»'"),
        ("😀", 0, "no letter or digit"),
        ("NOT 😀", 0, "no letter or digit"),
        ("()", 0, "no letter or digit"),
        ("foo:gaz", 0, "the fields are title, lead, text, author"),
        ("gaz title:", 10, "title: needs a value"),
        ("title:)", 6, "title: needs a value"),
        ("a*", 0, "2 letters"),
        ("topic:a*", 6, "2 letters"),
        ("url:" + "a" * 201 + "*", 4, "at most 200 letters"),
        ('"' + "mot " * 100 + 'mot*"', 0, "at most 200 letters"),
        ("*sky", 0, "only at the end"),
        ("Zel*sky", 3, "only at the end"),
        ("gaz~2", 0, "phrase in quotes"),
        ("gaz^2", 0, "phrase in quotes"),
        ('"gaz paix"~', 10, "number of words"),
        ('"gaz paix"~101', 10, "number of words"),
        ("gaz && paix", 4, "written AND"),
        ("gaz || paix", 4, "written OR"),
        ("gaz !paix", 4, "written NOT"),
        ("published:hier", 10, "needs a day"),
        ("published:2025-13", 10, "no day 2025-13"),
        ("published:2025-02-29", 10, "no day 2025-02-29"),
        ("published:0000", 10, "no day 0000"),
        ("published:[2025 TO 2024]", 10, "ends before it starts"),
        ("published:{2025-01-01 TO 2025-01-02}", 10, "ends before it starts"),
        ("published:>9999", 10, "no day can be in this range"),
        ("published:[2025 TO", 10, "[a TO b]"),
        ("published:[2025 to 2026]", 10, "[a TO b]"),
        ("published:>", 10, "needs a value"),
        ("copies:viele", 7, "whole number"),
        ("copies:1234567890", 7, "whole number"),
    ],
)
def test_a_query_is_refused_with_its_position(text, position, says):
    with pytest.raises(QueryError) as refused:
        parse(text)
    assert refused.value.position == position
    assert says in str(refused.value)
    assert f"character {position + 1}" in str(refused.value)
    assert isinstance(refused.value, Permanent)


def test_length_depth_and_number_of_parts_are_bounded():
    assert shown(parse("Ukraine " * 1250)) == "ukraine"
    assert shown(parse("(" * MAX_DEPTH + "gaz" + ")" * MAX_DEPTH)) == "gaz"
    for text in (
        "(" * (MAX_DEPTH + 1) + "gaz" + ")" * (MAX_DEPTH + 1),
        "(" * 10_000,
        "-(" * 5_000,
        "title:(" * 2_000,
        " ".join(f"w{i}" for i in range(MAX_PARTS + 1)),
        "a" * (MAX_LENGTH + 1),
        "gaz " * 250_000,
    ):
        with pytest.raises(QueryError):
            parse(text)
    for text in (
        "NOT " * 4_000 + "gaz",
        "-" * 16_000 + "gaz",
        "title:" * 2_700 + "gaz",
        '""' * 8_000 + "gaz",
    ):
        parse(text)


def test_a_phrase_of_stop_words_is_looked_up_as_it_stands():
    words = parse('"le la"')
    assert words.exact
    assert [term.exact for term in words.terms] == ["le", "la"]


def test_names_are_compared_by_exact_words_and_texts_by_stems():
    assert parse("author:agricultrices").exact
    assert not parse("agricultrices").exact
    assert parse("agricultrices").terms[0].stem == parse("agricultrice").terms[0].stem


def test_both_apostrophes_and_capitals_mean_the_same():
    for text in ("l{}élection", "qu{}elle vote", 'title:"l{}été"', "publisher:l{}express"):
        assert parse(text.format("'")) == parse(text.format("’"))
    assert parse("ÉLYSÉE") == parse("élysée") == parse("elysee")


PIECES = [
    *(
        "AND",
        "OR",
        "NOT",
        "+",
        "-",
        "(",
        ")",
        '"',
        "«",
        "»",
        "“",
        "”",
        "~",
        "~3",
        "*",
        "[",
        "]",
        "{",
        "}",
        "TO",
    ),
    *(
        ":",
        "'",
        "’",
        "title:",
        "published:",
        "copies:",
        "topic:",
        "url:",
        "author:",
        "foo:",
        ">=",
        "<=",
        ">",
        "<",
    ),
    *(
        "gaz",
        "paix",
        "le",
        "l'été",
        "2025",
        "2025-07",
        "2025-02-30",
        "12 500",
        "é",
        "😀",
        "https://",
        "&&",
        "||",
    ),
    *("!x", "^2", " ", "\t", "\n", "\x00", "\ud800", "a", "b*"),
]


@given(st.lists(st.sampled_from([*PIECES, " "]), max_size=60).map("".join) | st.text(max_size=200))
def test_any_text_gives_a_tree_or_a_query_error(text):
    try:
        tree = parse(text)
    except QueryError as error:
        position = error.position
    else:
        position = 0
        assert hash(tree) == hash(parse(text))
        assert shown(tree)
    assert 0 <= position <= len(text)


@given(st.dates(), st.dates())
def test_a_range_of_days_is_read_back_exactly(first, last):
    text = f"published:[{first.isoformat()} TO {last.isoformat()}]"
    if first > last:
        with pytest.raises(QueryError):
            parse(text)
    else:
        assert parse(text) == Days("published", first, last)


@given(st.integers(1, 9999), st.integers(1, 12))
def test_a_month_is_all_its_days_and_no_other(year, month):
    days = parse(f"published:{year:04}-{month:02}")
    assert days.first == date(year, month, 1)
    assert days.last.month == month
    assert days.last == date.max or date.fromordinal(days.last.toordinal() + 1).day == 1


leaves = st.sampled_from(
    ["gaz", '"accord de paix"', "vin*", "title:train", "published:2025", "topic:climat", "copies:3"]
)
queries = st.recursive(
    leaves,
    lambda inner: st.one_of(
        st.lists(inner, min_size=2, max_size=3).map(lambda parts: f"({' AND '.join(parts)})"),
        st.lists(inner, min_size=2, max_size=3).map(lambda parts: f"({' OR '.join(parts)})"),
        inner.map(lambda part: f"NOT {part}"),
    ),
    max_leaves=12,
)  # fmt: skip


@given(queries, queries)
def test_blank_means_and(left, right):
    assert parse(f"{left} {right}") == parse(f"({left}) AND ({right})")


@given(queries)
def test_parentheses_around_the_whole_and_a_double_negation_change_nothing(text):
    assert parse(f"({text})") == parse(text) == parse(f"NOT NOT ({text})")


def test_every_kind_of_field_accepts_a_group_a_quote_and_a_star():
    values = {Kind.DATE: "2025", Kind.NUMBER: "3"}
    for field, kind in FIELDS.items():
        value = values.get(kind, "gaz")
        assert parse(f"{field}:({value})") == parse(f"{field}:{value}")
        assert parse(f'{field}:"{value}"')
        assert parse(f"{field}:*") == Present(field)
