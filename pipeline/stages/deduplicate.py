"""The stage DEDUPLICATE: which article an entry is, and what it shares with others.

Does not see pages. One batch holds the lock of all articles and is one transaction; the end state does not
depend on the order of work: keys are only ever added, the entry that speaks for an article is the smallest
of its members, an edge stands between any two articles whose present texts match, and an article copies the
smallest of its direct matches.
"""

import logging
import re
from collections.abc import Sequence

from pipeline import fingerprints, urls
from pipeline.model import Completeness, Key, Stage
from pipeline.runtime import Runtime
from pipeline.store import Transaction, articles, entries
from pipeline.store.entries import EntryRow, RevisionRow

BATCH = 50  # entries a lock: about 1 ms each
TEXT_KEY_WORDS = 100  # shorter texts recur (horoscopes, notices) without being one article
GUID_AT_MOST = 500  # characters

log = logging.getLogger(__name__)


def work(runtime: Runtime, run: str, token: int, rows: Sequence[EntryRow]) -> None:
    """Find these entries' articles and compare them with all others."""
    with runtime.store.transaction("deduplicate") as tx:
        articles.lock(tx)
        held = entries.held(tx, [row.id for row in rows], token=token)
        dirty: set[int] = set()
        for row in rows:
            if row.id in held:
                dirty |= _settle(runtime, tx, row)
        articles.touch(tx, dirty, now=runtime.now())
    log.info("deduplicated", extra={"run": run, "entries": len(held), "documents": len(dirty)})


def _settle(runtime: Runtime, tx: Transaction, row: EntryRow) -> set[int]:
    """Give the entry its article, refresh that one, send the entry on; returns the documents that changed."""
    latest = entries.latest_revision(tx, row.id)
    assert latest is not None
    article, orphans = _identify(runtime, tx, row, latest)
    dirty = {article} | orphans | _refresh(runtime, tx, article, orphans)
    entries.move(tx, row.id, Stage.TAG, due_at=runtime.now())
    return dirty


def _identify(runtime: Runtime, tx: Transaction, row: EntryRow, latest: RevisionRow) -> tuple[int, set[int]]:
    """The article to which the entry's keys lead, made or merged where need be.

    Also returns the articles that have to look for their original again, and those merged away.
    """
    keys = _keys(runtime, tx, row, latest)
    known = set(articles.known_by(tx, keys)) | ({row.article_id} if row.article_id else set())
    if known:
        article = min(known)
    else:
        article = articles.create(
            tx, publisher=row.publisher, url=row.canonical_url, first_seen=row.discovered_at
        )
    orphans: set[int] = set()
    for later in sorted(known - {article}):
        orphans |= articles.merge(tx, later, into=article) | {later}
    articles.give_keys(tx, article, keys)
    articles.link(tx, row.id, article)
    return article, orphans - {article}


def _keys(runtime: Runtime, tx: Transaction, row: EntryRow, latest: RevisionRow) -> set[Key]:
    """All names by which this entry's article may be known elsewhere."""
    publisher = runtime.catalogue.get(row.publisher)
    keys = set(urls.keys(row.url, publisher)) | {Key("url", row.canonical_url)}
    keys |= set(urls.keys(latest.article.url, publisher))
    keys |= {Key("guid", f"{feed}:{guid}") for feed, guid in entries.guids(tx, row.id) if _names_one(guid)}
    article = latest.article
    if article.completeness is Completeness.FULL and len(article.text.split()) >= TEXT_KEY_WORDS:
        digest = fingerprints.digest(article.title, article.text)
        keys.add(Key("text", f"{row.publisher}:{digest}"))
    return keys


def _names_one(guid: str) -> bool:
    """Whether a guid can be the name of one article: broken feeds repeat a word or their own address."""
    return len(guid) <= GUID_AT_MOST and re.search(r"\d{4}", guid) is not None


def _refresh(runtime: Runtime, tx: Transaction, article: int, orphans: set[int]) -> set[int]:
    """Let the right entry speak for the article and compare its text, if that changed."""
    members = articles.members(tx, article)
    speaker = members[0]
    latest = entries.latest_revision(tx, speaker.id)
    assert latest is not None
    publisher = runtime.catalogue.get(speaker.publisher)
    indexed = latest.article.language in ("und", *(publisher.languages if publisher else ("fr",)))
    digest = f"{indexed}:{latest.digest}"
    compare = articles.digest_of(tx, article) != digest
    articles.set_content(
        tx,
        article,
        speaker=speaker,
        url=speaker.canonical_url,
        digest=digest,
        indexed=indexed,
        first_seen=min(member.discovered_at for member in members),
    )
    articles.settle_outcomes(tx, article, speaker=speaker.id)
    changed = _compare(tx, article, latest, indexed=indexed) if compare else articles.matches(tx, article)
    return articles.point(tx, changed | orphans | {article})


def _compare(tx: Transaction, article: int, latest: RevisionRow, *, indexed: bool) -> set[int]:
    """Write the article's bands and its edges to all articles that share text with it."""
    own = fingerprints.shingles(latest.article.text) if indexed else frozenset()
    bands = fingerprints.bands(own) if own else ()
    articles.set_bands(tx, article, bands)
    found = {}
    for other, (title, text) in articles.candidates(tx, article, bands).items():
        same = fingerprints.one_title(latest.article.title, title)
        comparison = fingerprints.verify(own, fingerprints.shingles(text), one_title=same)
        if comparison.relation != "none":
            found[other] = comparison
    return articles.set_copies(tx, article, found)
