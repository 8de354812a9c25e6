"""The tree of `pipeline.query` as a query of Elasticsearch, and what is asked beside it.

Words come analysed (by `tokens`, as the server's own analysers do) and are looked up as they are. Talks to
no server.
"""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import UTC, datetime, time, timedelta
from functools import singledispatch
from typing import Any, Final, TypeAlias
from zoneinfo import ZoneInfo

from pipeline import query as q
from pipeline.reading.dates import PARIS
from pipeline.search import Filters, Sort
from pipeline.search.elasticsearch.analysis import GAP
from pipeline.search.ranking import BOOSTS, NEARBY
from pipeline.tokens import fold

Clause: TypeAlias = dict[str, Any]

# Where the values of a field of the query language stand.
_PLACES: Final[dict[str, tuple[str, ...]]] = {
    "title": ("title",),
    "lead": ("lead",),
    "text": ("text",),
    "author": ("authors.words",),
    "publisher": ("publisher.name.words", "publisher.id.words"),
    "family": ("publisher.family.words",),
    "section": ("section.words",),
    "topic": ("topics.id.folded",),
    "language": ("language.folded",),
    "country": ("publisher.country.folded",),
    "copy_of": ("copy_of.folded",),
    "url": ("lookup.url",),
    "published": ("published",),
    "modified": ("modified",),
    "first_seen": ("event.created",),
    "words": ("words",),
    "copies": ("copies",),
}
_PRESENT: Final = {"author": "authors", "publisher": "publisher.id", "family": "publisher.family"}
_FACETS: Final = {
    "topic": "topics.id",
    "publisher": "publisher.id",
    "family": "publisher.family",
    "language": "language",
}
_MOST_VALUES: Final = 10_000  # of a facet; with every value at hand the counts are exact
_EXPANSIONS: Final = 100_000  # words that begin like the last of a phrase: all; the engine's default is 50
_PARIS = ZoneInfo(PARIS)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
# Letters that the server folds to plain ones and `tokens` does not.
_PLAIN = str.maketrans({"ð": "d", "þ": "th", "ħ": "h", "ŧ": "t", "ŋ": "n", "ĸ": "q"})


@singledispatch
def compiled(node: q.Query) -> Clause:
    """The tree as a query. Only words score."""
    raise TypeError(node)


@compiled.register
def _(node: q.Words) -> Clause:
    if node.field in ("publisher", "family"):
        return _institution(node)
    if node.field:
        return _in_field(node, node.field)
    return any_of([_in_field(node, field, boost) for field, boost in BOOSTS.items()])


@compiled.register
def _(node: q.And) -> Clause:
    return _all(
        [compiled(part) for part in node.parts if not isinstance(part, q.Not)],
        [compiled(part.part) for part in node.parts if isinstance(part, q.Not)],
        [_together(pair) for pair in node.neighbours],
    )


@compiled.register
def _(node: q.Or) -> Clause:
    return any_of([compiled(part) for part in node.parts])


@compiled.register
def _(node: q.Not) -> Clause:
    return _all([], [compiled(node.part)], [])


@compiled.register
def _(node: q.Value) -> Clause:
    [place] = _PLACES[node.field]
    return _plain(_leaf("prefix" if node.prefix else "term", place, node.value))


@compiled.register
def _(node: q.Days) -> Clause:
    [place] = _PLACES[node.field]
    least = None if node.first is None else _millis(datetime.combine(node.first, time.min, _PARIS))
    most = None if node.last is None else _millis(datetime.combine(node.last, time.max, _PARIS))
    return _between(place, least, most, format="epoch_millis")


@compiled.register
def _(node: q.Numbers) -> Clause:
    [place] = _PLACES[node.field]
    return _between(place, node.least, node.most)


@compiled.register
def _(node: q.Present) -> Clause:
    return _plain({"exists": {"field": _PRESENT.get(node.field, _PLACES[node.field][0])}})


@compiled.register
def _(_: q.Everything) -> Clause:
    return _plain({"match_all": {}})


def narrowed(query: Clause, filters: Filters) -> Clause:
    """What `query` finds and `filters` admit."""
    wanted = {
        "topics.id.folded": filters.topics,
        "publisher.id.folded": filters.publishers,
        "language.folded": filters.languages,
    }
    parts = [
        {"terms": {place: [fold(value) for value in values]}} for place, values in wanted.items() if values
    ]
    if filters.since or filters.until:
        parts.append(compiled(q.Days("published", filters.since, filters.until)))
    return {"bool": {"must": [query], "filter": parts}} if parts else query


