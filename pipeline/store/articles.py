"""Articles: their keys, their members, what they share with others, their topics, their documents.

Does not compare texts or find topics: it is given what was found. Everything that writes here is called
under `lock`, so the stages that change articles do so one after another, in any order of work.
"""

from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from pipeline.catalogue import Catalogue
from pipeline.model import Comparison, Document, Hit, Key, Outcome, Tag, Tombstone
from pipeline.store import ARTICLES, LOCK_SPACE, Transaction, dumped
from pipeline.store.entries import EntryRow, RevisionRow, revision_of
from pipeline.store.sql import load

SQL = load("articles")


@dataclass(frozen=True, slots=True)
class Member:
    """An entry of an article, by the head of its latest revision."""

    id: int
    publisher: str
    published: datetime | None
    language: str


@dataclass(frozen=True, slots=True)
class Text:
    """The text of an article: the latest revision of the entry that speaks for it."""

    article: int
    indexed: bool  # whether it belongs into the index, which one in another language does not
    revision: RevisionRow


@dataclass(frozen=True, slots=True)
class Fingerprint:
    """What an article is compared by: its title and its packed shingles."""

    title: str
    shingles: bytes


def lock(tx: Transaction) -> None:
    """Wait until nobody else changes articles; held until the transaction ends."""
    tx.execute(SQL["lock"], {"space": LOCK_SPACE, "lock": ARTICLES})


def known_by(tx: Transaction, keys: Collection[Key]) -> dict[Key, int]:
    """The articles to which these keys lead, those that lead to one."""
    columns = {"kinds": [key.kind for key in keys], "values": [key.value for key in keys]}
    return {Key(row["kind"], row["value"]): row["article_id"] for row in tx.execute(SQL["known_by"], columns)}


def create(tx: Transaction, founders: Sequence[EntryRow]) -> list[int]:
    """A new article for each of these entries, with an id of its own; the ids rise in their order."""
    values = {
        "publishers": [entry.publisher for entry in founders],
        "urls": [entry.canonical_url for entry in founders],
        "first_seen": [entry.discovered_at for entry in founders],
    }
    return [row["id"] for row in tx.execute(SQL["create"], values)]


def give_keys(tx: Transaction, keys: Mapping[Key, int]) -> None:
    """Let these keys lead to these articles; those that lead to one already stay."""
    given = sorted(keys.items(), key=lambda item: (item[0].kind, item[0].value))
    values = {
        "kinds": [key.kind for key, _ in given],
        "values": [key.value for key, _ in given],
        "articles": [article for _, article in given],
    }
    tx.execute(SQL["give_keys"], values)


def merge(tx: Transaction, article: int, *, into: int) -> set[int]:
    """The two are one: the later gives all it has to the earlier and leaves the index.

    Returns the articles that shared text with it and must look for another original.
    """
    values = {"article": article, "into": into}
    tx.execute(SQL["merge_keys"], values)
    tx.execute(SQL["merge_entries"], values)
    tx.execute(SQL["clear_tags"], values)
    others = forget(tx, [article])
    tx.execute(SQL["merge"], values)
    tx.execute(SQL["merge_earlier"], values)
    return others - {into}


def forget(tx: Transaction, articles: Collection[int]) -> set[int]:
    """The articles are found by nothing and share text with none; returns those with which they did."""
    tx.execute(SQL["clear_fingerprints"], {"articles": list(articles)})
    rows = tx.execute(SQL["clear_copies"], {"articles": list(articles)})
    return {row[name] for row in rows for name in ("a", "b")} - set(articles)


def link(tx: Transaction, members: Mapping[int, int]) -> None:
    """These entries belong to these articles."""
    tx.execute(SQL["link"], {"entries": list(members), "articles": list(members.values())})


def members(tx: Transaction, articles: Collection[int]) -> dict[int, list[Member]]:
    """The articles' entries in the order in which they may speak for theirs: complete, early, then by URL."""
    found: dict[int, list[Member]] = defaultdict(list)
    for row in tx.execute(SQL["members"], {"articles": list(articles)}):
        found[row["article_id"]].append(Member(**{name: row[name] for name in Member.__slots__}))
    return found


