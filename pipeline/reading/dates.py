"""Reading dates as feeds, pages and people write them, in French and in machine forms. *Pure.*

Does not look for dates in pages, does not know the present time (`bounded` takes it as an argument) and never
guesses: a text that lacks the day or the month has no date.
"""

import re
import unicodedata
from collections.abc import Mapping
from datetime import UTC, date, datetime, timedelta, timezone
from zoneinfo import ZoneInfo

PARIS = "Europe/Paris"
# A date stands near the start of what names it: « Mis à jour le mercredi 4 mars 2022 à 14 h 30 » has 43.
LONGEST = 300
# The oldest feed format is of 1999 and French titles went online in 1995: older dates are resets of a clock.
EARLIEST = datetime(1990, 1, 1, tzinfo=UTC)
# Publishers' clocks run ahead a little; more than an hour from now is a wrong zone or a wish.
TOLERANCE = timedelta(hours=1)

_MONTHS = {
    name: number
    for number, names in enumerate(
        (
            "jan janv janvier january",
            "feb fev fevr fevrier february",
            "mar mars march",
            "apr avr avril april",
            "may mai",
            "jun juin june",
            "jul juil juillet july",
            "aug aou aout august",
            "sep sept septembre september",
            "oct octobre october",
            "nov novembre november",
            "dec decembre december",
        ),
        start=1,
    )
    for name in names.split()
}
# Hours east of Greenwich. CET and its kin are absent on purpose: see `_moment`.
_ZONES = {
    name: hours
    for hours, names in (
        (0, "z ut utc gmt wet"),
        (1, "west bst"),
        (2, "eet"),
        (3, "eest msk"),
        (-4, "edt"),
        (-5, "est cdt"),
        (-6, "cst mdt"),
        (-7, "mst pdt"),
        (-8, "pst"),
    )
    for name in names.split()
}
_WIDEST_OFFSET = timedelta(hours=14)  # Kiribati; what lies beyond is a typing error

