"""What every search index promises: one suite for all engines. `ENGINES` lists them."""

import contextlib
import json
import random
import threading
from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Self

import pytest
from engines import ENGINES, opened_engine
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from invented import NOON, PARIS, document

from pipeline import query as q
from pipeline.errors import NotFound
from pipeline.model import Document, Tombstone
from pipeline.newsroom.loading import load
from pipeline.search import FACETS, REBUILD, Filters, Index, Sort, Verdicts, rebuild
from pipeline.tokens import fold, tokenize

DATA = Path(__file__).parent / "data"
CASES = [json.loads(line) for line in (DATA / "search_cases.jsonl").read_text().splitlines()]


@pytest.fixture(params=ENGINES)
def engine(request, tmp_path):
    """An engine without an index."""
    with opened_engine(request, tmp_path / "index") as engine:
        yield engine


@pytest.fixture
def index(engine):
    """An empty index."""
    opened = engine.open()
    opened.setup()
    opened.finish_rebuild(opened.begin_rebuild())
    yield opened
    opened.close()


@pytest.fixture(scope="module", params=ENGINES)
def library(request, tmp_path_factory):
    """An index of the articles that the query cases are about; not to be written to."""
    with opened_engine(request, tmp_path_factory.mktemp("library") / "index") as engine:
        opened = engine.open()
        opened.setup()
        opened.finish_rebuild(opened.begin_rebuild())
        rows = (json.loads(line) for line in (DATA / "search_docs.jsonl").read_text().splitlines())
        assert opened.put(map(article, rows)) == Verdicts()
        opened.refresh()
        yield opened
        opened.close()


def article(row: dict) -> Document:
    return document(
        row["id"],
        url=row["url"],
        title=row["title"],
        lead=row.get("lead", ""),
        text=row["text"],
        publisher=fold(row["publisher"]).replace(" ", "-"),
        publisher_name=row["publisher"],
        authors=(row["author"],),
        published=row["published"] and datetime.fromisoformat(row["published"]),
        topics=tuple(row.get("topics", ())),
        section=row.get("section", ""),
    )


def gone(*ids: str, version: int = 1) -> list[Tombstone]:
    return [Tombstone(id_, version, NOON) for id_ in ids]


def put(index: Index, documents: Iterable[Document]) -> None:
    """All of these are there for everybody."""
    assert index.put(documents) == Verdicts()
    index.refresh()


def found(index: Index, query: str = "", **options: object) -> list[str]:
    index.refresh()
    return [result.id for result in index.search(query, **{"limit": 1000, **options}).results]


# Queries


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case['id']}-{case['kind']}")
def test_a_query_case(library, case):
    try:
        ids = set(found(library, case["query"] * case.get("repeat", 1)))
    except q.QueryError:
        assert case.get("error_ok")
        return
    assert ids >= set(case["must"])
    assert not ids & set(case["must_not"])
    if case.get("exact"):
        assert ids == set(case["must"])


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
        "~3",
        "*",
        "[",
        "]",
        "TO",
        ":",
        "'",
        "’",
        ">=",
        "<",
    ),
    *(
        "title:",
        "published:",
        "topic:",
        "url:",
        "author:",
        "publisher:",
        "copies:",
        "Ukraine",
        "paix",
        "le",
        "l'été",
    ),
    *(
        "2025",
        "2025-07",
        "12 500",
        "é",
        "😀",
        "https://",
        " ",
        "\t",
        "\x00",
        "\ud800",
        "a",
        "b*",
        "9999",
        "0001",
    ),
    *("\\", "|", "^", "$", ".", "?", "#", "&"),
]


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(st.lists(st.sampled_from([*PIECES, " "]), max_size=30).map("".join) | st.text(max_size=100))
def test_any_text_gives_an_answer_or_a_query_error(library, text):
    with contextlib.suppress(q.QueryError):
        answer = library.search(text, facets=FACETS, limit=3)
        assert answer.total >= len(answer.results)


@pytest.mark.parametrize("text", ["url:" + "a" * 200 + "*", "topic:" + "é" * 5_000, "ﷺ" * 11 + "*"])
def test_a_long_value_finds_nothing_and_breaks_nothing(library, text):
    assert found(library, text) == []


