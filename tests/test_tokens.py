"""Words, stems and sentences of French text."""

import re
import unicodedata
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from pipeline import tokens
from pipeline.tokens import IRREGULAR, MAX_WORD, STEM_RULES, STOP_WORDS, fold, sentences, stem, tokenize

FORMS = [
    line
    for line in (Path(__file__).parent / "data" / "french_forms.txt").read_text("utf-8").splitlines()
    if not line.startswith("#")
]
FRENCH = st.text(
    alphabet="aàâbcçdeéèêëfghiîïjklmnoôœpqrstuùûvwxyzæÉÀŒ'’ʼ -«».,!?…49\n\u00a0\u00ad\u0301_😀🚲"
)


def words(text):
    return [token.exact for token in tokenize(text)]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("L'élection", ["election"]),
        ("l’élection", ["election"]),
        ("l' élection et l'« Ukraine »", ["election", "et", "ukraine"]),
        ("lorsqu’il, jusqu'à, qu’on, c’est, j'ai, n'a, s'y", ["il", "a", "on", "est", "ai", "a", "y"]),
        ("aujourd'hui d’aujourd’hui", ["aujourdhui", "aujourdhui"]),
        ("prud’hommes, presqu'île, quelqu'un", ["prudhommes", "presquile", "quelquun"]),
        ("N'Djamena, M’Bappé, O'Brien, d'Artagnan", ["ndjamena", "mbappe", "obrien", "artagnan"]),
        ("'L'Ukraine' dit-il", ["ukraine", "dit", "il"]),
        ("ministère de l’Intérieur", ["ministere", "de", "interieur"]),
        ("cessez-le-feu", ["cessez", "le", "feu"]),
        ("Covid-19, F‑16", ["covid", "19", "f", "16"]),
        ("le 49.3", ["le", "49.3"]),
        ("1,5 °C et 10 000 euros", ["1,5", "c", "et", "10000", "euros"]),
        ("10\u202f000, 10.000 et 10000", ["10000", "10000", "et", "10000"]),
        ("en 2022 300 blessés", ["en", "2022", "300", "blesses"]),
        ("20h30 le 12.03.2022.", ["20h30", "le", "12.03.2022"]),
        ("l'U.E., d’O.T.A.N. et l'a.", ["ue", "otan", "et", "a"]),
        ("O.T.A.N. et U.E", ["otan", "et", "ue"]),
        ("Œuvre, cœur, ex æquo, Straße", ["oeuvre", "coeur", "ex", "aequo", "strasse"]),
        ("ÉTÉ — « Été » 😀🚲", ["ete", "ete"]),
        ("re\u00admarque e\u0301lu a_b", ["remarque", "elu", "a", "b"]),
        ("' ’ « » … —", []),
    ],
)
def test_words(text, expected):
    assert words(text) == expected


@pytest.mark.parametrize("apostrophe", "'’‘ʼ′´`＇‛ʻ")
def test_every_apostrophe_elides(apostrophe):
    """Two of them are letters to Unicode."""
    text = f"l{apostrophe}élection jusqu{apostrophe}ici, dit l{apostrophe}État"

    assert words(text) == ["election", "ici", "dit", "etat"]


def test_summer_and_maize_are_words_but_their_folded_twins_are_not():
    stops = {token.surface: token.stop for token in tokenize("été maïs mais à a À dû du est pas")}

    assert stops == dict.fromkeys(["été", "maïs", "dû", "est", "pas"], False) | dict.fromkeys(
        ["mais", "à", "a", "À", "du"], True
    )


@given(FRENCH | st.text())
@example("l'" * 50)
@example("İstanbul ﬁn ½")
def test_offsets_give_the_surface_in_order_and_never_overlap(text):
    tokens = tokenize(text)

    assert [text[token.start : token.end] for token in tokens] == [token.surface for token in tokens]
    assert all(a.end <= b.start for a, b in pairwise(tokens))
    assert all(token.exact and token.stem for token in tokens)
    assert all(token.stop == (token.surface.lower() in STOP_WORDS) for token in tokens)


