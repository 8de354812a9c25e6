"""The fields of the Tantivy index: documents become rows, queries become queries on those fields.

Texts are analysed by `pipeline.tokens` alone and given to Tantivy as words between blanks; queries are built
as objects from the tree of `pipeline.query`, never by the engine's own parser. Opens nothing.
"""

import json
import re
import zlib
from collections.abc import Iterable, Sequence
from datetime import datetime, time
from functools import singledispatch
from typing import Any, Final
from zoneinfo import ZoneInfo

from tantivy import Document as Row
from tantivy import FieldType, Filter, Index, Occur, Schema, SchemaBuilder, TextAnalyzerBuilder, Tokenizer
from tantivy import Query as T

from pipeline import query as q
from pipeline.model import Document
from pipeline.reading.dates import PARIS, paris_day
from pipeline.search import FACETS, Filters
from pipeline.search.ranking import BOOSTS, NEARBY
from pipeline.tokens import fold, words

VERSION: Final = "1"  # to be raised with every change of the fields below or of what `tokens` yields

MAX_ID: Final = 512  # bytes; as in Elasticsearch, so that a document fits both engines or neither
_PARIS = ZoneInfo(PARIS)

_STOP = "∅"  # stands for a stop word: taken out on indexing, but the words around it keep their positions
_WHOLE = "="  # before the words of a whole name, joined: publisher:"Le Monde" is not Le Monde diplomatique
_UNDATED = -(1 << 62)  # sorts after any date
_TIE_BITS = 24  # of a sort key, below its seconds: equals keep their order when the engine merges its files
_MOST_VALUES = 65_000  # of a facet, the engine's limit; with every value at hand the counts are exact


class UnfitError(Exception):
    """A document that can never be indexed; says why."""


def schema() -> Schema:
    """Texts as stems and as exact forms, codes and addresses whole, dates as seconds, because the engine's
    own end in 1677 and 2262. What is shown is stored apart.
    """
    builder = SchemaBuilder()
    for field in ("id", "stamp", "has", "publisher_id"):
        builder.add_text_field(field, tokenizer_name="raw", index_option="basic")
    for field, kind in q.FIELDS.items():
        if kind in (q.Kind.TEXT, q.Kind.NAME):
            builder.add_text_field(field, tokenizer_name="words")
        elif kind in (q.Kind.CODE, q.Kind.URL):
            builder.add_text_field(field, tokenizer_name="raw", index_option="basic")
        else:
            builder.add_integer_field(field, fast=True)
    for field in BOOSTS:
        builder.add_text_field(f"{field}_exact", tokenizer_name="words")
    for facet in FACETS:
        builder.add_text_field(f"{facet}_facet", tokenizer_name="raw", index_option="basic", fast=True)
    for field in ("version", "newest", "oldest"):
        builder.add_integer_field(field, fast=True)
    return builder.add_bytes_field("shown", stored=True).build()


def register(index: Index) -> None:
    """Teach an opened index the analysis that its schema names."""
    words = TextAnalyzerBuilder(Tokenizer.whitespace()).filter(Filter.custom_stopword([_STOP])).build()
    index.register_tokenizer("words", words)


def row(document: Document) -> Row:
    """The document as the engine gets it. Raises UnfitError."""
    try:
        if not 0 < len(document.id.encode()) <= MAX_ID:
            raise UnfitError(f"its id must have 1 to {MAX_ID} bytes")
        values = {**_texts(document), **_names(document), **_numbers(document), **_facets(document)}
        values["shown"] = _shown(document)
    except (UnicodeEncodeError, OverflowError) as error:
        raise UnfitError(f"it holds a text or date that cannot be stored: {error}") from error
    values["has"] = [field for field in q.FIELDS if values.get(field) not in (None, "", [])]
    return Row(**{field: value for field, value in values.items() if value not in (None, "", [])})


def _texts(document: Document) -> dict[str, Any]:
    values: dict[str, Any] = {}
    for field in BOOSTS:
        said = words(getattr(document, field))
        values[field] = " ".join([_STOP if word.stop else word.stem for word in said])
        values[f"{field}_exact"] = " ".join([word.exact for word in said])
    return values


def _names(document: Document) -> dict[str, Any]:
    return {
        "id": document.id,
        "stamp": f"{document.id}\t{document.version}",
        "publisher": [*_name(document.publisher_name), *_name(document.publisher)],
        "publisher_id": fold(document.publisher),
        "family": _name(document.family),
        "author": [" ".join(q.names(author)) for author in document.authors],
        "section": " ".join(q.names(document.section)),
        "topic": [fold(topic) for topic in document.topics],
        "language": fold(document.language),
        "country": fold(document.country),
        "copy_of": fold(document.copy_of),
        "url": q.addresses(document.url),
    }


def _numbers(document: Document) -> dict[str, Any]:
    tie = zlib.crc32(document.id.encode()) % (1 << _TIE_BITS)
    published = None if document.published is None else _seconds(document.published)
    newest = _UNDATED + tie if published is None else (published << _TIE_BITS) + tie
    return {
        "version": document.version,
        "words": document.words,
        "copies": document.copies,
        "first_seen": _seconds(document.first_seen),
        "modified": None if document.modified is None else _seconds(document.modified),
        "published": published,
        "newest": newest,
        "oldest": newest if published is None else -newest,
    }


def _facets(document: Document) -> dict[str, Any]:
    published = document.published
    return {
        "topic_facet": list(document.topics),
        "publisher_facet": document.publisher,
        "family_facet": document.family,
        "language_facet": document.language,
        "day_facet": "" if published is None else paris_day(published).isoformat(),
    }


