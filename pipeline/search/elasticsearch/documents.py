"""Documents as Elasticsearch gets them: `docs/fields.md` says what each field is.

Does not send anything, nor know how fields are searched (`queries` does).
"""

from datetime import UTC, datetime
from hashlib import blake2b
from typing import Any, Final

import orjson

from pipeline import query as q
from pipeline.model import Document
from pipeline.reading.dates import paris_day

MAX_ID: Final = 512  # bytes; the engine's own limit


class UnfitError(Exception):
    """A document that can never be indexed; says why."""


def year_of(first_seen: datetime) -> int:
    """The year whose index holds what was first seen then; it is never another one for the same article."""
    return paris_day(first_seen).year


def body(document: Document, *, ingested: datetime) -> bytes:
    """The document in JSON. Raises UnfitError."""
    try:
        if not 0 < len(document.id.encode()) <= MAX_ID:
            raise UnfitError(f"its id must have 1 to {MAX_ID} bytes")
        return orjson.dumps(_without_empty(_source(document, ingested)))
    except (UnicodeEncodeError, OverflowError, TypeError) as error:  # TypeError: orjson's for half characters
        raise UnfitError(f"it holds a text or date that cannot be stored: {error}") from error


def _source(document: Document, ingested: datetime) -> dict[str, Any]:
    published = _moment(document.published)
    first_seen = _moment(document.first_seen)
    return {
        "@timestamp": published or first_seen,
        "event": {"created": first_seen, "ingested": _moment(ingested)},
        "id": document.id,
        "url": document.url,
        "title": document.title,
        "lead": document.lead,
        "text": document.text,
        "publisher": {
            "id": document.publisher,
            "name": document.publisher_name,
            "family": document.family,
            "country": document.country,
        },
        "authors": document.authors,
        "section": document.section,
        "language": document.language,
        "topics": {"id": document.topics, "score": document.topic_scores},
        "published": published,
        "modified": _moment(document.modified),
        "date_suspect": document.date_suspect,
        "copy_of": document.copy_of,
        "copies": document.copies,
        "copied_share": document.copied_share,
        "revision": document.revision,
        "words": document.words,
        "completeness": document.completeness,
        "image": document.image,
        "paywalled": document.paywalled,
        "content_hash": _hash(document),
        "extra": dict(document.extra),
        "lookup": {
            "publisher": _names(document.publisher_name, document.publisher),
            "family": _names(document.family),
            "url": q.addresses(document.url),
        },
    }


def _without_empty(values: dict[str, Any]) -> dict[str, Any]:
    """An empty text is no value: « section:* » asks for articles that have one."""
    kept = {}
    for name, value in values.items():
        found = _without_empty(value) if isinstance(value, dict) else value
        if found is not None and (not hasattr(found, "__len__") or len(found)):
            kept[name] = found
    return kept


def _moment(value: datetime | None) -> str | None:
    return None if value is None else value.astimezone(UTC).isoformat()


def _hash(document: Document) -> str:
    """A name for exactly this title, lead and text."""
    content = f"{document.title}\0{document.lead}\0{document.text}".encode()
    return blake2b(content, digest_size=16).hexdigest()


def _names(*names: str) -> list[str]:
    return list(dict.fromkeys(filter(None, (q.one_name(q.names(name)) for name in names))))