def test_a_query_with_the_most_parts_is_answered(library):
    assert found(library, " OR ".join(f'"mot{i} suite{i}"' for i in range(500))) == []
    assert "d057" in found(library, " OR ".join(["Ukraine", *(f"mot{i}" for i in range(1000))]))


@pytest.mark.parametrize(
    "pattern", ["(gaz OR -(paix {} ))", "(gaz -({} vin))", "(Ukraine OR (paix {}))", "({})"]
)
def test_a_query_may_be_as_deep_as_the_language_allows(library, pattern):
    """Whatever is inside each other: alternatives, exclusions, words of one field."""
    levels = q.MAX_DEPTH // pattern.count("(")
    text = "Ukraine"
    for _ in range(levels):
        text = pattern.format(text)

    for filters in (Filters(), Filters(languages=("fr",), since=date(2022, 1, 1))):
        library.search(f'{text} publisher:"Le Courrier"', filters=filters)


def test_a_query_may_be_as_long_as_the_language_allows(library):
    """A page of text that somebody pastes: each word in three fields, and neighbours."""
    words = [f"mot{i}" for i in range(q.MAX_PARTS)]
    assert library.search(" ".join(words)).total == 0
    assert library.search(" OR ".join([*words[1:], "Ukraine"])).total > 0


def test_a_prefix_finds_every_word_that_begins_so(index):
    """Engines like to stop after 50 words."""
    put(index, (document(str(i), text=f"le canton vaud{i:03}") for i in range(300)))

    assert index.search("vaud*").total == 300
    assert index.search('"canton vau*"').total == 300
    assert index.search("canton-vau*").total == 300


WORDS = ["Gaz", "paix", "été", "le", "L'accord", "porte-avions", "signé", "Œuvre", "d'", "49.3"]
sentences = st.lists(st.sampled_from(WORDS), max_size=8).map(" ".join)
phrases = st.lists(st.sampled_from(WORDS), min_size=1, max_size=3).map(lambda words: f'"{" ".join(words)}"')
leaves = (
    st.sampled_from(WORDS)
    | phrases
    | st.sampled_from(["pai*", "sig*", "title:paix", "lead:gaz", "text:(été)"])
)
queries = st.recursive(
    leaves,
    lambda inner: st.one_of(
        st.tuples(inner, inner).map(lambda pair: f"({pair[0]} {pair[1]})"),
        st.tuples(inner, inner).map(lambda pair: f"({pair[0]} OR {pair[1]})"),
        inner.map(lambda part: f"NOT {part}"),
    ),
    max_leaves=5,
)


@dataclass(frozen=True)
class Oracle:
    """Decides by looking at every word whether an article matches: slow, and obviously right."""

    article: Document

    def matches(self, tree: q.Query) -> bool:
        match tree:
            case q.And(parts):
                return all(self.matches(part) for part in parts)
            case q.Or(parts):
                return any(self.matches(part) for part in parts)
            case q.Not(part):
                return not self.matches(part)
        return any(
            self._stands_in(tree, field)
            for field in ([tree.field] if tree.field else ["title", "lead", "text"])
        )

    def _stands_in(self, words: q.Words, field: str) -> bool:
        tokens = tokenize(getattr(self.article, field))
        return any(
            all(
                start + term.offset < len(tokens)
                and self._same(words, term, tokens[start + term.offset], last=term is words.terms[-1])
                for term in words.terms
            )
            for start in range(len(tokens))
        )

    @staticmethod
    def _same(words, term, token, *, last) -> bool:
        if words.prefix and last:
            return token.exact.startswith(term.exact)
        return token.exact == term.exact if words.exact else token.stem == term.stem and not token.stop


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=15)
@given(
    st.lists(st.tuples(sentences, sentences, sentences), max_size=6),
    st.lists(queries, min_size=5, max_size=10),
)
def test_a_query_finds_what_looking_at_every_word_finds(index, texts, asked):
    index.delete(gone(*index.versions()))
    articles = [document(str(i), title=t, lead=le, text=te) for i, (t, le, te) in enumerate(texts)]
    put(index, articles)

    for text in asked:
        with contextlib.suppress(q.QueryError):  # « d' » alone
            tree = q.parse(text)
            assert sorted(found(index, text)) == [a.id for a in articles if Oracle(a).matches(tree)], text


# Results


