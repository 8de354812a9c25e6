"""The stage EXTRACT: a page becomes an article, or what the feed says stands in for it.

Does not compare articles with each other. The work is done in killable workers; a page that kills or
outlasts its worker still gives an article from the feed's title and summary.
"""

import logging
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from pipeline import fingerprints
from pipeline.errors import Defect, NotFound, Unparsable
from pipeline.model import Article, Claims, Completeness, Outcome, PageFate, Stage
from pipeline.reading import articles as reading
from pipeline.runtime import Runtime
from pipeline.stages.rereading import next_reading
from pipeline.store import Transaction, entries
from pipeline.store.entries import End, EntryRow, Move, Note, PageRow, RevisionRow

BATCH = 16  # entries a claim: some 2 s of work
_RICHEST_FIRST = (Completeness.FULL, Completeness.TEASER, Completeness.SUMMARY, Completeness.EMPTY)
_FATE = {
    Completeness.FULL: PageFate.FULL,
    Completeness.TEASER: PageFate.TEASER,
    Completeness.SUMMARY: PageFate.TEASER,  # the page held less than the feed's summary
    Completeness.EMPTY: PageFate.TEASER,
}

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Reading:
    """What was read of one entry: the article, and the page's fate as it turned out."""

    entry: EntryRow
    page: PageRow
    claims: Claims
    article: Article | None  # None: neither page nor feed says anything
    fate: PageFate
    reason: str


@dataclass(frozen=True, slots=True)
class Written:
    """What a reading leaves in the store."""

    note: Note
    next: Move | End
    revision: RevisionRow | None = None


def work(runtime: Runtime, run: str, token: int, rows: Sequence[EntryRow]) -> None:
    """Read these entries' pages and write their revisions."""
    with runtime.store.transaction("read") as tx:
        pages = entries.pages(tx, [row.page_id for row in rows])
        claims = entries.claims(tx, [row.id for row in rows])
    with ThreadPoolExecutor(runtime.workers.count, thread_name_prefix="extract") as pool:
        # An entry comes here with a page.
        readings = list(
            pool.map(lambda row: _read(runtime, row, pages[row.page_id or 0], claims[row.id]), rows)
        )
    with runtime.store.transaction("extract") as tx:
        held = entries.held(tx, [row.id for row in rows], token=token)
        latest = entries.latest_revisions(tx, held)
        _write(
            tx,
            [
                _written(runtime, done, latest.get(done.entry.id))
                for done in readings
                if done.entry.id in held
            ],
        )
    for done in readings:
        log.info(
            "extracted",
            extra={
                "run": run,
                "host": done.entry.host,
                "entry": done.entry.id,
                "fate": str(done.fate),
                "language": done.article.language if done.article else "",
            },
        )


def _read(runtime: Runtime, entry: EntryRow, page: PageRow, claims: Claims) -> Reading:
    if page.pointer is None or not page.came:
        return _from_claims(page, entry, claims, PageFate(page.fate), page.reason)
    try:
        _, body = runtime.archive.read(page.pointer)
        article = runtime.workers.run(
            "extract",
            {
                "html": body,
                "url": page.url,
                "fetched_at": page.fetched_at,
                "claims": claims,
                "content_type": page.content_type,
            },
        )
        assert isinstance(article, Article)
    except (Unparsable, NotFound, Defect) as error:
        return _from_claims(page, entry, claims, PageFate.UNPARSABLE, str(error))
    if article.completeness is Completeness.EMPTY and claims.summary:
        return _from_claims(page, entry, claims, PageFate.TEASER, article.completeness_reason)
    return Reading(entry, page, claims, article, _FATE[article.completeness], article.completeness_reason)


def _from_claims(page: PageRow, entry: EntryRow, claims: Claims, fate: PageFate, reason: str) -> Reading:
    if not claims.title and not claims.summary:
        why = reason or "neither the page nor the feed says anything"
        return Reading(entry, page, claims, None, fate, why)
    article = reading.from_claims(claims, url=entry.url, fetched_at=page.fetched_at)
    return Reading(entry, page, claims, article, fate, reason)


def _write(tx: Transaction, written: Sequence[Written]) -> None:
    entries.note_pages(tx, [one.note for one in written])
    entries.save_revisions(tx, [one.revision for one in written if one.revision])
    entries.move(tx, [one.next for one in written if isinstance(one.next, Move)])
    entries.end_reading(tx, [one.next for one in written if isinstance(one.next, End)])


def _written(runtime: Runtime, done: Reading, latest: RevisionRow | None) -> Written:
    """What is written of a reading: the revision, if it brought one, and where the entry goes."""
    entry, article = done.entry, done.article
    if article is None or _is_poorer(article, latest):
        return _nothing_new(runtime, done, latest)
    digest = fingerprints.digest(article.title, f"{article.lead}\n{article.text}")
    again = latest is not None and latest.page_id == done.page.id
    if latest and not again and latest.digest == digest:
        return _nothing_new(runtime, done, latest)
    number = latest.number + (0 if again else 1) if latest else 1
    revision = RevisionRow(entry.id, number, done.page.id, done.page.fetched_at, digest, article)
    if runtime.catalogue.admits(entry.publisher, article.language) or entry.article_id is not None:
        move = Move(entry.id, Stage.DEDUPLICATE, due_at=runtime.now(), fate=done.fate)
        return Written(_note(done, None), move, revision)
    return Written(
        _note(done, Outcome.NOT_FRENCH),
        End(
            entry.id,
            due_at=None,
            outcome=Outcome.NOT_FRENCH,
            reason=f"its language is {article.language}",
            fate=done.fate,
        ),
        revision,
    )


def _nothing_new(runtime: Runtime, done: Reading, latest: RevisionRow | None) -> Written:
    """The reading ends here: the text is the same, or poorer than what is kept, or there is none at all."""
    entry = done.entry
    if latest is None:
        end = End(entry.id, due_at=None, outcome=Outcome.FAILED, reason=done.reason, fate=done.fate)
        return Written(_note(done, Outcome.FAILED), end)
    unchanged = entry.unchanged + 1
    due_at = next_reading(runtime, entry, done.claims, latest, unchanged)
    return Written(_note(done, Outcome.UNCHANGED), End(entry.id, due_at=due_at, unchanged=unchanged))


def _note(done: Reading, outcome: Outcome | None) -> Note:
    return Note(done.page.id, done.fate, done.reason, outcome)


def _is_poorer(article: Article, latest: RevisionRow | None) -> bool:
    """Whether this is less than what is known, as when a paywall closes or a page cannot be read for once."""
    rank = _RICHEST_FIRST.index
    return latest is not None and rank(article.completeness) > rank(latest.article.completeness)
