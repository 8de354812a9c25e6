"""The laws of the tagger: what counts, for how much, and that each hit stands where it says."""

import string
import sys
import unicodedata
from dataclasses import replace
from itertools import pairwise

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from pipeline.tokens import tokenize, words
from pipeline.topics.rules import Boost, Evidence, Group, Rule, Veto
from pipeline.topics.tagger import Tagger, _judge, _Reading
from pipeline.topics.terms import QUOTED_AT_MOST, Field, Index, Line


def rule(*evidence, threshold=1.0, **fields):
    """A rule of the given evidence; a string is a term of weight 1."""
    given_ = tuple(Evidence((one,)) if isinstance(one, str) else one for one in evidence)
    return Rule("sujet", 1, {"fr": "Sujet"}, given_, threshold, **fields)


def tag(rule, text="", title="", lead="", **options):
    """The topic that the rule gives an article, or None."""
    return next(iter(Tagger((rule,)).tag(title, lead, text, **options)), None)


def points(rule, text="", **options):
    found = tag(rule, text, **options)
    return found.score if found else 0.0


# --- what is a term


@pytest.mark.parametrize(
    ("term", "text"),
    [
        ("Ukraine", "L’Ukraine et l'UKRAINE d’hier, en Ukraine"),
        ("élection", "élection, l’élection, ELECTIONS, Élections, e\u0301lection"),
        ("œuvre", "L’œuvre, des oeuvres, ŒUVRE, l'Œuvre, chef-d’œuvre"),
        ("cessez-le-feu", "cessez-le-feu, cessez le feu, CESSEZ‑LE‑FEU, Cessez-le-feu, le cessez-le-feu"),
        ("paix juste", "paix juste, paix\u00a0justes, PAIX JUSTE, Paix-Juste, une paix (juste)"),
        ("européen", "européen, européenne, Européens, européennes, EUROPEENS"),
        ("garant*", "garant, garantie, garantir, GARANTES, l’garanti"),
        ("article 5", "article 5, l’article 5, Article 5, ARTICLE 5, d'article 5"),
        ("OTAN", "OTAN, Otan, l’OTAN, O.T.A.N., d'OTAN"),
    ],
)  # fmt: skip
def test_spellings_of_a_term(term, text):
    """Apostrophe, elision, accents, ligature, plural, feminine, capitals, hyphen: all the same."""
    expected = 3 if term == "Ukraine" else 5
    assert points(rule(term, cap_per_term=9), text) == expected


@pytest.mark.parametrize(
    ("term", "text"),
    [
        ("Mali", "mali, malis, Malien"),  # an old word for a balance
        ("OTAN", "otan, Otanes"),
        ("Ukraine", "Ukrainien"),
        ("Zelensk*", "zelensky"),
        ("été", "mais il a eu chaud"),
        ("maïs", "mais non"),
        ("garant*", "garage, regarant"),
        ("garantie de sécurité", "garantie. Sécurité"),
        ("garantie de sécurité", "garantie\nsécurité"),
        ("garantie de sécurité", "garantie totale de sécurité, sécurité garantie"),
        ("sécurité", "insécurité, sécuritaire"),
    ],
)
def test_what_is_another_word(term, text):
    """A capital asks for one, a phrase for neighbours in one sentence, and the rest for the whole word."""
    assert tag(rule(term), text) is None


def test_a_prefix_with_a_capital_asks_for_words_with_one():
    assert points(rule("Zelensk*", cap_per_term=9), "Zelensky, ZELENSKY et Zelenska, jamais zelensky") == 3


@pytest.mark.parametrize("text", ["Le Garant", "les garants", "la garante", "GARANT", "gàrant"])
def test_exact_is_as_it_is_written(text):
    """Case, accents and ending count; the apostrophe and the encoding of accents do not."""
    assert tag(rule(Evidence(("garant",), exact=True)), text) is None
    assert tag(rule(Evidence(("garant",), exact=True)), "le garant")
    assert tag(rule(Evidence(("prud’hommes élus",), exact=True)), "aux prud'hommes e\u0301lus")
    assert tag(rule(Evidence(("49.3",), exact=True)), "le 49.3")