def test_a_result_carries_what_was_put_in(index):
    whole = document(
        "a",
        url="https://presse.test/é?a=1",
        title="Le titre",
        lead="Le chapô",
        text="Le texte.",
        topics=("climat", "énergie"),
        copies=3,
        copy_of="b",
        published=datetime(2024, 5, 1, 23, 30, tzinfo=UTC),
    )
    put(index, [whole])

    answer = index.search("texte")

    (result,) = answer.results
    for field in ("id", "url", "title", "lead", "publisher", "publisher_name", "published", "topics"):
        assert getattr(result, field) == getattr(whole, field)
    assert (result.copies, result.copy_of) == (3, "b")
    assert answer.total == 1
    assert answer.took > 0
    assert result.score > 0


def test_matches_are_marked_and_the_pieces_make_the_title(index):
    put(
        index,
        [document("a", title="L’été des élections", text="Rien. L'élection aura lieu en été.\nPuis rien.")],
    )

    (result,) = index.search("élection été").results

    assert [piece.text for piece in result.title_marked if piece.match] == ["été", "élections"]
    assert "".join(piece.text for piece in result.title_marked) == result.title
    (fragment,) = result.highlights
    assert [piece.text for piece in fragment if piece.match] == ["élection", "été"]


def test_a_match_in_the_title_comes_before_one_in_the_lead_before_one_in_the_text(index):
    filler = "Un mot suit un autre mot sans fin."
    put(
        index,
        [
            document("text", title="Vendanges tardives", lead=filler, text=f"Ukraine. {filler}"),
            document("title", title="Ukraine : vendanges", lead=filler, text=filler),
            document("lead", title="Vendanges tardives", lead=f"Ukraine. {filler}", text=filler),
        ],
    )

    assert found(index, "Ukraine") == ["title", "lead", "text"]


FILLER = "Un mot suit un autre mot sans fin."


@pytest.mark.parametrize("query", ["garantie sécurité", "garanties de sécurité", "text:(garantie sécurité)"])
@pytest.mark.parametrize(
    "together",
    ["garanties sécurité", "garanties de sécurité", "garantie de la sécurité", "garanties : la sécurité"],
)
def test_words_that_stand_together_come_before_scattered_ones(index, query, together):
    """Even before more of them; with up to two other words between, and without a change of what is found."""
    scattered = (
        f"La sécurité d'abord. {FILLER} Une garantie. {FILLER} La sécurité ensuite. {FILLER} Garantie."
    )
    put(
        index,
        [
            document("scattered", title="Vendanges", text=scattered),
            document(
                "together", title="Vendanges", text=f"{FILLER} On parle de {together}. {FILLER} {FILLER}"
            ),
            document("one", title="Vendanges", text=f"Sécurité. {FILLER}"),
            *(document(str(i), title="Vendanges", text=FILLER) for i in range(9)),
        ],
    )

    answer = index.search(query, facets=("publisher",))

    assert [result.id for result in answer.results] == ["together", "scattered"]
    assert answer.total == 2
    assert answer.facets[0].counts == (("presse", 2),)


def test_words_of_different_fields_or_excluded_ones_do_not_stand_together(index):
    """Their places in one text say nothing, and a word in quotes or with a star asks for what it says."""
    put(
        index,
        [
            document("apart", title="Gaz", text=f"Paix. {FILLER} Gaz."),
            document("together", title="Gaz", text=f"Gaz paix. {FILLER}"),
        ],
    )

    for query in ("title:gaz text:paix", "gaz -vin paix", '"gaz" paix', "gaz pai*"):
        first, second = index.search(query).results
        assert first.score == second.score, query


@pytest.mark.parametrize(
    "query", ["garanties de sécurité", "garantie de sécurité pour l'Ukraine", "garanties sécurité"]
)
def test_the_newsroom_on_security_guarantees_comes_before_social_security(index, query):
    """An article on the budget of social security has all the words, some of them in its title."""
    put(
        index,
        (
            document(
                f"{story.publisher}-{story.slug}",
                title=story.title,
                lead=story.lead,
                text="\n".join(story.paragraphs),
            )
            for publisher in load()
            for story in publisher.stories
        ),
    )

    ids = found(index, query)

    [social] = [i for i, id_ in enumerate(ids) if "securite-sociale" in id_]
    guarantees = [i for i, id_ in enumerate(ids) if "garanties-de-securite" in id_ or "casse-tete" in id_]
    assert len(guarantees) >= 3
    assert max(guarantees) < social