_MONTH = rf"(?P<month>{'|'.join(sorted(_MONTHS, key=len, reverse=True))})\b\.?"
_CLOCK = (
    r"(?P<hour>[0-9]{1,2})(?: ?(?:[h:]|heures?\b) ?(?P<minute>[0-9]{2})(?![0-9])| ?h(?:eures?)?\b)"
    r"(?: ?(?::|mn|min) ?(?P<second>[0-9]{2})(?![0-9])(?:[.,][0-9]{1,9})?)?(?: ?(?P<half>[ap])\.?m\b)?"
)
_CLOCK_NEXT = r"(?=,? (?:a )?[0-9]{1,2} ?[h:])"
_OFFSET = r"(?:(?:gmt|utc) ?)?(?P<sign>[+-])(?P<east>[0-9]{1,2})(?::?(?P<east_minutes>[0-9]{2}))?(?! ?[0-9h])"
_NAME = r"(?P<name>[a-z]{1,4})(?=[),.;]|$)"  # not « à 14 h 30 est annoncé »
_NOT_BEFORE = r"(?<![0-9])(?<!^-)(?<! -)"  # no digit, and no minus: the year -1 is not the year 1
_DATES = tuple(
    re.compile(pattern)
    for pattern in (
        # 2026-06-02 and 2026/06/02, with or without what follows
        _NOT_BEFORE + r"(?P<year>[0-9]{4})([-/.])(?P<number>[0-9]{1,2})\2(?P<day>[0-9]{1,2})(?![0-9])",
        # 20260602, 20260602T100000Z
        _NOT_BEFORE + r"(?P<year>(?:19|20)[0-9]{2})(?P<number>[0-9]{2})(?P<day>[0-9]{2})(?![0-9])",
        # 4 mars 2022, 1er mai 2025, 02-Jun-2026, and « 02 Jun 26 10:00 » as in RFC 822
        r"(?<![0-9])(?P<day>[0-9]{1,2})(?: ?(?:er|re|st|nd|rd|th)\b)?[ ./-]{1,3}(?:of )?" + _MONTH
        + r"[ ,./-]{0,3}(?P<year>[0-9]{4}(?![0-9])|[0-9]{2}(?= [0-9]{1,2}:))",
        # June 2, 2026; Tue Jun  2 10:00:00 2026 (asctime), with the zone before the year (date)
        r"\b" + _MONTH + r" (?P<day>[0-9]{1,2})(?:st|nd|rd|th)?,? (?:" + _CLOCK
        + r" (?:(?P<name>[a-z]{3,4}) )?)?(?P<year>[0-9]{4})(?![0-9])",
        # 04/03/2022, 4.3.2022: the day first
        r"(?<![0-9])(?P<day>[0-9]{1,2})([/.-])(?P<number>[0-9]{1,2})\2(?P<year>[0-9]{4})(?![0-9])",
        # 04/03/22 à 14:30: two digits of a year only where a clock follows
        r"(?<![0-9])(?P<day>[0-9]{1,2})([/.])(?P<number>[0-9]{1,2})\2(?P<year>[0-9]{2})" + _CLOCK_NEXT,
    )
)  # fmt: skip
_AFTER = re.compile(r"t?[ ,;|()–—-]{0,4}(?:(?:a|at|vers|des) )?" + _CLOCK)
_SPOKEN = re.compile(r"[ ,;|()–—-]{0,4}a (midi|minuit)\b")
_AFTER_COMPACT = re.compile(
    r"t(?P<hour>[0-9]{2})(?:(?P<minute>[0-9]{2})(?P<second>[0-9]{2})?(?:[.,][0-9]{1,9})?)?(?![0-9:h])"
)
_BEFORE = re.compile(r"(?<![0-9:+-])" + _CLOCK + r"[ ,;|–—-]{0,4}(?:le )?(?:[a-z]{3,8}\.?,? )?$")
_ZONE = re.compile(rf" ?\(?(?:{_OFFSET}|{_NAME})")
# What nearly all feeds write: read without folding, in 4 and 1 µs instead of 20.
_RFC822 = re.compile(
    r"[A-Z][a-z]{2}, ([0-9]{1,2}) ([A-Z][a-z]{2}) ([0-9]{4}) ([0-9]{2}):([0-9]{2}):([0-9]{2}) "
    r"(?:GMT|([+-])(0[0-9]|1[0-4])([0-5][0-9]))"
)
_ISO = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(?:Z|[+-](?:0[0-9]|1[0-4]):[0-5][0-9])"
)


def parse_date(text: str, *, zone: str = PARIS) -> datetime | None:
    """The moment that `text` names, in UTC, or None if it names none for certain.

    Reads RFC 822 (also with French names), ISO 8601, and what people write: « Publié le 4 mars 2022 à
    14 h 30 », « 04/03/2022 14:30 » (day first). The first date counts; the first 300 characters are read.
    A day without a clock time is its midnight. Without an offset, the clock is that of `zone`: a time that a
    change to summer time skips is read as the hour after, one that occurs twice as the first. Seconds are the
    finest unit. Never raises on any text.
    """
    quick = _quick(text)
    if quick or not text:
        return quick
    folded = _fold(text[:LONGEST])
    candidates = (found for pattern in _DATES for found in pattern.finditer(folded))
    for found in sorted(candidates, key=re.Match.start):
        day = _day(found)
        if day:
            return _moment(day, found, folded, ZoneInfo(zone))
    return None


def bounded(value: datetime | None, *, now: datetime) -> tuple[datetime | None, bool]:
    """The date to work with, and whether the one given is suspect.

    Beyond `now` + 1 hour: (`now`, True). Before 1990: (None, True). Else the date itself. The caller keeps
    the raw one.
    """
    if value is None:
        return None, False
    if value > now + TOLERANCE:
        return now, True
    if value < EARLIEST:
        return None, True
    return value, False


def paris_day(value: datetime) -> date:
    """The calendar day on which `value` falls in Paris."""
    try:
        return value.astimezone(ZoneInfo(PARIS)).date()
    except OverflowError:  # within a day of the first or the last day that Python knows
        return value.date()