# --- what counts


def test_boost_by_place_and_order_of_fields():
    """A hit counts by its field, and hits of equal points come as one reads."""
    found = tag(
        rule("blé", boost=Boost(title=2, lead=2, body=2)), title="Blé", lead="Du blé.", text="Le blé vert."
    )

    assert [hit.field for hit in found.hits] == ["title", "lead", "text"]
    assert points(rule("blé"), title="Blé", lead="Du blé.", text="Le blé vert.") == 3 + 1.5 + 1


def test_the_heaviest_piece_has_the_word():
    """A word counts for one piece only, within a group and between groups."""
    light, heavy = Evidence(("paix", "accord de paix")), Evidence(("plan de paix",), weight=3)

    assert points(rule(light, heavy), "un plan de paix") == 3
    assert points(rule(light), "un accord de paix") == 1
    assert [hit.term for hit in tag(rule(light, heavy), "la paix, un plan de paix").hits] == [
        "plan de paix",
        "paix",
    ]


def test_a_term_counts_at_most_its_cap_however_it_is_spelt():
    """Long articles do not win by repetition, and a plural beside its singular is the same term."""
    text = "Du blé, le blé, un blé, son blé, au blé."

    assert points(rule("blé", cap_per_term=3), text) == 3
    assert points(rule(Evidence(("blé", "blés", "BLE".lower())), cap_per_term=2), text) == 2


def test_distinct_pieces_are_different_terms():
    """Repetition makes no second piece, nor does another spelling, nor what speaks against the topic."""
    both = Evidence(("blé", "blés", "maïs"))

    assert tag(rule(both, min_distinct=2), "Du blé, des blés") is None
    assert tag(rule(both, Evidence(("blés",), name="autre"), min_distinct=2), "Du blé, des blés") is None
    assert (
        tag(rule(both, Evidence(("colza",), weight=-1), min_distinct=2), "Du blé, le blé, du colza") is None
    )
    assert tag(rule(both, min_distinct=2), "Du blé, du maïs")


def test_points_reach_the_threshold():
    """At the threshold the article carries the topic, with a confidence of one half."""
    assert tag(rule("blé", threshold=2.0), "Du blé.") is None
    assert tag(rule("blé", threshold=2.0), "Du blé, un blé.").confidence == 0.5
    assert tag(rule("blé", threshold=1.0), "Du blé, le blé, un blé.").confidence == 0.75


def test_a_minus_speaks_against():
    """Its points are taken off, and the words that it takes count for nothing else."""
    against = Evidence(("champ de blé",), weight=-2)

    assert points(rule("blé", against), "Du blé, le blé, un blé et un champ de blé") == 1
    assert tag(rule("blé", against), "Du blé, un blé et un champ de blé") is None


def test_a_sentence_said_again_counts_once():
    """A lead that is the title again, or the text's first lines, says nothing new; its best place counts."""
    once = points(rule("blé"), title="Le blé monte", text="Du blé vert.")

    assert once == 4
    assert points(rule("blé"), title="Le blé monte", lead="Le blé monte", text="Du blé vert.") == once
    assert (
        points(rule("blé"), title="Le blé monte", text="LE BLÉ MONTE !\nDu blé vert.\nDu blé vert.") == once
    )
    assert points(rule("blé"), title="Le blé monte", lead="Un blé monte") == 4.5


def test_a_repeated_sentence_counts_where_it_may():
    """Out of reach in the lead, within it in the text."""
    ruled = rule(Evidence(("garantie",), scope="paragraph"), all=(Group(("Kiev",)),))

    assert points(ruled, lead="Une garantie.", text="Une garantie. À Kiev.") == 1


# --- required groups, scopes, vetoes


