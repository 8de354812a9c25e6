"""The stage TAG: which topics an article carries, and why.

Does not know the rules: the tagger does. It runs under the lock of all articles, so the text that was
tagged is the text that stands when the tags are written.
"""

import logging
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime

from pipeline.model import Claims, Outcome, Tag
from pipeline.runtime import Runtime
from pipeline.stages.rereading import next_reading
from pipeline.store import Transaction, articles, entries
from pipeline.store.articles import Text
from pipeline.store.entries import End, EntryRow, Note, RevisionRow

BATCH = 50  # entries a lock: about 2 ms each

log = logging.getLogger(__name__)


def work(runtime: Runtime, run: str, token: int, rows: Sequence[EntryRow]) -> None:
    """Tag these entries' articles; with this their passage is done."""
    with runtime.store.transaction("tag") as tx:
        articles.lock(tx)
        held = entries.held(tx, [row.id for row in rows], token=token)
        texts = articles.texts(tx, held)
        changed = articles.set_tags(tx, _found(runtime, texts.values()))
        _end(runtime, tx, [row for row in rows if row.id in held], texts)
        articles.touch(tx, changed, now=runtime.now())
    log.info("tagged", extra={"run": run, "entries": len(held), "documents": len(changed)})


def _found(runtime: Runtime, texts: Iterable[Text]) -> dict[int, Sequence[Tag]]:
    """The topics of each article, once where several entries are of one article."""
    found: dict[int, Sequence[Tag]] = {}
    for text in texts:
        if text.article not in found:
            found[text.article] = _topics(runtime, text) if text.indexed else ()
    return found


def _topics(runtime: Runtime, text: Text) -> Sequence[Tag]:
    article = text.revision.article
    return runtime.tagger.tag(article.title, article.lead, article.text, language=article.language)


def _end(runtime: Runtime, tx: Transaction, rows: Sequence[EntryRow], texts: Mapping[int, Text]) -> None:
    """The entries' passage is done; what it did follows from who speaks for their articles."""
    claims = entries.claims(tx, texts)
    latest = _latest(tx, texts)
    entries.end_reading(
        tx,
        [
            End(row.id, _next_reading(runtime, row, claims[row.id], latest[row.id]), outcome=Outcome.NEW)
            for row in rows
        ],
    )
    outcomes = articles.settle_outcomes(tx, {text.article for text in texts.values()})
    pages = {id_: revision.page_id for id_, revision in latest.items()}
    entries.note_pages(
        tx, [Note(page, outcome=outcomes[id_]) for id_, page in pages.items() if page is not None]
    )


def _latest(tx: Transaction, texts: Mapping[int, Text]) -> dict[int, RevisionRow]:
    """The newest text of each entry: nearly always that which speaks for its article."""
    own = {id_: text.revision for id_, text in texts.items() if text.revision.entry_id == id_}
    return own | entries.latest_revisions(tx, texts.keys() - own.keys())


def _next_reading(runtime: Runtime, row: EntryRow, claims: Claims, latest: RevisionRow) -> datetime | None:
    return next_reading(runtime, row, claims, latest, 0) if latest.page_id is not None else None