def set_speakers(tx: Transaction, speakers: Mapping[int, Member], *, indexed: Collection[int]) -> None:
    """The latest revisions of these members are their articles' texts from now on.

    Of the articles, the `indexed` belong into the index.
    """
    values = {
        "articles": list(speakers),
        "entries": [speaker.id for speaker in speakers.values()],
        "published": [speaker.published for speaker in speakers.values()],
        "indexed": [article in indexed for article in speakers],
    }
    tx.execute(SQL["set_speakers"], values)


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


def add_fingerprints(
    tx: Transaction, found: Mapping[int, Fingerprint], bands: Mapping[int, Sequence[int]]
) -> None:
    """These articles, new or forgotten, are found by their bands and compared by their fingerprints."""
    values = {
        "articles": list(found),
        "titles": [fingerprint.title for fingerprint in found.values()],
        "shingles": [fingerprint.shingles for fingerprint in found.values()],
        "of": [article for article, hashes in bands.items() for _ in hashes],
        "numbers": [number for hashes in bands.values() for number, _ in enumerate(hashes)],
        "hashes": [value for hashes in bands.values() for value in hashes],
    }
    tx.execute(SQL["add_fingerprints"], values)


def candidates(tx: Transaction, articles: Collection[int], *, within: timedelta) -> list[tuple[int, int]]:
    """Each of these articles with each other one that shares a band with it.

    Not with those published longer than `within` before or after it; without a date, with all.
    """
    rows = tx.execute(SQL["candidates"], {"articles": list(articles), "within": within})
    return [(row["article_id"], row["other"]) for row in rows]


def fingerprints(tx: Transaction, articles: Collection[int]) -> dict[int, Fingerprint]:
    """What these articles are compared by."""
    rows = tx.execute(SQL["fingerprints"], {"articles": list(articles)}, binary=True)
    return {row["article_id"]: Fingerprint(row["title"], row["shingles"]) for row in rows}


def add_copies(tx: Transaction, found: Mapping[tuple[int, int], Comparison]) -> None:
    """The articles of each pair share text, as a and b; none did since one of them was new or forgotten."""
    if not found:
        return
    rows = sorted(
        (a, b, how.containment_ab, how.containment_ba, how.jaccard)
        if a < b
        else (b, a, how.containment_ba, how.containment_ab, how.jaccard)
        for (a, b), how in found.items()
    )
    columns = ("a", "b", "share_a", "share_b", "jaccard")
    tx.execute(SQL["add_copies"], dict(zip(columns, map(list, zip(*rows, strict=True)), strict=True)))


def point(tx: Transaction, articles: Collection[int], orphans: Collection[int]) -> set[int]:
    """Let all point at their originals whose own may be another, as the articles or their edges changed.

    These are the articles, those that pointed at one, those that share text with one and are to from now on,
    and the `orphans`. Returns the articles whose documents changed by it.
    """
    followers = {row["id"] for row in tx.execute(SQL["followers"], {"articles": list(articles)})}
    rows = list(tx.execute(SQL["lead"], {"articles": list(articles)}))
    rows += tx.execute(SQL["point"], {"articles": list(followers | {*articles, *orphans})})
    return {row[name] for row in rows for name in ("id", "now", "before")} - {None}


def touch(tx: Transaction, articles: Collection[int], *, now: datetime) -> None:
    """Raise the versions of these documents and let the index hear of it, in this same transaction."""
    raise_to(tx, dict.fromkeys(articles, 0), now=now)


def raise_to(tx: Transaction, versions: Mapping[int, int], *, now: datetime) -> None:
    """As `touch` does, to these versions at least."""
    values = {"articles": list(versions), "least": list(versions.values()), "now": now}
    tx.execute(SQL["raise_to"], values)


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
) -> tuple[list[Document], list[Tombstone]]:
    """The documents of these articles at their current versions, and tombstones where there is none."""
    living, dead = [], []
    for row in tx.execute(SQL["documents"], {"articles": list(ids)}):
        if row["indexed"]:
            living.append(_document(row, catalogue))
        else:
            dead.append(Tombstone(str(row["id"]), row["version"], row["first_seen"]))
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
        extra=tuple((name, row[name]) for name in _EXTRA if row[name]),
    )


_SAME = (
    "version", "url", "title", "lead", "text", "publisher", "language", "first_seen", "published", "modified",
    "date_suspect", "section", "copies", "copied_share", "revision", "completeness", "image", "paywalled",
)  # fmt: skip
_EXTRA = ("date_source", "completeness_reason", "engine")
