"""Articles: their keys, their members, what they share with others, their topics, their documents.

Does not compare texts or find topics: it is given what was found. Everything that writes here is called
under `lock`, so the stages that change articles do so one after another, in any order of work.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from pipeline.catalogue import Catalogue
from pipeline.model import Comparison, Document, Hit, Key, Outcome, Tag
from pipeline.store import ARTICLES, LOCK_SPACE, Transaction
from pipeline.store.entries import EntryRow, RevisionRow, dumped, revision_of
from pipeline.store.sql import load

SQL = load("articles")


@dataclass(frozen=True, slots=True)
class Member:
    """An entry of an article, by the head of its latest revision."""

    id: int
    canonical_url: str
    publisher: str
    revision: int
    stage: str
    discovered_at: datetime
    published: datetime | None
    language: str


@dataclass(frozen=True, slots=True)
class Text:
    """The text of an article: the latest revision of the entry that speaks for it."""

    article: int
    indexed: bool  # whether it belongs into the index, which one in another language does not
    revision: RevisionRow


def lock(tx: Transaction) -> None:
    """Wait until nobody else changes articles; held until the transaction ends."""
    tx.execute(SQL["lock"], {"space": LOCK_SPACE, "lock": ARTICLES})


def known_by(tx: Transaction, keys: Collection[Key]) -> list[int]:
    """The articles to which these keys lead, the earliest first."""
    return [row["article_id"] for row in tx.execute(SQL["known_by"], _columns(keys))]


def create(tx: Transaction, keys: Collection[Key], entry: EntryRow) -> int:
    """A new article, with an id of its own, of this entry; the keys, of none so far, lead to it."""
    values = {
        "entry": entry.id,
        "publisher": entry.publisher,
        "url": entry.canonical_url,
        "first_seen": entry.discovered_at,
    }
    row = tx.execute(SQL["create"], values | _columns(keys)).fetchone()
    assert row
    return int(row["id"])


def give_keys(tx: Transaction, article: int, keys: Collection[Key]) -> None:
    """Let these keys lead to the article; those that lead to it already stay."""
    tx.execute(SQL["give_keys"], _columns(keys) | {"article": article})


def merge(tx: Transaction, article: int, *, into: int) -> set[int]:
    """The two are one: the later gives all it has to the earlier and leaves the index.

    Returns the articles that shared text with it and must look for another original.
    """
    values = {"article": article, "into": into}
    tx.execute(SQL["merge_keys"], values)
    tx.execute(SQL["merge_entries"], values)
    tx.execute(SQL["clear_tags"], values)
    others = forget(tx, article)
    tx.execute(SQL["merge"], values)
    tx.execute(SQL["merge_earlier"], values)
    return others - {into}


def forget(tx: Transaction, article: int) -> set[int]:
    """The article is found by nothing and shares text with none; returns those with which it did."""
    tx.execute(SQL["clear_fingerprint"], {"article": article})
    return {row["other"] for row in tx.execute(SQL["clear_copies"], {"article": article})}


def link(tx: Transaction, entry_id: int, article: int) -> None:
    """The entry belongs to the article."""
    tx.execute(SQL["link"], {"entry": entry_id, "article": article})


def members(tx: Transaction, article: int) -> list[Member]:
    """The article's entries in the order in which they may speak for it: complete, early, then by URL."""
    rows = tx.execute(SQL["members"], {"article": article})
    return [Member(**{name: row[name] for name in Member.__slots__}) for row in rows]


def set_content(
    tx: Transaction,
    article: int,
    *,
    speaker: Member,
    url: str,
    indexed: bool,
    first_seen: datetime,
) -> None:
    """The latest revision of `speaker` is the article's text from now on."""
    values = {
        "article": article,
        "entry": speaker.id,
        "publisher": speaker.publisher,
        "url": url,
        "published": speaker.published,
        "indexed": indexed,
        "first_seen": first_seen,
    }
    tx.execute(SQL["set_content"], values)


def settle_outcomes(tx: Transaction, ids: Collection[int]) -> dict[int, Outcome]:
    """Give the finished entries of these articles the outcomes that follow from who speaks; return them."""
    rows = tx.execute(SQL["outcomes"], {"articles": list(ids)})
    return {row["id"]: Outcome(row["outcome"]) for row in rows}


def texts(tx: Transaction, entry_ids: Collection[int]) -> dict[int, Text]:
    """The texts of the articles to which these entries belong, by entry."""
    return {
        row["id"]: Text(row["article_id"], row["indexed"], revision_of(row))
        for row in tx.execute(SQL["texts"], {"entries": list(entry_ids)})
    }


def add_fingerprint(
    tx: Transaction, article: int, *, title: str, shingles: bytes, bands: Sequence[int]
) -> None:
    """The article, new or forgotten, is found by these bands, if any, and compared by the rest."""
    if bands:
        values = {"article": article, "title": title, "shingles": shingles, "bands": list(bands)}
        tx.execute(SQL["add_fingerprint"], values)


def candidates(
    tx: Transaction, article: int, bands: Sequence[int], *, within: timedelta
) -> Iterator[tuple[int, str, bytes]]:
    """The articles that share a band: id, title and shingles.

    Of those published longer than `within` before or after this one, none; without a date, all.
    """
    values = {"article": article, "bands": list(bands), "within": within}
    for row in tx.execute(SQL["candidates"], values, binary=True):
        yield row["article_id"], row["title"], row["shingles"]


