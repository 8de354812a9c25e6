"""What several commands take: their options and limits, and how times are typed.

Knows no command.
"""

import contextlib
import re
from collections.abc import Iterator
from datetime import date, datetime, tzinfo
from pathlib import Path
from typing import Annotated

import typer

from pipeline.errors import ConfigError, Permanent, Unparsable, VeilleError

Json = Annotated[bool, typer.Option("--json", help="Write JSON.")]
Ndjson = Annotated[
    bool, typer.Option("--ndjson", help="Read one JSON object a line on standard input, write one each.")
]

# Other years are slips of the keyboard (0202 for 2024), and around 1 and 9999 some zones are in a year that
# Python does not have: the database would give back what nobody can read.
YEARS = range(1000, 9999)
WHOLE_ADDRESS = "give the whole address, as a browser shows it: https://example.org/article"
NOWHERE = "https://feed.invalid/"  # where relative links of a saved feed lead, if its address is not given


@contextlib.contextmanager
def advice(hint: str) -> Iterator[None]:
    """Says what to do about an error that does not say it: who meets it does not know for which command."""
    try:
        yield
    except VeilleError as error:
        error.hint = error.hint or hint
        raise


def as_address(path: str, *, base: str = NOWHERE) -> str:
    """An address for a saved file whose own is not given. Bytes of its name that are no UTF-8 are quoted."""
    name = re.sub("[\udc80-\udcff]", lambda byte: f"%{ord(byte[0]) - 0xDC00:02X}", Path(path).name)
    return base + name


def alone(*others: object) -> None:
    """Refuse what `--ndjson` would leave out in silence: it reads standard input, and writes a line each."""
    if any(others):
        raise Permanent(
            "--ndjson reads standard input and writes NDJSON; it takes no file and no --json",
            hint="leave the others out, and give the lines in a pipe, or in a file behind <",
        )


def given(value: str, what: str) -> str:
    if not value:
        raise Permanent(f"{what} is needed", hint="or --ndjson, to read many on standard input")
    return value


def day(text: str) -> date:
    """The day that was typed. Raises ConfigError."""
    try:
        found = date.fromisoformat(text)
    except ValueError as error:
        raise ConfigError(
            f"{text!r} is no day; one like 2026-03-01 is expected", hint="date -I prints today's"
        ) from error
    _check_year(found, repr(text), ConfigError)
    return found


def moment(text: str, zone: tzinfo, what: str) -> datetime:
    """The time that was typed, in `zone` if it names none. Raises Unparsable, which names `what` it is."""
    try:
        found = datetime.fromisoformat(text)
    except ValueError as error:
        raise Unparsable(
            f"{what} is {text[:40]!r}; a time like 2024-01-26T11:00 is expected",
            hint="date -Iminutes prints the present one",
        ) from error
    _check_year(found, what, Unparsable)
    return found if found.tzinfo else found.replace(tzinfo=zone)


def _check_year(found: date, what: str, error: type[Permanent]) -> None:
    if found.year not in YEARS:
        raise error(
            f"{what} is in the year {found.year}; {YEARS[0]} to {YEARS[-1]} are possible",
            hint="give the year with four digits, first: 2024-01-26",
        )
