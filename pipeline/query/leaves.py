"""One value of a query: words, a code, an address, days or numbers. *Pure.*

Does not know what joins the values, nor where in a query they stand, apart from the position for an error.
"""

import re
from calendar import monthrange
from datetime import date
from typing import Final

from pipeline.query.tree import (
    FIELDS,
    Days,
    Kind,
    Numbers,
    Present,
    Query,
    QueryError,
    Term,
    Value,
    Words,
    address,
)
from pipeline.tokens import fold, tokenize

MIN_PREFIX: Final = 2  # letters
MAX_PREFIX: Final = 200  # characters; an automaton of Tantivy holds 1 000 bytes

_DAY = re.compile(r"(\d{4})(?:-(\d\d?)(?:-(\d\d?))?)?", re.ASCII)
_NUMBER = re.compile(r"\d{1,9}", re.ASCII)


def words(field: str, text: str, start: int, *, slop: int = 0, quoted: bool = False) -> Words | None:
    prefix = text.endswith("*")
    if "*" in text[:-1]:
        raise QueryError("* stands only at the end of a word or phrase", start + text.index("*"))
    tokens = tokenize(text)
    if not tokens:
        return None
    name = FIELDS.get(field) is Kind.NAME
    if prefix:
        _check_prefix(tokens[-1].exact, "".join(token.exact for token in tokens), start)
    last = len(tokens) - 1
    kept = [i for i, token in enumerate(tokens) if name or not token.stop or (prefix and i == last)]
    empty = not kept  # nothing but stop words: search for them as they stand
    kept = kept or list(range(len(tokens)))
    return Words(
        field,
        tuple(Term(i - kept[0], tokens[i].exact, tokens[i].stem) for i in kept),
        slop=slop,
        exact=name or prefix or empty,
        prefix=prefix,
        quoted=quoted,
        skippable=empty and not quoted,
    )


def whole(field: str, text: str, start: int) -> Value | None:
    prefix = text.endswith("*")
    value = text.removesuffix("*") if prefix else text
    value = address(value) if FIELDS[field] is Kind.URL else fold(value)
    if prefix:
        _check_prefix(value, value, start)
    return Value(field, value, prefix) if value else None


def _check_prefix(last: str, whole: str, start: int) -> None:
    if len(last) < MIN_PREFIX:
        raise QueryError(f"* needs at least {MIN_PREFIX} letters before it", start)
    if len(whole) > MAX_PREFIX:
        raise QueryError(f"* may have at most {MAX_PREFIX} letters before it", start)


def between(field: str, low: str, high: str, brackets: str, start: int) -> Query:
    """The range from `low` to `high`; a curly bracket leaves out the day, month, year or number beside it."""
    lower, upper = _bounds(field, low, start), _bounds(field, high, start)
    if lower is None and upper is None:
        return Present(field)
    least = lower and (lower[0] if brackets[0] == "[" else lower[1] + 1)
    most = upper and (upper[1] if brackets[1] == "]" else upper[0] - 1)
    if least is not None and most is not None and least > most:
        raise QueryError("this range ends before it starts", start)
    if FIELDS[field] is Kind.NUMBER:
        return Numbers(field, least, most)
    try:
        return Days(
            field,
            None if least is None else date.fromordinal(least),
            None if most is None else date.fromordinal(most),
        )
    except (ValueError, OverflowError) as error:
        raise QueryError("no day can be in this range", start) from error


def _bounds(field: str, text: str, start: int) -> tuple[int, int] | None:
    """The first and last number that `text` means, days counted by `date.toordinal`; None for `*`."""
    if text == "*":
        return None
    if FIELDS[field] is Kind.NUMBER:
        if not _NUMBER.fullmatch(text):
            raise QueryError(f"{field}: needs a whole number, not {text!r}", start)
        return int(text), int(text)
    found = _DAY.fullmatch(text.strip('"'))
    if not found:
        raise QueryError(
            f"{field}: needs a day 2025-07-31, a month 2025-07 or a year 2025, not {text!r}", start
        )
    year, month, day = (int(part) if part else None for part in found.groups())
    try:
        first = date(year or 0, month or 1, day or 1)
        last = first if day else _month_end(first) if month else first.replace(month=12, day=31)
    except ValueError as error:
        raise QueryError(f"there is no day {text}", start) from error
    return first.toordinal(), last.toordinal()


def _month_end(first: date) -> date:
    return first.replace(day=monthrange(first.year, first.month)[1])
