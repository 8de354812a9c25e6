"""Dates as feeds and people write them: read exactly or not at all."""

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.reading.dates import bounded, paris_day, parse_date

NOON = datetime(2026, 6, 2, 12, tzinfo=UTC)

WRITTEN = {
    # RFC 822, with its usual mistakes
    "Tue, 02 Jun 2026 10:00:00 +0200": "2026-06-02T08:00:00",
    "Tue, 2 Jun 2026 10:00:00 GMT": "2026-06-02T10:00:00",
    "Tue, 02 Jun 2026 10:00:00 Z": "2026-06-02T10:00:00",
    "Tue, 02 Jun 2026 10:00:00 -0000": "2026-06-02T10:00:00",
    "02 Jun 2026 10:00 EST": "2026-06-02T15:00:00",
    "Tue, 02 Jun 2026 10:00:00 CEST": "2026-06-02T08:00:00",
    "Tue, 02 Jun 2026 10:00:00 CET": "2026-06-02T08:00:00",  # the wrong season
    "Fri, 02 Jan 2026 10:00:00 CEST": "2026-01-02T09:00:00",  # the wrong season
    "Tue, 02 Jun 2026 10:00:00 UTC+2": "2026-06-02T08:00:00",
    "Tue, 02 Jun 2026 10:00:00 +9900": "2026-06-02T08:00:00",  # no such offset: Paris
    "Tue, 02 Jun 2026 10:00:00 Foo": "2026-06-02T08:00:00",  # no such zone: Paris
    "Tue, 02 Jun 2026 10:00:00": "2026-06-02T08:00:00",
    "Tue, 31 Dec 2024 23:59:60 GMT": "2024-12-31T23:59:59",  # a leap second
    "Sat, 19 Mar 88 07:15 GMT": "1988-03-19T07:15:00",
    "Tue, 02 Jun 26 10:00 GMT": "2026-06-02T10:00:00",
    "lun., 02 juin 2026 10:00 +0200": "2026-06-02T08:00:00",
    "mar, 02 févr. 2026 10:00:00 +0100": "2026-02-02T09:00:00",
    "mar. 04 Août 2026 10:00:00 +0200": "2026-08-04T08:00:00",
    "27-Oct-2004 08:11:00 +0200": "2004-10-27T06:11:00",
    # asctime and date
    "Tue Jun  2 10:00:00 2026": "2026-06-02T08:00:00",
    "Sun Jan  4 16:29:06 PST 2004": "2004-01-05T00:29:06",
    # ISO 8601
    "2026-06-02T10:00:00Z": "2026-06-02T10:00:00",
    "2026-06-02t10:00:00z": "2026-06-02T10:00:00",
    "2026-06-02T10:00:00+02:00": "2026-06-02T08:00:00",
    "2026-06-02T10:00:00 +02:00": "2026-06-02T08:00:00",
    "2026-06-02T10:00:00+0200": "2026-06-02T08:00:00",
    "2026-06-02T10:00+02": "2026-06-02T08:00:00",
    "2026-06-02T10:00:00.123456789Z": "2026-06-02T10:00:00",
    "2026-06-02T10:00:00,5Z": "2026-06-02T10:00:00",
    "2026-06-02T10:00": "2026-06-02T08:00:00",
    "2026-06-02T10Z": "2026-06-02T10:00:00",
    "2026-06-02T24:00:00Z": "2026-06-03T00:00:00",
    "20260602T100000Z": "2026-06-02T10:00:00",
    "20260602": "2026-06-01T22:00:00",
    "2026-06-02": "2026-06-01T22:00:00",
    "2026/06/02 10:00": "2026-06-02T08:00:00",
    "2026-06-02 10:00:00": "2026-06-02T08:00:00",
    # people
    "4 mars 2022 à 14h30": "2022-03-04T13:30:00",
    "Publié le 4 mars 2022 à 14 h 30": "2022-03-04T13:30:00",
    "Publié le vendredi 4 mars 2022 à 14h": "2022-03-04T13:00:00",
    "Mis à jour le 5 août 2023 à 9h05, publié le 4 août 2023": "2023-08-05T07:05:00",
    "Publié le 4 mars 2022 à 8 h, mis à jour le 2022-03-05": "2022-03-04T07:00:00",
    "4 mars 2022 à 14h30 est annoncé": "2022-03-04T13:30:00",  # "est" is no zone here
    "Publié à 14h30 le vendredi 4 mars 2022": "2022-03-04T13:30:00",
    "10 mars 2026 à 9 heures 30": "2026-03-10T08:30:00",
    "10 mars 2026 à 14 heures": "2026-03-10T13:00:00",
    "10 mars 2026 à 1 heure, à Brest": "2026-03-10T00:00:00",
    "10 mars 2026 à midi": "2026-03-10T11:00:00",
    "10 mars 2026 à minuit": "2026-03-09T23:00:00",
    "10/03/26 à 14:30": "2026-03-10T13:30:00",
    "10/03/26, 14h30": "2026-03-10T13:30:00",
    "04/03/2022 14:30": "2022-03-04T13:30:00",
    "04.03.2022 – 14:30": "2022-03-04T13:30:00",
    "1er mai 2025": "2025-04-30T22:00:00",
    "1ᵉʳ mai 2025": "2025-04-30T22:00:00",
    "26\u202fjanv.\u00a02024 | 18:48": "2024-01-26T17:48:00",
    "June 2, 2026 3:05 PM": "2026-06-02T13:05:00",
    "4 mars 2022 25h61": "2022-03-03T23:00:00",  # the day stands
}
NOT_DATES = [
    "", " ", "hier", "il y a 2 heures", "2022", "mars 2022", "2022-03", "4 mars", "04/03", "le 04/03/22",
    "14h30", "lot 10/03/26 à 14",
    "04/13/2022", "30/02/2022", "2023-02-29", "32 mars 2022", "0000-01-01", "-0001-01-01", "12026-01-01",
    "9999-12-31T23:59:59-05:00", "202206021", "1700000000", "٢٠٢٦-٠٦-٠٢", "2026-13-01", "31 juin 2026",
]  # fmt: skip