def test_without_words_to_be_relevant_to_the_newest_come_first(index):
    put(index, (document(str(i), title="gaz", published=NOON + timedelta(hours=i)) for i in range(5)))

    for text in ("", "*", "-paix", "published:2024", "publisher:presse"):
        answer = index.search(text)
        assert [result.id for result in answer.results] == ["4", "3", "2", "1", "0"]
        assert {result.score for result in answer.results} == {0.0}


def some_articles(count: int) -> list[Document]:
    chance = random.Random(7)
    return [
        document(
            f"id-{i:03}",
            title=chance.choice(["gaz", "paix", "gaz et paix"]),
            publisher=(publisher := chance.choice(["libre-voix", "le-phare", "l-echo"])),
            family=chance.choice(["", "Groupe Ouest"]) if publisher == "l-echo" else "Indépendants",
            language=chance.choice(["fr", "fr", "fr", "br"]),
            topics=tuple(chance.sample(["climat", "énergie", "ukraine"], chance.randrange(3))),
            published=None
            if chance.random() < 0.1
            else datetime(2024, 3, 29, tzinfo=UTC) + timedelta(minutes=30 * chance.randrange(200)),
        )
        for i in range(count)
    ]


def day(published: datetime | None) -> date | None:
    return published and published.astimezone(PARIS).date()


@pytest.mark.parametrize(
    ("filters", "admits"),
    [
        (Filters(), lambda _: True),
        (Filters(topics=("climat",)), lambda a: "climat" in a.topics),
        (Filters(topics=("CLIMAT", "energie")), lambda a: {"climat", "énergie"} & {*a.topics}),
        (Filters(publishers=("le-phare", "l-echo")), lambda a: a.publisher != "libre-voix"),
        (Filters(publishers=("phare",)), lambda _: False),
        (Filters(languages=("br",)), lambda a: a.language == "br"),
        (Filters(since=date(2024, 3, 31)), lambda a: a.published and day(a.published) >= date(2024, 3, 31)),
        (Filters(until=date(2024, 3, 30)), lambda a: a.published and day(a.published) <= date(2024, 3, 30)),
        (
            Filters(since=date(2024, 3, 31), until=date(2024, 3, 31), topics=("ukraine",), languages=("fr",)),
            lambda a: day(a.published) == date(2024, 3, 31) and "ukraine" in a.topics and a.language == "fr",
        ),
        (Filters(since=date.min, until=date.max), lambda a: a.published),
        (Filters(until=date.max), lambda a: a.published),
    ],
)
def test_filters_admit_exactly_what_they_say_and_facets_count_it(index, filters, admits):
    """Days are those of Paris, on the night of the change to summer time too."""
    articles = some_articles(200)
    put(index, articles)
    for text, asked in (("", lambda _: True), ("gaz", lambda a: "gaz" in a.title)):
        expected = [a for a in articles if admits(a) and asked(a)]

        answer = index.search(text, filters=filters, facets=FACETS, limit=1000)

        assert sorted(result.id for result in answer.results) == sorted(a.id for a in expected)
        assert answer.total == len(expected)
        values = {
            "topic": [topic for a in expected for topic in a.topics],
            "publisher": [a.publisher for a in expected],
            "family": [a.family for a in expected if a.family],
            "day": [day(a.published).isoformat() for a in expected if a.published],
            "language": [a.language for a in expected],
        }
        assert [facet.name for facet in answer.facets] == list(FACETS)
        for facet in answer.facets:
            counts = {value: values[facet.name].count(value) for value in values[facet.name]}
            order = (lambda c: c[0]) if facet.name == "day" else (lambda c: (-c[1], c[0]))
            assert list(facet.counts) == sorted(counts.items(), key=order)


@pytest.mark.parametrize("days", ["[* TO 9999-12-31]", "[0001-01-01 TO *]", "[0001 TO 9999]", "<9999", "*"])
def test_the_ends_of_time_are_days_too(library, days):
    assert len(found(library, f"published:{days}")) == library.count() - 1  # one is undated