def test_every_required_group_is_met_and_shown():
    """With one of its terms, which is shown at its first place and adds nothing."""
    ruled = rule("blé", all=(Group(("Kiev", "Kyiv"), "pays"), Group(("prix",), "sujet")))

    assert tag(ruled, "Du blé à Kiev") is None
    found = tag(ruled, "Du blé à Kyiv, à Kiev : le prix. Kyiv !")
    assert [(hit.group, hit.term, hit.points) for hit in found.hits] == [
        ("pays", "Kyiv", 0),
        ("sujet", "prix", 0),
        ("blé", "blé", 1),
    ]


@pytest.mark.parametrize(
    ("scope", "text", "title", "counts"),
    [
        ("sentence", "Kiev veut une garantie.", "", True),
        ("sentence", "Kiev parle. Une garantie viendrait.", "", False),
        ("sentence", "Kiev parle.\nUne garantie viendrait.", "", False),
        ("sentence", "On parle. Une garantie viendrait.", "À Kiev", True),
        ("paragraph", "Kiev parle. Une garantie viendrait.", "", True),
        ("paragraph", "Kiev parle.\nUne garantie viendrait.", "", False),
        # the second sentence and the second paragraph are different things
        ("paragraph", "Rien. Kiev parle.\nNon.\nUne garantie viendrait.", "", False),
        ("paragraph", "Kiev parle.\nUne garantie viendrait.", "À Kiev", True),
        ("article", "Kiev parle.\nUne garantie viendrait.", "", True),
    ],
)
def test_evidence_counts_within_its_scope(scope, text, title, counts):
    """Where the required group is met in the same sentence or paragraph, or in the title."""
    ruled = rule(Evidence(("garantie",), scope=scope), all=(Group(("Kiev",)),))

    assert bool(tag(ruled, text, title)) is counts


def test_all_required_groups_are_met_in_the_scope():
    """Each by itself in the sentence or in the title."""
    ruled = rule(Evidence(("garantie",), scope="sentence"), all=(Group(("Kiev",)), Group(("Paris",))))

    assert tag(ruled, "Kiev demande une garantie à Paris.")
    assert tag(ruled, "Paris offre une garantie.", "Kiev attend")
    assert tag(ruled, "Kiev demande une garantie. Paris hésite.") is None


@pytest.mark.parametrize(
    ("scope", "text", "score"),
    [
        ("sentence", "La garantie sociale. La garantie tient.\nLa garantie.", 2),
        ("paragraph", "La garantie sociale. La garantie tient.\nLa garantie.", 1),
        ("article", "La garantie sociale. La garantie tient.\nLa garantie.", 0),
        # sentence 2 of the text is not its paragraph 2, nor sentence 2 of the lead
        ("sentence", "Bonjour. Sociale.\nGarantie.\nUne garantie.", 2),
    ],
)
def test_a_veto_silences_its_scope(scope, text, score):
    """The sentence, the paragraph, or the topic altogether."""
    assert points(rule("garantie", none=(Veto(("social",), scope=scope),)), text) == score


def test_a_veto_of_a_title_leaves_the_text():
    vetoed = rule("garantie", none=(Veto(("social",), scope="paragraph"),))

    assert points(vetoed, "La garantie.", title="Garantie sociale") == 1