def order(sort: Sort, *, by_relevance: bool) -> list[dict[str, Any]]:
    """The order of results, the same on every page."""
    direction = "asc" if sort is Sort.OLDEST else "desc"
    published = {"published": {"order": direction, "missing": "_last"}}
    return [*([{"_score": "desc"}] if by_relevance else []), published, {"id": "asc"}]


def counting(facets: Iterable[str]) -> dict[str, Any]:
    """The aggregations that count the values of the facets."""
    return {
        name: _DAYS
        if name == "day"
        else {"terms": {"field": _FACETS[name], "size": _MOST_VALUES, "shard_size": _MOST_VALUES}}
        for name in facets
    }


_DAYS: Final = {
    "date_histogram": {
        "field": "published",
        "calendar_interval": "day",
        "time_zone": PARIS,
        "format": "yyyy-MM-dd",
        "min_doc_count": 1,
    }
}


def any_of(queries: Sequence[Clause]) -> Clause:
    """What at least one of the queries finds."""
    return queries[0] if len(queries) == 1 else {"bool": {"should": list(queries)}}


def _all(wanted: list[Clause], excluded: list[Clause], better: list[Clause]) -> Clause:
    parts = {"must": wanted or [_plain({"match_all": {}})], "must_not": excluded, "should": better}
    return {"bool": {name: clauses for name, clauses in parts.items() if clauses}}


def _institution(words: q.Words) -> Clause:
    """A name in quotes is the whole name or id; words without quotes may be part of it."""
    name = q.one_name(term.exact for term in words.terms)
    named = _leaf("prefix" if words.prefix else "term", f"lookup.{words.field}", name)
    if words.quoted:
        return _plain(named)
    return _plain(any_of([named, *(_words_at(words, place, 1.0) for place in _PLACES[words.field])]))


def _in_field(words: q.Words, field: str, boost: float = 1.0) -> Clause:
    [place] = _PLACES[field]
    return _words_at(words, f"{place}.exact" if words.exact and field in BOOSTS else place, boost)


def _words_at(words: q.Words, place: str, boost: float) -> Clause:
    """The terms side by side."""
    terms = [_plain_letters(term.exact if words.exact else term.stem) for term in words.terms]
    if len(terms) == 1:
        return _leaf("prefix" if words.prefix else "term", place, terms[0], boost=boost)
    asked = {"query": _placed(words, terms), "analyzer": "terms", "slop": words.slop, "boost": boost}
    if words.prefix:
        return {"match_phrase_prefix": {place: {**asked, "max_expansions": _EXPANSIONS}}}
    return {"match_phrase": {place: asked}}


def _together(pair: q.Words) -> Clause:
    """Two words near each other, in either order, as phrases that stand exactly.

    A phrase with slop would count for less the farther its words are apart; « garanties de la sécurité » is
    as good as « garanties sécurité ».
    """
    first, second = pair.terms
    apart = [
        replace(pair, terms=(first, replace(second, offset=gap + 1)), slop=0) for gap in range(pair.slop + 1)
    ]
    turned = replace(pair, terms=(replace(second, offset=0), replace(first, offset=1)), slop=0)
    fields = {pair.field: 1.0} if pair.field else BOOSTS
    return any_of(
        [
            {"dis_max": {"queries": [_in_field(one, field, NEARBY * boost) for one in (*apart, turned)]}}
            for field, boost in fields.items()
        ]
    )


def _placed(words: q.Words, terms: Sequence[str]) -> str:
    """The terms between blanks, with a mark in every place that is left out."""
    places = [GAP] * (words.terms[-1].offset + 1)
    for term, text in zip(words.terms, terms, strict=True):
        places[term.offset] = text
    return " ".join(places)


def _plain_letters(word: str) -> str:
    return word if word.isascii() else word.translate(_PLAIN)


def _leaf(kind: str, place: str, value: str, *, boost: float = 1.0) -> Clause:
    return {kind: {place: {"value": value, "boost": boost}}}


def _plain(query: Clause) -> Clause:
    return {"constant_score": {"filter": query, "boost": 0.0}}


def _between(place: str, least: int | None, most: int | None, **options: str) -> Clause:
    limits = {name: value for name, value in (("gte", least), ("lte", most)) if value is not None}
    return _plain({"range": {place: {**limits, **options}}})


def _millis(moment: datetime) -> int:
    """Not by `timestamp`, which ends where UTC leaves the years that Python knows; rounded down."""
    return (moment - _EPOCH) // timedelta(milliseconds=1)
