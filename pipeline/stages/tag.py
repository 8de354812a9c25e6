"""The stage TAG: which topics an article carries, and why.

Does not know the rules: the tagger does. It runs under the lock of all articles, so the text that was
tagged is the text that stands when the tags are written.
"""

import logging
from collections.abc import Sequence
from datetime import datetime

from pipeline.model import Claims, Outcome
from pipeline.runtime import Runtime
from pipeline.stages.rereading import next_reading
from pipeline.store import Transaction, articles, entries
from pipeline.store.entries import EntryRow, RevisionRow

BATCH = 50  # entries a lock: about 3 ms each

log = logging.getLogger(__name__)


def work(runtime: Runtime, run: str, token: int, rows: Sequence[EntryRow]) -> None:
    """Tag these entries' articles; with this their passage is done."""
    with runtime.store.transaction("tag") as tx:
        articles.lock(tx)
        held = entries.held(tx, [row.id for row in rows], token=token)
        latest, claims = entries.latest_revisions(tx, held), entries.claims(tx, held)
        changed = set()
        for row in rows:
            if row.id in held:
                due_at = _next_reading(runtime, row, claims[row.id], latest[row.id])
                changed |= _tag(runtime, tx, row, latest[row.id], due_at)
        articles.touch(tx, changed, now=runtime.now())
    log.info("tagged", extra={"run": run, "entries": len(held), "documents": len(changed)})


def _next_reading(runtime: Runtime, row: EntryRow, claims: Claims, latest: RevisionRow) -> datetime | None:
    return next_reading(runtime, row, claims, latest, 0) if latest.page_id is not None else None


def _tag(
    runtime: Runtime, tx: Transaction, row: EntryRow, latest: RevisionRow, due_at: datetime | None
) -> set[int]:
    article, indexed, text = articles.text(tx, row.id)
    found = runtime.tagger.tag(text.title, text.lead, text.text, language=text.language) if indexed else ()
    changed = articles.set_tags(tx, article, found)
    entries.end_reading(tx, row.id, due_at=due_at, outcome=Outcome.NEW)
    outcomes = articles.settle_outcomes(tx, article)
    if latest.page_id is not None:
        entries.set_page_outcome(tx, latest.page_id, outcomes[row.id])
    return {article} if changed else set()