@pytest.mark.parametrize(
    ("near", "text", "found"),
    [
        (Evidence(near=(("blé",), ("prix",)), within=3), "Le blé et son prix", True),
        (Evidence(near=(("blé",), ("prix",)), within=3), "Le prix de ce blé", True),
        (Evidence(near=(("blé",), ("prix",)), within=2), "Le blé et son prix", False),
        (Evidence(near=(("blé",), ("prix",)), within=9), "Du blé. Un prix", False),
        (Evidence(near=(("blé",), ("prix",)), within=3, ordered=True), "Le blé et son prix", True),
        (Evidence(near=(("blé",), ("prix",)), within=3, ordered=True), "Le prix du blé", False),
        # the first one is too far ahead, the second one comes after
        (Evidence(near=(("blé",), ("prix",)), within=3, ordered=True), "Un blé et encore un prix blé", False),
        (Evidence(near=(("a1",), ("b1",), ("c1",)), within=3, ordered=True), "a1 b1 oui a1 c1", False),
        (Evidence(near=(("a1",), ("b1",), ("c1",)), within=4, ordered=True), "a1 b1 oui a1 c1", True),
        (Evidence(near=(("a1",), ("b1",), ("c1",)), within=3), "b1 c1 oui a1", True),
        (Evidence(near=(("blé",), ("blé", "maïs"))), "du blé", False),  # no word is two
        (Evidence(near=(("blé",), ("blé", "maïs"))), "du blé, du blé", True),
        (Evidence(near=(("blé",), ("plan de paix", "accord")), within=4), "le plan de paix du blé", True),
    ],
)
def test_near(near, text, found):
    """In one sentence, the last word at most `within` after the first, and in order where that is asked."""
    assert bool(tag(rule(near), text)) is found


def test_what_stands_near_is_one_piece():
    """From its first word to its last; the words are used up, and the next ones make the next piece."""
    ruled = rule(Evidence(near=(("blé",), ("prix", "cours")), weight=2), "blé")
    text = "Le prix du blé, puis le cours du blé, le blé."
    found = tag(ruled, text)

    assert [(text[hit.start : hit.end], hit.points) for hit in found.hits] == [
        ("prix du blé", 2),
        ("cours du blé", 2),
        ("blé", 1),
    ]


def test_what_stands_near_is_named_by_the_terms_that_stand_there():
    """Not by the first of their lists: a reason must not name somebody of whom the article does not speak."""
    ruled = rule(Evidence(name="pourparlers", near=(("Poutine", "Kiev"), ("négoci*", "accord")), weight=2))
    [hit] = tag(ruled, "Un accord avec Kiev.").hits

    assert (hit.group, hit.term) == ("pourparlers", "Kiev … accord")


def test_languages():
    """A rule reads its languages; where the language is not known every rule may try."""
    rules = (replace(rule("blé"), id="a"), replace(rule("blé"), id="b", languages=("oc", "fr")))
    tagger = Tagger(rules)

    def carried(language):
        return [tag.topic for tag in tagger.tag("", "", "Du blé.", language=language)]

    assert carried("fr") == ["a", "b"]
    assert carried("oc") == ["b"]
    assert carried("en") == []
    assert carried("und") == ["a", "b"]


# --- whatever the text and the rule

WORDS = [
    "l’Ukraine", "Ukraine", "ukrainien", "garanties", "garantie", "de", "sécurité", "paix", "OTAN", "blé",
    "cessez-le-feu", "Kiev", "social", "M.", "49.3",
]  # fmt: skip
TERMS = [
    "Ukraine", "ukrain*", "garantie de sécurité", "garanties de sécurité", "garant*", "paix", "OTAN", "blé",
    "cessez-le-feu", "Kiev", "social", "feu", "49.3",
]  # fmt: skip
SCOPES = st.sampled_from(["sentence", "paragraph", "article"])
TEXTS = st.lists(st.tuples(st.sampled_from(WORDS), st.sampled_from([" ", " ", " ", ". ", ", ", " ! ", "\n"])),
                 max_size=25).map(lambda parts: "".join(map("".join, parts)))  # fmt: skip
