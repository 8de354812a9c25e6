"""Articles that come as finished text: they enter at DEDUPLICATE, without a page.

Does not fetch anything.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from pipeline import fingerprints, ndjson, urls
from pipeline.errors import Unparsable
from pipeline.model import Article, Completeness, Outcome, Stage
from pipeline.reading.dates import bounded, parse_date
from pipeline.reading.language import detect
from pipeline.runtime import Runtime
from pipeline.store import Transaction, entries, hosts
from pipeline.store.entries import Move, RevisionRow

BATCH = 200
ENGINE = "import"
PUBLISHER_AT_MOST = 200  # characters; it is part of keys, and an index of PostgreSQL holds 2 700 bytes


@dataclass(frozen=True, slots=True)
class Finished:
    """One article as it was handed in."""

    canonical_url: str
    url: str
    publisher: str
    article: Article


def parse(line: bytes) -> Finished:
    """Check one line of NDJSON. Raises Unparsable, or what `urls.canonical` raises, with the reason."""
    record = ndjson.record(line)
    fields = {
        name: "" if record.get(name) is None else record[name]
        for name in ("url", "title", "text", "published", "publisher", "lead")
    }
    if wrong := [name for name, value in fields.items() if not isinstance(value, str)]:
        raise Unparsable(f"strings are expected; others stand in: {', '.join(wrong)}")
    if empty := [name for name in ("url", "text") if not fields[name].strip()]:
        raise Unparsable(f"url and text are needed; empty: {', '.join(empty)}")
    if held := [name for name, value in fields.items() if "\0" in value]:
        raise Unparsable(f"U+0000 is no character of a text; found in: {', '.join(held)}")
    if len(fields["publisher"]) > PUBLISHER_AT_MOST:
        raise Unparsable(f"publisher has more than {PUBLISHER_AT_MOST} characters")
    published = parse_date(fields["published"])
    if fields["published"].strip() and not published:
        raise Unparsable(f"published holds no date: {fields['published'][:40]!r}")
    language, confidence = detect(fields["text"])
    article = Article(
        url=fields["url"],
        title=fields["title"],
        lead=fields["lead"],
        text=fields["text"],
        language=language,
        language_confidence=confidence,
        completeness=Completeness.FULL,
        published=published,
        date_source="import" if published else "",
        engine=ENGINE,
    )
    return Finished(urls.canonical(fields["url"]), fields["url"], fields["publisher"], article)


def take(runtime: Runtime, run: str, batch: Sequence[Finished]) -> None:
    """Write these articles; offering one again with the same text and date changes nothing."""
    now = runtime.now()
    with runtime.store.transaction("documents") as tx:
        for finished in sorted(batch, key=lambda finished: finished.canonical_url):
            _take(runtime, tx, run, finished, now)
        # Last, as `discover` does: two that bring the same articles wait for each other at the first of them.
        for host in sorted({urls.host_of(finished.canonical_url) for finished in batch}):
            hosts.add(tx, host)  # where the page is read if a feed speaks of it later


def _take(runtime: Runtime, tx: Transaction, run: str, finished: Finished, now: datetime) -> None:
    host = urls.host_of(finished.canonical_url)
    known = runtime.catalogue.publisher_of(host)
    publisher = finished.publisher or (known.id if known else host)
    entry_id, revision, belongs = entries.add_document(
        tx,
        canonical_url=finished.canonical_url,
        url=finished.url,
        host=host,
        publisher=publisher,
        run=run,
        at=now,
    )
    published, suspect = bounded(finished.article.published, now=now)
    article = replace(finished.article, published=published, date_suspect=suspect)
    digest = fingerprints.digest(article.title, f"{article.lead}\n{article.text}")
    latest = entries.latest_revision(tx, entry_id)
    before = latest.article if latest and latest.digest == digest else None
    if before and (before.published == published or (before.date_suspect and suspect)):
        return
    number = revision if before else revision + 1  # the same text with its date put right is no revision
    entries.save_revisions(tx, [RevisionRow(entry_id, number, None, now, digest, article)])
    if belongs or runtime.catalogue.admits(publisher, article.language):
        entries.requeue(tx, entry_id, at=now)
    elif latest is None:
        reason = f"its language is {article.language}"
        move = Move(entry_id, Stage.DONE, due_at=None, reason=reason, outcome=Outcome.NOT_FRENCH)
        entries.move(tx, [move])
