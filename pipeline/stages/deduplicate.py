"""The stage DEDUPLICATE: which article an entry is, and what it shares with others.

Does not see pages. One batch holds the lock of all articles and is one transaction; the end state does not
depend on the order of work: keys are only ever added, the entry that speaks for an article is the smallest
of its members in a language that is kept, an edge stands between any two articles whose present texts match,
and an article copies the smallest of its direct matches.
"""

import contextlib
import logging
import re
from collections.abc import Collection, Sequence
from datetime import UTC, timedelta

from pipeline import fingerprints, urls
from pipeline.errors import Unparsable
from pipeline.model import Key, Stage
from pipeline.naming import may_name
from pipeline.runtime import Runtime
from pipeline.store import Transaction, articles, entries
from pipeline.store.entries import EntryRow, Move, RevisionRow

BATCH = 50  # entries a lock: about 1 ms each; the 400th of a series with one text, two to three times that
TEXT_KEY_CHARACTERS = 600  # shorter texts recur (horoscopes, notices) without being one article
GUID_AT_MOST = 500  # characters
FEED_ADDRESS = re.compile(r"\.(?:xml|rss|rdf|atom)(?:[?#].*)?$", re.IGNORECASE)
WITHIN = timedelta(days=30)  # what copies was published so near: weather and horoscopes recur for years

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
        entries.move(tx, [Move(id_, Stage.TAG, due_at=runtime.now()) for id_ in sorted(held)])
        articles.touch(tx, dirty, now=runtime.now())
    log.info("deduplicated", extra={"run": run, "entries": len(held), "documents": len(dirty)})


def _settle(runtime: Runtime, tx: Transaction, row: EntryRow) -> set[int]:
    """Give the entry its article and refresh that one; returns the documents that changed."""
    keys = _keys(runtime, tx, row)
    known = articles.known_by(tx, keys)  # its own, if it has one: the entry's URL never changes
    if known:
        article, orphans = _join(tx, row, keys, known)
    else:
        article, orphans = articles.create(tx, keys, row), set()
    return {article} | orphans | _refresh(runtime, tx, article, orphans, new=not known)


def _join(
    tx: Transaction, row: EntryRow, keys: Collection[Key], known: Collection[int]
) -> tuple[int, set[int]]:
    """Let the entry belong to the earliest of the articles to which its keys lead; they are one.

    Also returns the articles that have to look for their original again, and those merged away.
    """
    article, *later = sorted(known)
    orphans: set[int] = set()
    for other in later:
        orphans |= articles.merge(tx, other, into=article) | {other}
    articles.forget(tx, article)  # it is compared anew
    articles.give_keys(tx, article, keys)
    articles.link(tx, row.id, article)
    return article, orphans - {article}


def _keys(runtime: Runtime, tx: Transaction, row: EntryRow) -> set[Key]:
    """All names by which this entry's article may be known elsewhere.

    All its texts count, not the latest alone: which of them were there when the stage came by is chance.
    """
    keys = {Key("url", row.canonical_url), *_keys_of(runtime, row.url)}
    said = entries.said(tx, row.id)
    keys |= {Key("guid", f"{feed.feed_id}:{feed.guid}") for feed in said if _names_one(feed.guid)}
    titles = [feed.title for feed in said]
    for told in entries.told(tx, row.id, at_least=TEXT_KEY_CHARACTERS):
        keys |= _keys_told(runtime, told.url, row.url)
        if told.digest is not None and _is_titled(told.title, titles):
            published = told.published.astimezone(UTC).isoformat() if told.published else ""
            keys.add(Key("text", f"{row.publisher}:{published}:{told.digest}"))
    return keys


def _keys_told(runtime: Runtime, name: str, url: str) -> set[Key]:
    """The keys of what the page at `url` calls itself, or of where it led.

    Believed where it can be the page's name, or has a publisher's number: all pages of a site may lead to its
    log-in page.
    """
    if may_name(name, url):
        return _keys_of(runtime, name)
    with contextlib.suppress(Unparsable):
        found = _keys_of(runtime, name)
        return found if any(key.kind == "id" for key in found) else set()
    return set()


def _keys_of(runtime: Runtime, url: str) -> set[Key]:
    """The keys of a URL; whose number is in it is told by its host, not by the feed that carries it."""
    host = urls.host_of(urls.canonical(url))
    return set(urls.keys(url, runtime.catalogue.publisher_of(host)))


def _is_titled(title: str, said: Sequence[str]) -> bool:
    """Whether a text's title is the article's, as feeds say it; true where none speaks of the article.

    A wall of consent or a notice of maintenance has one text and title for every article behind it.
    """
    return not said or any(fingerprints.one_title(title, other) for other in said)


def _names_one(guid: str) -> bool:
    """Whether a guid can be the name of one article: broken feeds repeat a word or their own address."""
    return len(guid) <= GUID_AT_MOST and bool(re.search(r"\d{4}", guid)) and not FEED_ADDRESS.search(guid)


def _refresh(runtime: Runtime, tx: Transaction, article: int, orphans: set[int], *, new: bool) -> set[int]:
    """Let the right entry speak for the article and compare its text.

    Also where the text is the one that spoke before: others may have been compared with a later one, of an
    entry that had not come here yet and will not speak.
    """
    members = articles.members(tx, article)
    admitted = [member for member in members if runtime.catalogue.admits(member.publisher, member.language)]
    speaker, indexed = (admitted or members)[0], bool(admitted)
    latest = entries.latest_revision(tx, speaker.id)
    assert latest is not None
    articles.set_content(
        tx,
        article,
        speaker=speaker,
        url=speaker.canonical_url,
        indexed=indexed,
        first_seen=min(member.discovered_at for member in members),
    )
    if any(member.stage == Stage.DONE for member in members):
        articles.settle_outcomes(tx, [article])
    shares = _compare(tx, article, latest, indexed=indexed)
    return articles.point(tx, article, orphans) if shares or not new else set()


def _compare(tx: Transaction, article: int, latest: RevisionRow, *, indexed: bool) -> bool:
    """Write what the article is compared by, and its edges to all articles that share text with it.

    Returns whether there are any.
    """
    title = latest.article.title
    own = fingerprints.shingles(latest.article.text) if indexed else frozenset()
    bands = fingerprints.bands(own)
    packed = fingerprints.packed(own)
    articles.add_fingerprint(tx, article, title=title, shingles=packed, bands=bands)
    found = {}
    for other, its_title, its_shingles in articles.candidates(tx, article, bands, within=WITHIN):
        same = fingerprints.one_title(title, its_title)
        comparison = fingerprints.verify(own, fingerprints.unpacked(its_shingles), one_title=same)
        if comparison.relation != "none":
            found[other] = comparison
    articles.add_copies(tx, article, found)
    return bool(found)
