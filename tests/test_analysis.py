"""Elasticsearch reads French as `pipeline.tokens` does: its analysers are made from it."""

import json
import re
from pathlib import Path

import pytest
from corpora import articles_of_march
from engines import Elasticsearch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from invented import document

from pipeline.search import Verdicts
from pipeline.search.elasticsearch import analysis
from pipeline.search.elasticsearch.generations import TEMPLATE
from pipeline.tokens import tokenize

DATA = Path(__file__).parent / "data"
SENTENCES = [
    "L’élection d'aujourd'hui à l'Élysée : 12 500 œuvres de l'O.T.A.N., 49.3 N'Djamena et l'U.E.",
    "« d'été », jusqu'à ce qu'il s'agisse de M'Bappé ou de T'Pau ; presqu'île, prud’homme, rock'n'roll",
    "1.234.567 euros, 0.123, 1,5 %, 20minutes, 1er, 21er, covid-19, B-52, le 5e, x² et a_b",
    "cessez-le-feu : porte-avions, États-Unis ; ‘le’ mot, l' accord, l''accord, 'l'accord', d'",
    "ŒUVRE ÆQUO Straße Łódź Guðmundsson þing İstanbul ﬁn e\u0301te\u0301 co\u00adopé\u00adra\u00adtion",
    "Зеленський и Лавров — й ё ї; Αθήνα, Κυριάκος Μητσοτάκης",
    "yeux cieux travaux messieurs belles nouvelles vieilles grecque fausses brèves ss ll ees 1000ff",
]
LETTERS = st.sampled_from(
    [*"aeéèêhsldqmntxjwzLDÉŒœ  -.,:;'’»«0123", "\u00a0", "er", "eux", "ment", "ée", "s "]
)


@pytest.fixture(scope="module")
def engine(elasticsearch_server):
    """A server with an empty index."""
    engine = Elasticsearch(elasticsearch_server)
    index = engine.open()
    index.setup()
    index.finish_rebuild(index.begin_rebuild())
    yield engine
    engine.remove()


@pytest.fixture(scope="module")
def analysed(engine):
    """What an analyser of the server makes of a text: words with their places."""
    client = engine.connection().ask
    [name] = client.indices.get(index=f"{engine.name}-*").body

    def analyse(analyser, text):
        found = client.indices.analyze(index=name, analyzer=analyser, text=text or " ").body["tokens"]
        return [(token["position"], token["token"]) for token in found]

    return analyse


def read(text):
    """What `tokens` makes of it, as the two analysers would say it."""
    tokens = tokenize(text)
    stems = [(place, token.stem) for place, token in enumerate(tokens) if not token.stop]
    return stems, [(place, token.exact) for place, token in enumerate(tokens)]


def folded(words):
    """Letters that the server folds beyond `tokens`; queries are translated alike."""
    return [(place, word.translate(str.maketrans({"ð": "d", "þ": "th"}))) for place, word in words]


def assert_read_alike(analysed, text):
    stems, forms = read(text)
    assert analysed("fr", text) == folded(stems), text
    assert analysed("fr_exact", text) == folded(forms), text


@pytest.mark.elasticsearch
@pytest.mark.parametrize("text", SENTENCES)
def test_a_sentence_is_read_alike(analysed, text):
    assert_read_alike(analysed, text)


@pytest.mark.elasticsearch
def test_the_texts_of_the_tests_are_read_alike(analysed):
    rows = [json.loads(line) for line in (DATA / "search_docs.jsonl").read_text().splitlines()]
    for row in rows:
        assert_read_alike(analysed, f"{row['title']}\n{row.get('lead', '')}\n{row['text']}")


@pytest.mark.elasticsearch
def test_all_forms_of_the_list_are_read_alike(analysed):
    words = re.findall(r"[^\s=|:,/#]+", (DATA / "french_forms.txt").read_text())
    for start in range(0, len(words), 500):
        assert_read_alike(analysed, " ; ".join(words[start : start + 500]))


@pytest.mark.elasticsearch
@pytest.mark.corpus
@pytest.mark.timeout(900)
def test_a_month_of_articles_is_read_alike(analysed, corpus):
    """Every word of 2 565 articles, but six in the alphabets that mathematics has for itself."""
    words = {word for row in articles_of_march(corpus) for word in re.findall(r"\S+", row["body"] or "")}
    listed = sorted(word for word in words if not re.search("[\U0001d400-\U0001d7ff]", word))
    different = []
    for start in range(0, len(listed), 2_000):
        text = " ; ".join(listed[start : start + 2_000])
        stems, forms = read(text)
        found = (analysed("fr", text), analysed("fr_exact", text))
        if found != (folded(stems), folded(forms)):
            different += set(found[1]) ^ set(folded(forms)) | set(found[0]) ^ set(folded(stems))

    assert different == []


@pytest.mark.elasticsearch
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=150)
@given(st.lists(LETTERS, max_size=40).map("".join))
def test_odd_texts_are_read_alike(analysed, text):
    assert_read_alike(analysed, text)


@pytest.mark.elasticsearch
@pytest.mark.parametrize("piece", ["l'", "a'", "a.", "1.", "1 234 ", "e\u0301", "\u00ad", "aux", "'"])
def test_a_text_made_to_hurt_is_read(engine, piece):
    """Regular expressions that call themselves would bring the whole server down."""
    assert engine.open().put([document("a", text=piece * 100_000)]) == Verdicts()


def test_the_template_has_the_analysis_that_is_made_for_it():
    """To make it anew: python -m pipeline.search.elasticsearch.analysis."""
    assert TEMPLATE.read_text() == analysis.written(TEMPLATE)