def test_only_the_facets_asked_for_are_counted(index):
    assert index.search("").facets == ()
    assert [facet.name for facet in index.search("", facets=("day", "topic")).facets] == ["day", "topic"]


@pytest.mark.parametrize("sort", Sort)
@pytest.mark.parametrize("text", ["", "gaz"])
def test_pages_are_parts_of_one_order_and_undated_articles_come_last(index, sort, text):
    articles = some_articles(100)
    for start in range(0, 100, 35):  # several commits: several files in the engine
        put(index, articles[start : start + 35])
    everything = index.search(text, sort=sort, limit=1000)

    pages = [index.search(text, sort=sort, offset=at, limit=7) for at in range(0, 105, 7)]

    ids = [result.id for result in everything.results]
    assert [result.id for page in pages for result in page.results] == ids
    assert {page.total for page in pages} == {everything.total} == {len(ids)} == {len(set(ids))}
    if sort is not Sort.RELEVANCE:
        published = [result.published for result in everything.results]
        dated = [moment for moment in published if moment]
        assert published == sorted(dated, reverse=sort is Sort.NEWEST) + [None] * (len(ids) - len(dated))
    assert index.search(text, sort=sort, offset=500).results == ()
    assert replace(index.search(text, sort=sort, limit=0), took=0) == replace(everything, results=(), took=0)


@pytest.mark.slow
def test_pages_reach_beyond_ten_thousand(index):
    """In every order, with the undated at the end; the last page ends where the articles do."""
    start = datetime(2024, 1, 1, tzinfo=UTC)
    moments = [None if i % 170 == 0 else start + timedelta(minutes=i) for i in range(10_050)]
    put(index, (document(str(i), title="gaz", published=at) for i, at in enumerate(moments)))
    dated = [str(i) for i, at in enumerate(moments) if at]
    undated = {str(i) for i, at in enumerate(moments) if not at}
    assert len(undated) == 60

    for sort in Sort:
        whole = [result.id for result in index.search("gaz", sort=sort, limit=11_000).results]
        assert len(whole) == len(set(whole)) == 10_050
        if sort is not Sort.RELEVANCE:  # by which all are equal
            assert whole[:-60] == (dated if sort is Sort.OLDEST else dated[::-1])
            assert set(whole[-60:]) == undated
        for offset in (9_980, 10_040, 10_050):
            page = index.search("gaz", sort=sort, facets=("language",), offset=offset, limit=100)
            assert page.total == 10_050
            assert page.facets[0].counts == (("fr", 10_050),)
            assert [result.id for result in page.results] == whole[offset : offset + 100]


# Writing


def test_a_document_replaces_the_one_of_its_id(index):
    index.put([document("a", title="gaz"), document("b", title="gaz")])
    index.put([document("a", version=2, title="paix")])

    assert found(index, "gaz") == ["b"]
    assert found(index, "paix") == ["a"]
    assert index.versions() == {"a": 2, "b": 1}
    assert index.count() == 2


def test_an_older_version_never_replaces_a_newer_one(index):
    index.put([document("a", version=3, title="trois")])
    index.put([document("a", version=2, title="deux"), document("b", version=1, title="un")])
    index.put([document("c", version=2, title="deux"), document("c", version=1, title="un")])

    assert index.versions() == {"a": 3, "b": 1, "c": 2}
    assert found(index, "trois") == ["a"]
    assert found(index, "deux") == ["c"]


def test_of_equal_versions_the_last_stays(index):
    index.put([document("a", title="un"), document("a", title="deux")])
    assert found(index, "deux") == ["a"]
    index.put([document("a", title="trois")])
    assert found(index, "trois") == ["a"]
    assert index.count() == 1


def test_replaying_everything_in_any_order_ends_in_the_same_index(index):
    log = [document(str(i % 10), version=i, title=f"mot{i}") for i in range(60)]
    random.Random(3).shuffle(log)
    for start in range(0, 60, 13):
        index.put(log[start : start + 13])

    assert index.versions() == {str(i % 10): i for i in range(50, 60)}
    assert all(found(index, f"mot{i}") == [str(i % 10)] for i in range(50, 60))


