"""What several commands take: their options and limits, and how times are typed.

Knows no command.
"""

from datetime import date, datetime, tzinfo
from typing import Annotated, TypeVar

import typer

from pipeline.errors import ConfigError, Permanent, Unparsable

Json = Annotated[bool, typer.Option("--json", help="Write JSON.")]
Ndjson = Annotated[
    bool, typer.Option("--ndjson", help="Read one JSON object a line on standard input, write one each.")
]

Day = TypeVar("Day", date, datetime)

FIRST_YEAR, LAST_YEAR = 1000, 9998
NOWHERE = "https://feed.invalid/"  # where relative links of a saved feed lead, if its address is not given


def alone(*others: object) -> None:
    """Refuse what `--ndjson` would leave out in silence: it reads standard input, and writes a line each."""
    if any(others):
        raise Permanent("--ndjson reads standard input and writes NDJSON; it takes no file and no --json")


def given(value: str, what: str) -> str:
    if not value:
        raise Permanent(f"{what} is needed", hint="or --ndjson, to read many on standard input")
    return value


def day(text: str) -> date:
    """The day that was typed. Raises ConfigError."""
    try:
        found = date.fromisoformat(text)
    except ValueError as error:
        raise ConfigError(f"{text!r} is no day; one like 2026-03-01 is expected") from error
    return _possible(found, repr(text))


def moment(text: str, zone: tzinfo, what: str) -> datetime:
    """The time that was typed, in `zone` if it names none. Raises Unparsable, which names `what` it is."""
    try:
        found = datetime.fromisoformat(text)
    except ValueError as error:
        raise Unparsable(f"{what} is {text[:40]!r}; a time like 2024-01-26T11:00 is expected") from error
    return _possible(found if found.tzinfo else found.replace(tzinfo=zone), what)


def _possible(found: Day, what: str) -> Day:
    """A day or time of which the day before and after exist too, in any zone."""
    if not FIRST_YEAR <= found.year <= LAST_YEAR:
        raise ConfigError(f"{what} is in the year {found.year}; {FIRST_YEAR} to {LAST_YEAR} are possible")
    return found
