"""What is marked in an article, and which places of it are shown."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.query import QueryError, parse
from pipeline.search.highlight import FRAGMENTS, WIDTH, Marker
from pipeline.tokens import tokenize


def marked(query: str, title: str) -> list[str]:
    return [piece.text for piece in Marker.of(parse(query)).title(title) if piece.match]


def best(query: str, lead: str, text: str) -> list[str]:
    """The fragments, matches in brackets."""
    return [
        "".join(f"[{piece.text}]" if piece.match else piece.text for piece in fragment)
        for fragment in Marker.of(parse(query)).best(lead, text)
    ]


@pytest.mark.parametrize(
    ("query", "title", "matches"),
    [
        ("élections", "L’ÉLECTION d’un maire et les élections", ["ÉLECTION", "élections"]),
        ("Ukraine Russie", "Ukraine : la Russie", ["Ukraine", "Russie"]),
        ("Ukraine OR Russie", "Ukraine : la Russie", ["Ukraine", "Russie"]),
        ("Ukraine -Russie", "Ukraine : la Russie", ["Ukraine"]),
        ("NOT NOT Ukraine", "Ukraine", ["Ukraine"]),
        ("écolo*", "Écologie : les écologistes écoutent", ["Écologie", "écologistes"]),
        ("cessez-le-feu", "Cessez-le-feu ! Le feu gagne, cessez", ["Cessez", "feu"]),
        ('"accord de paix"', "Un accord de paix, un accord avant la paix", ["accord", "paix"]),
        ('"accord paix"~2', "accord global et paix puis paix", ["accord", "paix"]),
        ('"accord de pai*"', "accord de paiement", ["accord", "paiement"]),
        ("title:gaz text:paix", "gaz et paix", ["gaz"]),
        ("publisher:gaz author:paix published:2024", "gaz et paix 2024", []),
        ("le", "Le vent et le sable", ["Le", "le"]),
        ("a", "Il a vu", ["a"]),
        ("12 500", "12\u202f500 euros", ["12\u202f500"]),
        ("*", "gaz", []),
    ],
)
def test_what_the_query_asks_for_is_marked(query, title, matches):
    assert marked(query, title) == matches


def test_the_place_with_most_of_the_words_is_shown_first_come_first_served():
    filler = "Rien de neuf ici. " * 20
    text = f"Le gaz. {filler}Le gaz et la paix. {filler}La paix encore. {filler}Le gaz, la paix, le vin."

    assert [place.split("]")[0] for place in best("gaz paix vin", "", text)] == ["Le [gaz", "Le [gaz"]
    assert "[vin]" in best("gaz paix vin", "", text)[1]


def test_a_fragment_starts_with_its_sentence_and_keeps_to_its_paragraph():
    text = "Une phrase. Deux mots avant le gaz.\nUn autre alinéa."
    assert best("gaz", "", text) == ["Deux mots avant le [gaz]."]


def test_a_long_sentence_is_cut_between_words():
    text = "mot " * 100 + "gaz " + "mot " * 100
    (place,) = best("gaz", "", text)
    assert place.startswith("…mot mot")
    assert place.endswith("mot…")


@pytest.mark.parametrize(
    "text", ["mot " * 30 + "aa" * 125 + " fin", "aa " * 200, "mot, " * 50 + "aa" + ", mot" * 50]
)
def test_a_fragment_is_never_wider_than_promised(text):
    for fragment in Marker.of(parse("aa*")).best("", text):
        assert WIDTH - 10 < sum(len(piece.text) for piece in fragment) <= WIDTH


def test_lead_and_text_are_both_searched_and_a_repeated_lead_is_not_shown_twice():
    assert best("gaz", "Le gaz manque.", "Le gaz revient.") == ["Le [gaz] manque.", "Le [gaz] revient."]
    assert best("gaz", "Le gaz manque.", "Le gaz manque. Et voilà.") == ["Le [gaz] manque. Et voilà."]
    assert best("lead:gaz", "Le gaz manque.", "Le gaz manque. Et voilà.") == ["Le [gaz] manque."]
    assert best("title:gaz", "Le gaz manque.", "Le gaz revient.") == []


WORDS = [
    "gaz",
    "paix",
    "été.",
    "Le",
    "l'accord",
    "\n",
    "porte-avions,",
    "«",
    "a" * 250,
    "12 500",
    "…",
    "Œuvre",
]
texts = st.lists(st.sampled_from(WORDS), max_size=150).map(" ".join) | st.text(max_size=300)
queries = st.lists(
    st.sampled_from(["gaz", '"gaz paix"~2', "acc*", "porte-avion", "oeuvre", "aa*", "le"]), min_size=1
)


@given(queries.map(" OR ".join), texts)
def test_a_phrase_that_stands_nowhere_changes_no_mark(query, text):
    """With one the text is read as a whole, without one by lines."""
    assert marked(query, text) == marked(f'{query} OR "xyz xyz"', text)


@given(queries.map(" OR ".join), texts, texts)
def test_fragments_are_true_short_and_hold_a_match(query, lead, text):
    marker = Marker.of(parse(query))

    fragments = marker.best(lead, text)

    assert len(fragments) <= FRAGMENTS
    for fragment in fragments:
        shown = "".join(piece.text for piece in fragment)
        assert len(shown) <= WIDTH
        assert any(piece.match for piece in fragment)
        assert all(piece.text for piece in fragment)
        assert shown.strip("…") in lead or shown.strip("…") in text
    assert "".join(piece.text for piece in marker.title(text)) == text


@given(st.text(max_size=80), st.text(max_size=200))
def test_single_words_are_marked_where_the_index_finds_them(query, text):
    try:
        tree = parse(f'title:"{query}"')
    except QueryError:
        return
    terms = getattr(tree, "terms", ())
    if len(terms) != 1 or tree.prefix:
        return
    expected = [
        token.surface
        for token in tokenize(text)
        if (token.exact == terms[0].exact if tree.exact else token.stem == terms[0].stem and not token.stop)
    ]
    assert [piece.text for piece in Marker.of(tree).title(text) if piece.match] == expected