def test_deleted_documents_are_gone_and_unknown_ones_no_error(index):
    index.put(document(i, title="gaz") for i in "abc")
    index.delete(gone("a", "c", "unknown"))

    assert found(index, "gaz") == ["b"]
    assert index.versions() == {"b": 1}
    index.put([document("a", title="gaz")])
    assert sorted(found(index, "gaz")) == ["a", "b"]


def test_empty_calls_do_nothing(index):
    assert index.put([]) == index.delete([]) == Verdicts()
    assert index.count() == 0
    assert index.versions() == {}
    assert index.search("gaz", facets=FACETS).total == 0


def test_a_document_that_can_never_be_indexed_is_refused_alone(index):
    verdicts = index.put(
        [
            document("good", title="gaz"),
            document("long" * 200, title="gaz"),
            document("é" * 257, title="gaz"),
            document("é" * 256, title="paix"),
            document("", title="gaz"),
            document("bad", title="gaz \ud800"),
            document("huge", title="gaz", text="é" * 70_000 + " " + "mot " * 100_000),
            document("control", title="gaz \x00\x1b"),
        ]
    )

    assert verdicts.later == ()
    refused = verdicts.refused
    assert {refusal.id for refusal in refused} == {"long" * 200, "é" * 257, "", "bad"}
    assert all(refusal.reason for refusal in refused)
    assert sorted(found(index, "gaz")) == ["control", "good", "huge"]


def test_another_handle_sees_a_write_once_it_is_refreshed(engine, index):
    with contextlib.closing(engine.open()) as reader:
        for i in range(5):
            index.put([document(str(i), title="gaz")])
            index.refresh()
            assert reader.count() == i + 1
            assert reader.search("gaz").total == i + 1


# Rebuilding


@pytest.mark.parametrize(
    "use",
    [
        lambda index: index.search("gaz"),
        lambda index: index.count(),
        lambda index: index.versions(),
        lambda index: index.put([document("a")]),
        lambda index: index.delete(gone("a")),
    ],
)
def test_where_there_is_no_index_every_use_names_the_command_that_makes_one(engine, use):
    with contextlib.closing(engine.open()) as index, pytest.raises(NotFound) as missing:
        use(index)
    assert missing.value.hint == REBUILD


def test_a_rebuild_is_seen_whole_when_it_is_finished(engine, index):
    index.put([document("old", title="gaz")])
    with contextlib.closing(engine.open()) as reader:
        generation = index.begin_rebuild()
        index.put([document("new", title="gaz")], generation=generation)
        assert found(reader, "gaz") == found(index, "gaz") == ["old"]

        index.finish_rebuild(generation)

        assert found(reader, "gaz") == found(index, "gaz") == ["new"]
        assert reader.versions() == {"new": 1}


def test_finishing_again_is_harmless(engine, index):
    """The answer to the first time may have been lost; what others have begun since goes on."""
    generation = index.begin_rebuild()
    index.put([document("a", title="gaz")], generation=generation)
    assert index.rebuilding() == generation
    index.finish_rebuild(generation)
    assert index.rebuilding() == ""
    index.finish_rebuild(generation)
    assert found(index, "gaz") == ["a"]

    other = index.begin_rebuild()
    index.finish_rebuild(generation)
    assert index.rebuilding() == other
    index.put([document("b", title="gaz")], generation=other)
    index.finish_rebuild(other)
    assert found(index, "gaz") == ["b"]
    with pytest.raises(NotFound, match="is over"):
        index.finish_rebuild(generation)


def test_during_a_rebuild_writes_go_into_both(engine, index):
    index.put([document("a", title="gaz"), document("b", title="gaz"), document("lost", title="gaz")])
    generation = index.begin_rebuild()
    with contextlib.closing(engine.open()) as writer:
        writer.put([document("a", version=2, title="paix"), document("c", title="gaz")])
        writer.delete(gone("b"))
    assert sorted(found(index, "gaz")) == ["c", "lost"]

    index.put(
        [document("a", version=1, title="gaz")], generation=generation
    )  # read before the change, written after
    index.finish_rebuild(generation)

    assert index.versions() == {"a": 2, "c": 1}