def add_copies(tx: Transaction, article: int, found: Mapping[int, Comparison]) -> None:
    """The article, new or forgotten, shares text with these others."""
    if not found:
        return
    values = {
        "article": article,
        "others": list(found),
        "here": [comparison.containment_ab for comparison in found.values()],
        "there": [comparison.containment_ba for comparison in found.values()],
        "jaccard": [comparison.jaccard for comparison in found.values()],
    }
    tx.execute(SQL["add_copies"], values)


def point(tx: Transaction, article: int, orphans: Collection[int]) -> set[int]:
    """Let all point at their originals whose own may be another, now that the article or its edges changed.

    These are the article, those that pointed at it, those that share text with it and are to from now on,
    and the `orphans`. Returns the articles whose documents changed by it.
    """
    followers = {row["id"] for row in tx.execute(SQL["followers"], {"article": article})}
    rows = list(tx.execute(SQL["lead"], {"article": article}))
    rows += tx.execute(SQL["point"], {"articles": list({article} | followers | set(orphans))})
    return {row[name] for row in rows for name in ("id", "now", "before")} - {None}


def touch(tx: Transaction, articles: Collection[int], *, now: datetime) -> None:
    """Raise the versions of these documents and let the index hear of it, in this same transaction."""
    tx.execute(SQL["touch"], {"articles": list(articles), "now": now})


def tags(tx: Transaction, article: int) -> tuple[Tag, ...]:
    """The article's topics, the strongest first."""
    return tuple(
        Tag(
            row["topic"],
            row["version"],
            row["score"],
            row["confidence"],
            tuple(Hit(**hit) for hit in row["hits"]),
        )
        for row in tx.execute(SQL["tags"], {"article": article})
    )


def set_tags(tx: Transaction, found: Mapping[int, Sequence[Tag]]) -> set[int]:
    """These articles carry these topics and no others; returns those whose documents changed by that.

    What explains them is not in the document: it may change alone.
    """
    rows = [
        {
            "article_id": article,
            "topic": tag.topic,
            "version": tag.version,
            "score": tag.score,
            "confidence": tag.confidence,
            "hits": tag.hits,
        }
        for article, tags in found.items()
        for tag in tags
    ]
    before = dict[int, set[tuple[str, float]]]()
    for row in tx.execute(SQL["set_tags"], {"found": dumped(rows), "articles": list(found)}):
        before.setdefault(row["article_id"], set()).add((row["topic"], round(row["score"], 3)))
    return {
        article
        for article, tags in found.items()
        if before.get(article, set()) != {(tag.topic, round(tag.score, 3)) for tag in tags}
    }


def documents(
    tx: Transaction, ids: Collection[int], catalogue: Catalogue
) -> tuple[list[Document], list[tuple[int, int]]]:
    """The documents of these articles at their current versions, and the tombstones (id, version)."""
    living, dead = [], []
    for row in tx.execute(SQL["documents"], {"articles": list(ids)}):
        if row["indexed"]:
            living.append(_document(row, catalogue))
        else:
            dead.append((row["id"], row["version"]))
    return living, dead


def all_ids(tx: Transaction, *, after: int, limit: int) -> list[int]:
    """The next articles that belong into the index, in the order of their ids."""
    return [row["id"] for row in tx.execute(SQL["next_ids"], {"after": after, "limit": limit})]


def count(tx: Transaction) -> int:
    """How many articles belong into the index."""
    row = tx.execute(SQL["count"]).fetchone()
    assert row
    return int(row["n"])


def versions(tx: Transaction) -> Iterator[tuple[str, int]]:
    """Id and version of every document that belongs into the index, some thousands at a time."""
    with tx.cursor(name="versions") as cursor:
        cursor.itersize = 10_000
        for row in cursor.execute(SQL["versions"]):
            yield str(row["id"]), row["version"]


def groups(tx: Transaction, limit: int) -> Iterator[dict[str, Any]]:
    """Originals with their copies, the largest groups first."""
    yield from tx.execute(SQL["groups"], {"limit": limit})


def publishers(tx: Transaction) -> list[str]:
    """Whose articles the index holds."""
    return [row["publisher"] for row in tx.execute(SQL["publishers"])]


def topic_counts(tx: Transaction) -> dict[str, int]:
    """How many articles carry each topic."""
    return {row["topic"]: row["n"] for row in tx.execute(SQL["topic_counts"])}


def _document(row: dict[str, Any], catalogue: Catalogue) -> Document:
    publisher = catalogue.get(row["publisher"])
    same = {name: row[name] for name in _SAME}
    return Document(
        **same,
        id=str(row["id"]),
        publisher_name=publisher.name if publisher else row["publisher"],
        family=publisher.family if publisher else "",
        country=publisher.country if publisher else "",
        authors=tuple(row["authors"]),
        topics=tuple(row["topics"]),
        topic_scores=tuple(row["topic_scores"]),
        copy_of=str(row["copy_of"] or ""),
        words=len(row["text"].split()),
    )


_SAME = (
    "version", "url", "title", "lead", "text", "publisher", "language", "first_seen", "published", "modified",
    "date_suspect", "section", "copies", "copied_share", "revision", "completeness", "image", "paywalled",
)  # fmt: skip


def _columns(keys: Collection[Key]) -> dict[str, list[str]]:
    ordered = sorted(keys, key=lambda key: (key.kind, key.value))
    return {"kinds": [key.kind for key in ordered], "values": [key.value for key in ordered]}