SOME = st.lists(st.sampled_from(TERMS), min_size=1, max_size=3).map(tuple)
EVIDENCE = st.builds(
    Evidence,
    terms=SOME | st.just(()),
    near=st.just(()) | st.lists(SOME, min_size=2, max_size=3).map(tuple),
    weight=st.sampled_from([-2.0, -0.5, 0.5, 1.0, 3.0]),
    within=st.integers(1, 9),
    ordered=st.booleans(),
    scope=SCOPES,
    exact=st.booleans(),
).filter(lambda evidence: evidence.terms or evidence.near)
RULES = st.builds(
    Rule,
    id=st.just("sujet"),
    version=st.just(1),
    label=st.just({}),
    any=st.lists(EVIDENCE, min_size=1, max_size=4).map(tuple),
    threshold=st.sampled_from([0.1, 1.0, 4.0]),
    all=st.lists(st.builds(Group, terms=SOME), max_size=1).map(tuple),
    none=st.lists(st.builds(Veto, terms=SOME, scope=SCOPES), max_size=1).map(tuple),
    cap_per_term=st.integers(1, 3),
    min_distinct=st.integers(1, 2),
)


@given(RULES, TEXTS, TEXTS, TEXTS)
def test_a_tag_explains_itself(rule, title, lead, text):
    """Points add up to the score; no word counts twice; every hit and its sentence stand where they say."""
    fields = {"title": title, "lead": lead, "text": text}
    for found in Tagger((rule,)).tag(title, lead, text):
        assert sum(hit.points for hit in found.hits) == found.score >= rule.threshold
        assert 0.5 <= found.confidence < 1
        for hit in found.hits:
            source = fields[hit.field]
            assert 0 <= hit.start < hit.end <= len(source)
            assert source[hit.start : hit.end] in hit.sentence
            assert hit.sentence in source
            assert "\n" not in hit.sentence
        spans = sorted((hit.field, token.start) for hit in found.hits if hit.points and " … " not in hit.term
                       for token in tokenize(fields[hit.field])
                       if hit.start <= token.start < hit.end and not token.stop)  # fmt: skip
        assert all(one != other for one, other in pairwise(spans))


ANY_TERM = {(term, exact) for term in TERMS for exact in (False, True)}


def places(found):
    return {term: [(place.start, place.end) for place in places] for term, places in found.items()}


@given(st.sets(st.sampled_from(sorted(ANY_TERM)), min_size=1), TEXTS)
def test_no_term_stands_in_a_line_whose_words_leave_it_out(terms, text):
    """That spares most lines a closer look, and must hide no place from any rule."""
    index = Index(terms)
    part = Field("text", text, index)
    everywhere = index.find([Line("text", 0, 0, text)])

    assert everywhere.keys() <= part.may_hold() <= index.may_hold(words(text))
    assert places(index.find(part.read(terms))) == places(everywhere)


@settings(max_examples=600)  # a tenth of the texts carry the topic of their rule
@given(RULES, TEXTS, TEXTS, TEXTS)
def test_no_article_loses_its_topic_by_a_look_at_its_words_alone(rule, title, lead, text):
    """Whatever the rule asks for: most articles are read no closer than that, and few lines of the others."""
    index = Index(ANY_TERM)
    texts = {"title": title, "lead": lead, "text": text}
    fields = {name: Field(name, text, index) for name, text in texts.items()}
    closely = _judge(rule, _Reading(fields, index, ANY_TERM))

    assert Tagger((rule,)).tag(title, lead, text) == ((closely,) if closely else ())


@settings(max_examples=50)
@given(TEXTS, st.sampled_from(TERMS))
def test_a_hit_covers_the_words_of_its_term(text, term):
    """From the first word of the term to its last, without the article before it."""
    found = tag(rule(term, cap_per_term=99), text)
    count = len([token for token in tokenize(term) if not token.stop])
    for hit in found.hits if found else ():
        said = [token for token in tokenize(text[hit.start : hit.end]) if not token.stop]
        assert len(said) == count
        assert (said[0].start, said[-1].end) == (0, hit.end - hit.start)
        assert tag(rule(term), text[hit.start : hit.end])


@settings(max_examples=50)
@given(RULES, TEXTS, TEXTS)
def test_a_text_said_twice_is_said_once(rule, title, text):
    """The same paragraphs again change no score."""
    once, twice = (Tagger((rule,)).tag(title, "", said) for said in (text, f"{text}\n{text}"))

    assert [tag.score for tag in once] == [tag.score for tag in twice]