def _shown(document: Document) -> bytes:
    published = document.published
    values = {
        "id": document.id,
        "url": document.url,
        "title": document.title,
        "lead": document.lead,
        "text": document.text,
        "publisher": document.publisher,
        "publisher_name": document.publisher_name,
        "published": None if published is None else published.isoformat(),
        "topics": document.topics,
        "copies": document.copies,
        "copy_of": document.copy_of,
    }
    return json.dumps(values, ensure_ascii=False).encode()


def _name(name: str) -> list[str]:
    """The words of a name, and the whole of it as one more word."""
    words = q.names(name)
    return [" ".join(words), _whole(words)] if words else []


def _whole(words: Iterable[str]) -> str:
    return _WHOLE + q.one_name(words)


def _seconds(moment: datetime) -> int:
    return int(moment.timestamp())


@singledispatch
def compiled(node: q.Query, schema: Schema) -> T:  # noqa: ARG001  those registered need it
    """The tree as a query of Tantivy. Only words score."""
    raise TypeError(node)


@compiled.register
def _(node: q.Words, schema: Schema) -> T:
    if node.field in ("publisher", "family"):
        return _institution(node, schema)
    if node.field:
        return _in_field(node, node.field, schema)
    return any_of([T.boost_query(_in_field(node, field, schema), boost) for field, boost in BOOSTS.items()])


@compiled.register
def _(node: q.And, schema: Schema) -> T:
    excluded = [
        (Occur.MustNot, compiled(part.part, schema)) for part in node.parts if isinstance(part, q.Not)
    ]
    wanted = [(Occur.Must, compiled(part, schema)) for part in node.parts if not isinstance(part, q.Not)]
    near = [(Occur.Should, T.boost_query(compiled(pair, schema), NEARBY)) for pair in node.neighbours]
    return T.boolean_query([*(wanted or [(Occur.Must, _plain(T.all_query()))]), *excluded, *near])


@compiled.register
def _(node: q.Or, schema: Schema) -> T:
    return any_of([compiled(part, schema) for part in node.parts])


@compiled.register
def _(node: q.Not, schema: Schema) -> T:
    return compiled(q.And((node,)), schema)


@compiled.register
def _(node: q.Value, schema: Schema) -> T:
    if node.prefix:
        return _plain(T.regex_query(schema, node.field, _beginning(node.value)))
    return _plain(_term(schema, node.field, node.value))


@compiled.register
def _(node: q.Days, schema: Schema) -> T:
    least = None if node.first is None else _seconds(datetime.combine(node.first, time.min, _PARIS))
    most = None if node.last is None else _seconds(datetime.combine(node.last, time.max, _PARIS))
    return _between(schema, node.field, least, most)


@compiled.register
def _(node: q.Numbers, schema: Schema) -> T:
    return _between(schema, node.field, node.least, node.most)


@compiled.register
def _(node: q.Present, schema: Schema) -> T:
    return _plain(_term(schema, "has", node.field))


@compiled.register
def _(_: q.Everything, __: Schema) -> T:
    return _plain(T.all_query())


def narrowed(query: T, filters: Filters, schema: Schema) -> T:
    """What `query` finds and `filters` admit."""
    wanted = {"topic": filters.topics, "publisher_id": filters.publishers, "language": filters.languages}
    parts = [
        _plain(any_of([_term(schema, field, fold(value)) for value in values]))
        for field, values in wanted.items()
        if values
    ]
    if filters.since or filters.until:
        parts.append(compiled(q.Days("published", filters.since, filters.until), schema))
    return T.boolean_query([(Occur.Must, part) for part in (query, *parts)]) if parts else query


def counting(facets: Iterable[str]) -> dict[str, Any]:
    """The aggregations that count the values of the facets."""
    return {
        name: {"terms": {"field": f"{name}_facet", "size": _MOST_VALUES, "segment_size": _MOST_VALUES}}
        for name in facets
    }


def any_of(queries: Sequence[T]) -> T:
    """What at least one of the queries finds."""
    return queries[0] if len(queries) == 1 else T.boolean_query([(Occur.Should, query) for query in queries])


def _institution(words: q.Words, schema: Schema) -> T:
    """A name in quotes is the whole name or id; words without quotes may be part of it."""
    whole = _whole(term.exact for term in words.terms)
    if words.prefix:
        named = T.regex_query(schema, words.field, _beginning(whole))
    else:
        named = _term(schema, words.field, whole)
    return _plain(named if words.quoted else any_of([named, _in_field(words, words.field, schema)]))


def _in_field(words: q.Words, field: str, schema: Schema) -> T:
    """The terms side by side. Not phrase_prefix_query: it stops after 50 words, silently."""
    name = f"{field}_exact" if words.exact and field in BOOSTS else field
    terms = [term.exact if words.exact else term.stem for term in words.terms]
    if len(terms) == 1:
        return (
            T.regex_query(schema, name, _beginning(terms[0]))
            if words.prefix
            else _term(schema, name, terms[0])
        )
    if words.prefix:
        patterns = [*map(re.escape, terms[:-1]), _beginning(terms[-1])]
        return T.regex_phrase_query(schema, name, _placed(words, patterns), words.slop)
    return T.phrase_query(schema, name, _placed(words, terms), words.slop)


def _placed(words: q.Words, terms: Iterable[str]) -> list[str | tuple[int, str]]:
    return [(term.offset, text) for term, text in zip(words.terms, terms, strict=True)]


def _term(schema: Schema, field: str, value: str) -> T:
    return T.term_query(schema, field, value, "freq")


def _beginning(text: str) -> str:
    return re.escape(text) + ".*"


def _plain(query: T) -> T:
    return T.const_score_query(query, 0.0)


def _between(schema: Schema, field: str, least: int | None, most: int | None) -> T:
    return _plain(T.range_query(schema, field, FieldType.Integer, least, most))
