"""The stage TAG: which topics an article carries, and why.

Does not know the rules: the tagger does. It runs under the lock of all articles, so the text that was
tagged is the text that stands when the tags are written.
"""

import logging
from collections.abc import Sequence

from pipeline.model import Outcome
from pipeline.runtime import Runtime
from pipeline.stages.rereading import next_reading
from pipeline.store import Transaction, articles, entries
from pipeline.store.entries import EntryRow

BATCH = 50  # entries a lock: about 3 ms each

log = logging.getLogger(__name__)


def work(runtime: Runtime, run: str, token: int, rows: Sequence[EntryRow]) -> None:
    """Tag these entries' articles; with this their passage is done."""
    with runtime.store.transaction("tag") as tx:
        articles.lock(tx)
        held = entries.held(tx, [row.id for row in rows], token=token)
        changed = {article for row in rows if row.id in held for article in _tag(runtime, tx, row)}
        articles.touch(tx, changed, now=runtime.now())
    log.info("tagged", extra={"run": run, "entries": len(held), "documents": len(changed)})


def _tag(runtime: Runtime, tx: Transaction, row: EntryRow) -> set[int]:
    article, indexed, text = articles.text(tx, row.id)
    found = runtime.tagger.tag(text.title, text.lead, text.text, language=text.language) if indexed else ()
    changed = articles.set_tags(tx, article, found)
    _finish(runtime, tx, row, article)
    return {article} if changed else set()


def _finish(runtime: Runtime, tx: Transaction, row: EntryRow, article: int) -> None:
    latest = entries.latest_revision(tx, row.id)
    assert latest is not None
    due_at = next_reading(runtime, tx, row, latest, 0) if latest.page_id is not None else None
    entries.end_reading(tx, row.id, due_at=due_at, outcome=Outcome.NEW)
    outcomes = articles.settle_outcomes(tx, article)
    if latest.page_id is not None:
        entries.set_page_outcome(tx, latest.page_id, outcomes[row.id])