@given(
    st.lists(st.sampled_from(["l’Élysée", "l'œuvre", "aujourd’hui", "Ukraine", "été", "49.3", "N’Djamena"]))
)
def test_typography_and_case_of_accented_capitals_change_no_word(chosen):
    text = " ".join(chosen)
    straight = text.replace("’", "'").replace("œ", "oe")

    assert words(straight) == words(text) == words(text.upper())
    assert words(unicodedata.normalize("NFD", text)) == words(text)


@given(FRENCH)
def test_folding_is_idempotent_and_stems_ignore_accents(word):
    assert fold(fold(word)) == fold(word)
    assert stem(word[:MAX_WORD]) == stem(fold(word[:MAX_WORD]))


def test_a_word_without_end_gives_a_bounded_term():
    [token] = tokenize("a" * 1_000_000 + "!")

    assert (len(token.surface), len(token.exact)) == (1_000_000, MAX_WORD)


def test_a_number_without_end_is_one_token():
    assert len(tokenize("1" * 1_000_000)) == 1


@given(FRENCH)
@example("10_000 a_b")
@example("a" * 100 + " b")
def test_words_are_the_tokens_without_their_places(text):
    expected = [(token.exact, token.stem, token.stop) for token in tokenize(text)]

    assert tokens.words(text) == expected


def test_a_stem_is_what_the_rules_make_one_after_another():
    """No rule is passed over for a word that it would change."""
    endings = "aux eaux eux oux s trice eur euse eure aise oise ee ue e er ir ent iqu iv euv ive tt nne lles"
    starts = ("", "b", "tu", "cri", "chant", "regard", "annonc", "tournay")
    words = [start + ending for start in starts for ending in endings.split()]
    words = [word for word in words if len(word) > 2 and word not in IRREGULAR]

    expected = list(words)
    for pattern, replacement in STEM_RULES:
        expected = [re.sub(pattern, replacement, word) for word in expected]

    assert list(map(stem, words)) == expected


def forms_joined():
    groups = [line.split() for line in FORMS if "/" not in line]
    return [stem(group[0]) == stem(other) for group in groups for other in group[1:]]


def words_joined():
    return [line for line in FORMS if "/" in line and len({stem(word) for word in line.split(" / ")}) == 1]


def test_forms_of_one_word_share_a_stem(floor):
    joined = forms_joined()

    assert sum(joined) / len(joined) >= floor("stem_forms_joined")


def test_different_words_keep_different_stems(floor):
    pairs = sum("/" in line for line in FORMS)

    assert 1 - len(words_joined()) / pairs >= floor("stem_words_apart")


@pytest.mark.parametrize(
    "pair",
    [
        "univers université", "général génération", "police politique", "France franc", "droit droite",
        "parti partie", "élection sélection", "maïs mai", "Paris pari", "organe organisation", "cours course",
    ],
)  # fmt: skip
def test_words_that_the_news_must_tell_apart(pair):
    first, second = pair.split()

    assert stem(first) != stem(second)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("M. Dupont part. Mme. Roy reste.", ["M. Dupont part.", "Mme. Roy reste."]),
        ("Le 49.3, voir art. 5 et p. 12. Fin", ["Le 49.3, voir art. 5 et p. 12.", "Fin"]),
        ("« Il part. » Elle dit : « Non ! » puis sort.", ["« Il part. »", "Elle dit : « Non ! » puis sort."]),
        ("Fin… peut-être. J. K. Roy vient ?! Oui", ["Fin… peut-être.", "J. K. Roy vient ?!", "Oui"]),
        ("Titre sans point\n\n  Corps.  ", ["Titre sans point", "Corps."]),
        ("", []),
    ],
)
def test_sentences(text, expected):
    assert [text[start:end] for start, end in sentences(text)] == expected


@given(FRENCH)
def test_sentences_cover_every_word(text):
    spans = sentences(text)

    assert all(any(start <= token.start < end for start, end in spans) for token in tokenize(text))
    assert all("\n" not in text[start:end] for start, end in spans)
    assert spans == sorted(spans)