@settings(max_examples=50)
@given(TEXTS)
def test_typography_changes_no_score(text):
    """Apostrophes, spaces that do not break, accents that stand apart."""
    ruled = rule(Evidence(tuple(TERMS)), Evidence(("sécurité",), exact=True, weight=2), cap_per_term=99)
    plain = points(ruled, text)

    assert points(ruled, text.replace("’", "'")) == plain
    assert points(ruled, text.replace(" ", "\u00a0")) == plain
    assert points(ruled, unicodedata.normalize("NFD", text)) == plain


@given(st.text() | TEXTS, st.text(), st.text(string.printable + "«»’…éœİﬁ½\u0301\u00ad\u2028\x85"))
@example("garantie \r sécurité", "l'", "garantie\x0bde\x0csécurité")
def test_no_text_is_too_odd(title, lead, text):
    """Whatever the text, the tagger answers and what it says adds up."""
    ruled = rule("garant*", "b", Evidence(near=(("c",), ("d",))), Evidence(("f", "g", "h", "i", "0", "1")))
    for found in Tagger((ruled,)).tag(title, lead, text, language="und"):
        assert sum(hit.points for hit in found.hits) == found.score


@settings(max_examples=50)
@given(st.integers(0, 600), st.integers(0, 600))
def test_a_long_sentence_is_quoted_around_its_hit(before, after):
    """At most so many characters of it, the hit among them."""
    text = f"{'x ' * before}garantie de sécurité{' y' * after}"
    [hit] = tag(rule("garantie de sécurité"), text).hits

    assert "garantie de sécurité" in hit.sentence
    assert len(hit.sentence) == min(len(text), QUOTED_AT_MOST) or len(text) > QUOTED_AT_MOST / 2
    assert len(hit.sentence) <= QUOTED_AT_MOST


def test_a_hit_longer_than_a_quote_begins_it():
    """Two words with a thousand spaces between them."""
    [hit] = tag(rule("garantie de sécurité"), f"Une garantie{' ' * 1000}sécurité").hits

    assert hit.sentence.startswith("garantie")
    assert len(hit.sentence) == QUOTED_AT_MOST


UNITS = (
    "a",
    "7",
    "l'",
    "a.",
    "«!»",
    "* ",
    "a!",
    "garantie ",
    "garantie sécurité ",
    "b c ",
    "blé. ",
    "blé\n",
    "7 000 ",
)


@pytest.mark.slow
@pytest.mark.parametrize("unit", UNITS, ids=repr)
def test_work_is_linear(unit):
    """A text costs four times the lines of code that a quarter of it costs, however busy the machine is."""
    ruled = rule(
        Evidence(("garantie de sécurité", "garant*", "b", "blé"), scope="sentence"),
        Evidence(near=(("garant*", "b"), ("sécurité", "c"), ("blé", "b")), within=5, ordered=True),
        Evidence(near=(("garant*", "b"), ("sécurité", "c")), within=5),
        all=(Group(("garant*", "b", "blé")),),
        none=(Veto(("jamais",), scope="sentence"), Veto(("sécurité",), scope="paragraph")),
    )
    tagger = Tagger((ruled,))

    def lines(size):
        count = 0

        def trace(*_):
            nonlocal count
            count += 1
            return trace

        before = sys.gettrace()
        sys.settrace(trace)
        try:
            tagger.tag("b garantie", "", unit * (size // len(unit)) + "!")
        finally:
            sys.settrace(before)
        return count

    lines(1_000)
    assert lines(8_000) <= 4.5 * lines(2_000)


@pytest.mark.slow
@pytest.mark.parametrize("unit", UNITS, ids=repr)
def test_a_megabyte_comes_to_an_end(unit):
    """Also in the regular expressions, where no line of code is counted: a quadratic one would take hours."""
    tagger = Tagger((rule(Evidence(("garantie", "b"))),))

    assert tagger.tag("b garantie", "", unit * (1_000_000 // len(unit)))
