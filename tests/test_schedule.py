"""When things are due: retries, the next reading of a page, the back-off of a feed."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline import schedule
from pipeline.model import Claims

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)


def again(age, *, unchanged=0, live=False):
    """How long after now a page that was published so long ago is read again."""
    due = schedule.next_reading(NOW - age, now=NOW, unchanged=unchanged, live=live)
    return due and due - NOW


@pytest.mark.parametrize(
    ("age", "wait"),
    [
        (timedelta(0), 0.5 * HOUR),
        (0.5 * HOUR, 1.5 * HOUR),
        (3 * HOUR, 5 * HOUR),
        (10 * HOUR, 14 * HOUR),
        (30 * HOUR, 42 * HOUR),
        (72 * HOUR, None),
    ],
)
def test_a_page_is_read_again_ever_later(age, wait):
    """Half an hour, 2, 8, 24 and 72 hours after its publication, then no more."""
    assert again(age) == wait


def test_two_readings_that_brought_nothing_are_the_last():
    assert again(HOUR, unchanged=1) == HOUR
    assert again(HOUR, unchanged=2) is None


def test_a_live_page_is_read_every_ten_minutes_for_two_days():
    """Also where nothing changed for a while: it is live."""
    assert again(20 * HOUR, unchanged=9, live=True) == timedelta(minutes=10)
    assert again(48 * HOUR, unchanged=2, live=True) is None


@pytest.mark.parametrize(
    ("title", "url", "live"),
    [
        ("DIRECT. Guerre en Ukraine", "https://gazette.example/a", True),
        ("En direct : le point", "https://gazette.example/a", True),
        ("Le point", "https://gazette.example/en-direct/a", True),
        ("Directeur nommé", "https://gazette.example/a", False),
        ("Un vol direct", "https://gazette.example/directeur", False),
    ],
)
def test_a_live_page_calls_itself_one(title, url, live):
    assert schedule.is_live(Claims(title=title), url) is live


def test_a_fetch_is_tried_seven_times():
    """Ever later, over a day and a half; then the entry goes on without its page."""
    waits = [schedule.next_attempt(n, now=NOW) for n in range(1, 8)]

    assert waits[-1] is None
    assert waits[:-1] == sorted(waits[:-1])
    assert sum((due - NOW for due in waits[:-1]), timedelta(0)) > timedelta(days=1)


@given(st.integers(1, 6), st.floats(0, 1e6))
def test_what_a_server_asked_for_is_never_undercut(attempts, seconds):
    assert schedule.next_attempt(attempts, now=NOW, retry_after=seconds) >= NOW + timedelta(seconds=seconds)
    assert schedule.next_poll(attempts, now=NOW, retry_after=seconds) >= NOW + timedelta(seconds=seconds)


@given(st.integers(0, 10_000))
def test_a_failing_feed_is_asked_every_day(failures):
    """Ever less often, but never so rarely that a daily run which starts a little early passes it over."""
    wait = schedule.next_poll(failures, now=NOW) - NOW

    assert wait <= schedule.next_poll(failures + 1, now=NOW) - NOW
    assert wait <= timedelta(hours=22)
