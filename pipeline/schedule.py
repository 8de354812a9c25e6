"""When things are due: polls, retries, the next reading of a page, the back-off of a feed. *Pure.*

Does not know the clock: every function takes the time.
"""

import re
from datetime import datetime, timedelta

from pipeline.model import Claims

# After publication; most revisions of a news page come within hours (field notes: live pages all day).
READ_AGAIN = tuple(timedelta(minutes=m) for m in (30, 120, 480, 1440, 4320))
STOP_AFTER_UNCHANGED = 2
LIVE_EVERY = timedelta(minutes=10)
LIVE_AT_MOST = timedelta(hours=48)
# Seven attempts over about 1.4 days: a publisher's bad night is survived, a dead page does not wait for ever.
RETRY = tuple(timedelta(minutes=m) for m in (1, 5, 30, 120, 480, 1440))
ROBOTS_FINAL_AFTER = timedelta(days=7)
CRAWL_DELAY_AT_MOST = 120.0  # seconds; a host that asks for more is not given it, and the report says so
# Well below a day: a daily run that starts a little early asks all the same
FEED_BACKOFF_AT_MOST = timedelta(hours=20)

_LIVE = re.compile(r"^\W*(en\s+)?direct\b|/(live|en-direct|direct)/", re.IGNORECASE)


def polls(kind: str, interval_end: datetime | None, *, now: datetime) -> tuple[bool, str]:
    """Whether such a run asks live feeds, and why: asked for an old day, they would answer with today."""
    if kind == "backfill":
        return False, "a backfill does not ask live feeds, which would answer with today"
    if interval_end is None:
        return True, "the run is for now"
    if now - interval_end < timedelta(hours=24):
        return True, "its interval ended less than 24 hours ago"
    return False, f"its interval ended on {interval_end:%Y-%m-%d}: live feeds no longer speak of it"


def age(since: datetime | None, *, now: datetime) -> float:
    """For how many seconds something has waited; 0 for what does not."""
    return max(0.0, (now - since).total_seconds()) if since else 0.0


def is_live(claims: Claims, url: str) -> bool:
    """Whether the entry calls itself a live page, in its title or its address."""
    return bool(_LIVE.match(claims.title) or _LIVE.search(url))


def next_reading(published: datetime, *, now: datetime, unchanged: int, live: bool) -> datetime | None:
    """When the page is read again, or None where it has been read for the last time.

    `unchanged` counts the last readings in a row that brought nothing.
    """
    if live and now - published < LIVE_AT_MOST:
        return now + LIVE_EVERY
    if unchanged >= STOP_AFTER_UNCHANGED:
        return None
    return next((published + age for age in READ_AGAIN if published + age > now), None)


def next_attempt(attempts: int, *, now: datetime, retry_after: float | None = None) -> datetime | None:
    """When a fetch that failed `attempts` times is tried again, or None to give up.

    `retry_after` in seconds is what the server asked for, and is never undercut.
    """
    if attempts > len(RETRY):
        return None
    wait = max(RETRY[attempts - 1], timedelta(seconds=retry_after or 0))
    return now + wait


def next_poll(failures: int, *, now: datetime, retry_after: float | None = None) -> datetime:
    """When a feed may be polled again. A failing feed is asked ever less often, but never dropped."""
    backoff = timedelta(minutes=5 * 2 ** min(failures - 1, 12)) if failures else timedelta(0)
    return now + max(min(backoff, FEED_BACKOFF_AT_MOST), timedelta(seconds=retry_after or 0))