@pytest.mark.parametrize("text", WRITTEN, ids=ascii)
def test_a_date_is_read(text):
    """Each spelling names one moment, and it comes out in UTC."""
    assert parse_date(text) == datetime.fromisoformat(WRITTEN[text]).replace(tzinfo=UTC)


@pytest.mark.parametrize("text", NOT_DATES, ids=ascii)
def test_nothing_is_guessed(text):
    """Without day, month and year there is no date, nor is there one that the calendar lacks."""
    assert parse_date(text) is None


def test_the_zone_is_that_of_the_caller_where_none_is_written():
    assert parse_date("2 juin 2026 à 10h", zone="Indian/Reunion") == NOON - timedelta(hours=6)
    assert parse_date("2026-06-02T10:00:00Z", zone="Indian/Reunion") == NOON - timedelta(hours=2)


def test_the_hour_that_summer_time_skips_is_read_as_the_next():
    assert parse_date("2024-03-31 02:30").astimezone(ZoneInfo("Europe/Paris")).hour == 3


def test_the_hour_that_occurs_twice_is_read_as_the_first():
    assert parse_date("2024-10-27 02:30") == datetime(2024, 10, 27, 0, 30, tzinfo=UTC)


@given(st.datetimes(min_value=datetime(1990, 1, 1), max_value=datetime(2100, 1, 1)))  # noqa: DTZ001
def test_what_python_writes_is_read_back(clock):
    """ISO 8601 and RFC 822 come back as written, to the second, on the quick way and on the general one."""
    moment = clock.replace(microsecond=0, tzinfo=UTC)

    for written in (moment.isoformat(), f"le {moment.isoformat()}"):
        assert parse_date(written) == moment
    assert parse_date(moment.strftime("%a, %d %b %Y %H:%M:%S +0000")) == moment
    assert parse_date(moment.strftime("écrit %d %b %Y %H:%M:%S GMT")) == moment


DATEISH = st.lists(
    st.one_of(
        st.sampled_from(
            [
                "/",
                "-",
                ".",
                ":",
                ",",
                "T",
                "Z",
                "h",
                "+",
                "(",
                ")",
                "à",
                "le",
                "mars",
                "juin.",
                "1er",
                "Tue",
                "GMT",
                "CET",
                "est",
                "-0001",
                "9999",
                "0000",
                "2026",
                "02",
            ]
        ),
        st.integers(-99999, 99999).map(str),
        st.text(max_size=3),
    )
).map("".join)


@given(st.one_of(st.text(), DATEISH))
def test_no_text_raises(text):
    """Anything gives None or an aware moment in UTC, to the second."""
    value = parse_date(text)

    assert value is None or (value.tzinfo is UTC and not value.microsecond)
    assert value is None or isinstance(paris_day(value), date)


@pytest.mark.parametrize(
    "piece", ["1", "1 ", "1/", "-", "10:", "4 mars ", "\u0660", "((", "a", "mars ", "T0"]
)
def test_a_huge_text_is_cut(piece):
    """200 KB of anything: what lies beyond the first 300 characters is not looked at."""
    assert parse_date(piece * (200_000 // len(piece))) is None
    assert parse_date(" " * 400 + "4 mars 2022") is None


def test_a_future_date_becomes_now_and_suspect():
    """One hour of grace, for clocks that run ahead."""
    assert bounded(NOON + timedelta(hours=1), now=NOON) == (NOON + timedelta(hours=1), False)
    assert bounded(NOON + timedelta(hours=1, seconds=1), now=NOON) == (NOON, True)
    assert bounded(parse_date("9999-12-31"), now=NOON) == (NOON, True)


def test_a_date_from_before_the_web_is_none_and_suspect():
    assert bounded(datetime(1970, 1, 1, tzinfo=UTC), now=NOON) == (None, True)
    assert bounded(datetime(1990, 1, 1, tzinfo=UTC), now=NOON) == (datetime(1990, 1, 1, tzinfo=UTC), False)
    assert bounded(None, now=NOON) == (None, False)


def test_a_day_is_that_of_paris():
    """22:30 UTC is the next day there in summer, and not in winter."""
    assert paris_day(datetime(2026, 6, 2, 22, 30, tzinfo=UTC)) == date(2026, 6, 3)
    assert paris_day(datetime(2026, 1, 2, 22, 30, tzinfo=UTC)) == date(2026, 1, 2)
    assert paris_day(datetime.max.replace(tzinfo=UTC)) == date(9999, 12, 31)
    assert paris_day(parse_date("4 mars 2022")) == date(2022, 3, 4)