def test_an_abandoned_rebuild_leaves_the_index_as_it_is(index):
    index.put([document("a", title="gaz")])
    generation = index.begin_rebuild()
    index.put([document("b", title="gaz")], generation=generation)
    index.abandon_rebuild(generation)
    index.abandon_rebuild(generation)

    assert found(index, "gaz") == ["a"]
    for use in (
        lambda: index.finish_rebuild(generation),
        lambda: index.put([document("b")], generation=generation),
    ):
        with pytest.raises(NotFound, match="is over"):
            use()
    index.put([document("c", title="gaz")])
    assert sorted(found(index, "gaz")) == ["a", "c"]


def test_a_second_rebuild_ends_the_first(engine, index):
    first = index.begin_rebuild()
    with contextlib.closing(engine.open()) as other:
        second = other.begin_rebuild()
        with pytest.raises(NotFound, match="is over"):
            index.put([document("a")], generation=first)
        with pytest.raises(NotFound, match="is over"):
            index.finish_rebuild(first)
        index.abandon_rebuild(first)
        other.put([document("b", title="gaz")], generation=second)
        other.finish_rebuild(second)
    assert found(index, "gaz") == ["b"]


def test_rebuild_reads_each_batch_under_the_lock_and_swaps_in_the_end(index):
    index.put([document("old", title="gaz")])
    lock = threading.Lock()
    batches_read = []

    def batches():
        for i in range(3):
            assert lock.locked()
            batches_read.append(i)
            yield [document(f"new-{i}", title="gaz"), document("bad-\ud800")]

    refused = rebuild(index, batches(), alone=lambda: lock, writing=lambda: lock)

    assert batches_read == [0, 1, 2]
    assert not lock.locked()
    assert sorted(found(index, "gaz")) == ["new-0", "new-1", "new-2"]
    assert len(refused) == 3


def test_a_rebuild_that_fails_is_abandoned(index):
    index.put([document("old", title="gaz")])

    def batches():
        yield [document("new", title="gaz")]
        raise OSError("the store is away")

    with pytest.raises(OSError, match="the store is away"):
        rebuild(index, batches(), alone=contextlib.nullcontext, writing=contextlib.nullcontext)

    assert found(index, "gaz") == ["old"]
    index.put([document("other", title="gaz")])
    assert sorted(index.versions()) == ["old", "other"]


class Traffic:
    """Two readers and a writer at work on an index, each with a handle of its own, until the block ends."""

    def __init__(self, engine, store: dict[str, Document]) -> None:
        self.engine, self.store = engine, store
        self.lock, self.done = threading.Lock(), threading.Event()
        self.failures: list[object] = []
        self.threads = [
            threading.Thread(target=self._guarded, args=(work,))
            for work in (self._read, self._read, self._write)
        ]

    def __enter__(self) -> Self:
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.done.set()
        for thread in self.threads:
            thread.join()

    def _guarded(self, work) -> None:
        with contextlib.closing(self.engine.open()) as handle:
            try:
                while not self.done.is_set():
                    work(handle)
            except BaseException as error:  # noqa: BLE001  looked at by the test
                self.failures.append(error)

    def _read(self, handle: Index) -> None:
        least = len(self.store)  # those whose `put` has returned
        answer = handle.search("gaz", facets=("publisher",), limit=3)
        if answer.total < least or len(answer.results) < 3:
            self.failures.append((answer.total, least))

    def _write(self, handle: Index) -> None:
        """Adds an article and changes another."""
        with self.lock:
            number = len(self.store)
            changed = [
                document(str(number), title="gaz"),
                document(str(number // 2), version=number, title="gaz"),
            ]
            handle.put(changed)
            handle.refresh()
            self.store.update((article.id, article) for article in changed)

    def batches(self, size: int):
        """All articles there are when the first batch is asked for, each as it is when it is read."""
        ids = [*self.store]
        for start in range(0, len(ids), size):
            yield [self.store[id_] for id_ in ids[start : start + size]]


@pytest.mark.slow
def test_no_reader_ever_sees_an_empty_or_half_index_while_it_is_rebuilt_and_written(engine, index):
    store = {str(i): document(str(i), title="gaz") for i in range(100)}
    put(index, store.values())

    with Traffic(engine, store) as traffic, contextlib.closing(engine.open()) as builder:
        for _ in range(4):
            rebuild(builder, traffic.batches(25), alone=lambda: traffic.lock, writing=lambda: traffic.lock)

    assert traffic.failures == []
    assert len(store) > 100
    assert index.versions() == {id_: document.version for id_, document in store.items()}
