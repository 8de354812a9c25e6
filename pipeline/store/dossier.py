"""All that is known of one article, for whoever wants to see why it is as it is.

Changes nothing, and does not say how it is shown.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from pipeline import urls
from pipeline.errors import NotFound, Permanent
from pipeline.model import Article, Tag
from pipeline.store import Transaction, articles
from pipeline.store.sql import load

SQL = load("articles")


@dataclass(frozen=True, slots=True)
class Dossier:
    """An article with everything around it. Lists are rows as they stand in the store."""

    id: int
    url: str
    publisher: str
    first_seen: datetime
    version: int
    indexed: bool
    copy_of: int | None
    article: Article
    tags: tuple[Tag, ...]
    revisions: list[dict[str, Any]]
    pages: list[dict[str, Any]]
    copies: list[dict[str, Any]]
    entries: list[dict[str, Any]]
    sightings: list[dict[str, Any]]


def of(tx: Transaction, name: str) -> Dossier:
    """The article with this id, or to which this URL leads. Raises NotFound."""
    article = _find(tx, name)
    row = tx.execute(SQL["get"], {"article": article}).fetchone()
    assert row
    speaker = {"entry": row["entry_id"]}
    text = articles.texts(tx, [row["entry_id"]])[row["entry_id"]]
    entries = list(tx.execute(SQL["entries_of"], {"article": article}))
    return Dossier(
        id=article,
        url=row["url"],
        publisher=row["publisher"],
        first_seen=row["first_seen"],
        version=row["version"],
        indexed=row["indexed"],
        copy_of=row["copy_of"],
        article=text.revision.article,
        tags=articles.tags(tx, article),
        revisions=list(tx.execute(SQL["revisions_of"], speaker)),
        pages=list(tx.execute(SQL["pages_of"], speaker)),
        copies=list(tx.execute(SQL["copies_of"], {"article": article})),
        entries=entries,
        sightings=list(tx.execute(SQL["sightings_of"], {"entries": [entry["id"] for entry in entries]})),
    )


def _find(tx: Transaction, name: str) -> int:
    if name.isdecimal() and len(name) < 19:  # noqa: PLR2004  a bigint
        row = tx.execute(SQL["find"], {"id": int(name)}).fetchone()
        if row:
            return int(row["merged_into"] or row["id"])
    else:
        try:
            canonical = urls.canonical(name)
        except Permanent as error:
            raise NotFound(
                f"{name!r} is neither an article's id nor a URL", hint="veille search …"
            ) from error
        row = tx.execute(SQL["entry_by_url"], {"url": canonical}).fetchone()
        if row and row["article_id"]:
            return int(row["article_id"])
        if row:
            raise NotFound(f"{name} is known, but has not become an article", hint="veille runs show last")
    raise NotFound(f"there is no article {name}", hint="veille search …")
