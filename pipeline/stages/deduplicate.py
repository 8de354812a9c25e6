"""The stage DEDUPLICATE: which article an entry is, and what it shares with others.

Does not see pages. One batch holds the lock of all articles and is one transaction; the end state does not
depend on the order of work: the entry that speaks for an article is the smallest of its members in a
language that is kept, an edge stands between any two articles whose present texts match, and an article
copies the smallest of its direct matches.
"""

import logging
from collections.abc import Collection, Mapping, Sequence
from datetime import timedelta

from pipeline import fingerprints
from pipeline.model import Article, Comparison, Stage
from pipeline.runtime import Runtime
from pipeline.stages.identity import identify
from pipeline.store import Transaction, articles, entries
from pipeline.store.articles import Fingerprint, Member
from pipeline.store.entries import EntryRow, Move

BATCH = 50  # entries a lock: 6 ms each; the 400th of a series with one text, two to three times that
WITHIN = timedelta(days=30)  # what copies was published so near: weather and horoscopes recur for years

log = logging.getLogger(__name__)


def work(runtime: Runtime, run: str, token: int, rows: Sequence[EntryRow]) -> None:
    """Find these entries' articles and compare them with all others."""
    with runtime.store.transaction("deduplicate") as tx:
        articles.lock(tx)
        held = entries.held(tx, [row.id for row in rows], token=token)
        dirty = _settle(runtime, tx, [row for row in rows if row.id in held]) if held else set()
        articles.touch(tx, dirty, now=runtime.now())
    log.info("deduplicated", extra={"run": run, "entries": len(held), "documents": len(dirty)})


def _settle(runtime: Runtime, tx: Transaction, rows: Sequence[EntryRow]) -> set[int]:
    """Give the entries their articles, compare these, send the entries on; returns what documents changed."""
    found = identify(runtime, tx, rows)
    texts = _texts(runtime, tx, found.articles)
    articles.settle_outcomes(tx, found.known)
    copies = _compare(tx, texts)
    articles.add_copies(tx, copies)
    sharing = {article for pair in copies for article in pair}
    dirty = found.articles | found.merged | found.orphans
    dirty |= articles.point(tx, found.articles & sharing | found.known, found.orphans)
    entries.move(tx, [Move(row.id, Stage.TAG, due_at=runtime.now()) for row in rows])
    return dirty


def _texts(runtime: Runtime, tx: Transaction, found: Collection[int]) -> dict[int, Article]:
    """Let the right entries speak for the articles; returns what they say of those that go into the index.

    Also where the text is the one that spoke before: others may have been compared with a later one, of an
    entry that had not come here yet and will not speak.
    """
    members = articles.members(tx, found)
    admitted = {article: _admitted(runtime, members[article]) for article in found}
    indexed = {article for article in found if admitted[article]}
    speakers = {article: (admitted[article] or members[article])[0] for article in found}
    articles.set_speakers(tx, speakers, indexed=indexed)
    latest = entries.latest_revisions(tx, [speakers[article].id for article in indexed])
    return {article: latest[speakers[article].id].article for article in sorted(indexed)}


def _admitted(runtime: Runtime, members: Sequence[Member]) -> list[Member]:
    return [member for member in members if runtime.catalogue.admits(member.publisher, member.language)]


def _compare(tx: Transaction, texts: Mapping[int, Article]) -> dict[tuple[int, int], Comparison]:
    """Write what the articles are compared by; returns how each and another share text, once a pair."""
    shingles = {article: fingerprints.shingles(said.text) for article, said in texts.items()}
    bands = {article: fingerprints.bands(own) for article, own in shingles.items() if own}
    own = {
        article: Fingerprint(texts[article].title, fingerprints.packed(shingles[article]))
        for article in bands
    }
    articles.add_fingerprints(tx, own, bands)
    near = sorted(articles.candidates(tx, bands, within=WITHIN))  # in any order: twice the time for a series
    pairs = [(one, other) for one, other in near if other not in own or one < other]
    known = own | articles.fingerprints(tx, {other for _, other in pairs} - own.keys())
    found = {}
    for one, other in pairs:
        same = fingerprints.one_title(known[one].title, known[other].title)
        stored = fingerprints.unpacked(known[other].shingles)
        comparison = fingerprints.verify(shingles[one], stored, one_title=same)
        if comparison.relation != "none":
            found[one, other] = comparison
    return found