def _fold(text: str) -> str:
    """Lower case without accents, one space between words: « Août » → "aout"."""
    letters = unicodedata.normalize("NFKD", text.casefold())
    return " ".join(
        "".join(c for c in letters if not unicodedata.combining(c)).replace("\u2212", "-").split()
    )


def _quick(text: str) -> datetime | None:
    """The date of a text in one of the two exact forms; None sends it the general way."""
    try:
        if _ISO.fullmatch(text):
            return datetime.fromisoformat(text).astimezone(UTC)
        found = _RFC822.fullmatch(text)
        if not found or found[2].lower() not in _MONTHS:
            return None
        day, month, year, hour, minute, second, sign, east, east_minutes = found.groups()
        local = datetime(
            int(year), _MONTHS[month.lower()], int(day), int(hour), int(minute), int(second), tzinfo=UTC
        )
        offset = timedelta(hours=int(east or 0), minutes=int(east_minutes or 0))
        return local + offset if sign == "-" else local - offset
    except (ValueError, OverflowError):
        return None


def _day(found: re.Match[str]) -> datetime | None:
    """The day found, at midnight, without a zone; None if the calendar has no such day."""
    parts = found.groupdict()
    year = int(parts["year"])
    if len(parts["year"]) == 2:  # noqa: PLR2004 - two digits, by the rule of RFC 2822, section 4.3
        year += 2000 if year < 50 else 1900  # noqa: PLR2004 - the same rule
    month = _MONTHS[parts["month"]] if parts.get("month") else int(parts["number"])
    try:
        return datetime(year, month, int(parts["day"]))  # noqa: DTZ001 - the zone is found later
    except ValueError:
        return None


def _moment(day: datetime, found: re.Match[str], folded: str, zone: ZoneInfo) -> datetime | None:
    """`day` with the clock time and the offset that stand beside it, in UTC.

    CET, CEST, MET and MEST name the clock of central Europe, whatever the season: French systems write "CET"
    all the year round. Unknown names and impossible offsets count as none.
    """
    clock: re.Match[str] | None
    if found.groupdict().get("hour"):
        clock, rest = found, found.end()
    else:
        clock = _AFTER_COMPACT.match(folded, found.end()) or _AFTER.match(folded, found.end())
        rest = clock.end() if clock else found.end()
        clock = clock or _BEFORE.search(folded[: found.start()])
    spoken = None if clock else _SPOKEN.match(folded, found.end())
    local = _at(day, clock) if clock else day.replace(hour=12 if spoken and spoken[1] == "midi" else 0)
    beside = _ZONE.match(folded, rest) if clock else None
    offset = _offset({**found.groupdict(), **(beside.groupdict() if beside else {})})
    try:
        if offset is None:
            return local.replace(tzinfo=zone).astimezone(UTC)
        return local.replace(tzinfo=timezone(offset)).astimezone(UTC)
    except (ValueError, OverflowError):  # the first and the last day that Python knows
        return None


def _at(day: datetime, clock: re.Match[str]) -> datetime:
    """`day` at the clock time found; an impossible clock time leaves the midnight."""
    parts = clock.groupdict()
    hour, minute, second = (int(parts[name] or 0) for name in ("hour", "minute", "second"))
    if parts.get("half"):
        hour = hour % 12 + (12 if parts["half"] == "p" else 0)
    try:
        if (hour, minute, second) == (24, 0, 0):
            return day + timedelta(days=1)
        return day.replace(hour=hour, minute=minute, second=min(second, 59))  # 60 is a leap second
    except (ValueError, OverflowError):
        return day


def _offset(parts: Mapping[str, str | None]) -> timedelta | None:
    """What a zone's name or its hours and minutes say, or None if they say nothing."""
    if parts.get("east"):
        hours, minutes = int(parts["east"] or 0), int(parts["east_minutes"] or 0)
        east = timedelta(hours=hours, minutes=minutes)
        if east > _WIDEST_OFFSET or minutes >= 60:  # noqa: PLR2004 - minutes of an hour
            return None
        return -east if parts["sign"] == "-" else east
    east_hours = _ZONES.get(parts.get("name") or "")
    return None if east_hours is None else timedelta(hours=east_hours)
