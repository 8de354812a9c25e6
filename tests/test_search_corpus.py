"""Both engines find the same in a month of real articles, and what they show first is nearly the same."""

import json
from datetime import datetime
from email.utils import parsedate_to_datetime
from pathlib import Path
from types import SimpleNamespace

import pytest
from corpora import articles_of_march
from engines import Elasticsearch, Tantivy
from invented import document

from pipeline.search import Index, Sort, Verdicts

pytestmark = [pytest.mark.corpus, pytest.mark.elasticsearch, pytest.mark.slow, pytest.mark.timeout(900)]

DATA = Path(__file__).parent / "data"
QUERIES = (DATA / "parity_queries.txt").read_text().splitlines()
TOP = 10


def article(number: int, row: dict):
    labels = row["page_breadcrumb"] or [row["url_section"] or ""]
    return document(
        str(number),
        url=row["url"],
        title=row["title"],
        lead=row["description"] or "",
        text=row["body"] or "",
        section=labels[0] or "",
        published=parsedate_to_datetime(row["published"]) if row["published"] else None,
    )


@pytest.fixture(scope="module")
def both(corpus, elasticsearch_server, tmp_path_factory):
    """The same articles in both engines."""
    documents = [article(number, row) for number, row in enumerate(articles_of_march(corpus))]
    embedded = Tantivy(tmp_path_factory.mktemp("march"))
    server = Elasticsearch(elasticsearch_server)
    indices = SimpleNamespace(tantivy=embedded.open(), elasticsearch=server.open())
    for index in vars(indices).values():
        index.setup()
        index.finish_rebuild(index.begin_rebuild())
        for start in range(0, len(documents), 500):
            assert index.put(documents[start : start + 500]) == Verdicts()
        index.refresh()
    yield indices
    for index in vars(indices).values():
        index.close()
    server.remove()


def ids(index: Index, query: str, limit: int, **options) -> list[str]:
    return [result.id for result in index.search(query, limit=limit, **options).results]


def test_the_cases_of_the_corpus_are_among_those_of_the_contract(corpus):
    """So they are tried on both engines, with the articles that they are about."""
    for own, given in (("search_cases", "cases"), ("search_docs", "docs")):
        ours = {row["id"]: row for row in map(json.loads, (DATA / f"{own}.jsonl").read_text().splitlines())}
        theirs = map(json.loads, (next(corpus.glob("60-*")) / f"{given}.jsonl").read_text().splitlines())
        for row in theirs:
            row.pop("part", None)
            assert row.items() <= ours[row["id"]].items()


def test_both_find_the_same(both):
    different = {}
    for query in QUERIES:
        one, other = (set(ids(index, query, 3_000)) for index in (both.tantivy, both.elasticsearch))
        assert one, query
        if one != other:
            different[query] = one ^ other
    assert different == {}
    assert len(QUERIES) >= 60


def test_what_both_show_first_is_nearly_the_same(both, record_property):
    """Of ten articles nine at least, on the mean of all queries."""
    overlaps = {}
    for query in QUERIES:
        one, other = (ids(index, query, TOP) for index in (both.tantivy, both.elasticsearch))
        overlaps[query] = len(set(one) & set(other)) / len(one)
    mean = sum(overlaps.values()) / len(overlaps)
    record_property("mean overlap", mean)
    assert mean >= 0.9, sorted(overlaps.items(), key=lambda pair: pair[1])[:10]


@pytest.mark.parametrize("sort", [Sort.NEWEST, Sort.OLDEST])
def test_the_newest_and_the_oldest_are_the_same(both, sort):
    def moments(index) -> list[datetime | None]:
        return [result.published for result in index.search("guerre", sort=sort, limit=100).results]

    assert moments(both.tantivy) == moments(both.elasticsearch)
