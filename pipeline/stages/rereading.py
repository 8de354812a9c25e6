"""When an entry's page is read again, by what is known of its publication.

Does not have the rules: `schedule` does.
"""

from datetime import datetime

from pipeline import schedule
from pipeline.model import Claims
from pipeline.runtime import Runtime
from pipeline.store.entries import EntryRow, RevisionRow


def next_reading(
    runtime: Runtime, entry: EntryRow, claims: Claims, latest: RevisionRow | None, unchanged: int
) -> datetime | None:
    """The time, or None where the page has been read for the last time.

    `latest` is the text that is known, if there is one. `unchanged` counts the readings in a row, this one
    included, that brought nothing.
    """
    published = (latest.article.published if latest else None) or claims.published or entry.discovered_at
    live = schedule.is_live(claims, entry.url)
    return schedule.next_reading(published, now=runtime.now(), unchanged=unchanged, live=live)
