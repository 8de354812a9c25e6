"""The query language: what a person types becomes a frozen tree, the same for every engine. *Pure.*

    Ukraine paix              both words: AND is the default, because people who watch the press add words to
                              narrow a list of thousands; an alert that grew with every word would be useless
    "accord de paix"          the words side by side; also « … » and “…”; stop words keep their places
    "accord paix"~3           at most three words more between them
    porte-avions   49.3       a compound is a phrase of its parts
    paix OR trêve             capitals only: « et », « ou », "or" are words
    gaz AND (paix OR trêve)   AND binds tighter than OR, NOT tightest
    Ukraine NOT Crimée        also -Crimée; +word is word; a query may consist of exclusions alone
    Zelensk*                  at least two letters; at the end of a word or a phrase
    title:budget  title:(budget OR impôt)  publisher:"Le Monde"  author:Lefèvre  topic:climat  url:presse.fr
    published:2025-07         a year, month or day in Europe/Paris; [2025-01-01 TO *], {… TO …}, >=, <=, >, <
    copies:>=3  words:[300 TO *]  topic:*  NOT published:*  *

Signs without a letter or digit are skipped, as are unquoted stop words beside other words. Whatever else
cannot be understood raises QueryError with its position: an unclosed quote or parenthesis is an error and
never guessed at, because a guess would silently change what a saved query watches.

Does not run queries and does not know any engine.
"""

import re
from calendar import monthrange
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date
from enum import Enum, auto
from typing import Final, TypeAlias

from pipeline.errors import Permanent
from pipeline.tokens import fold, tokenize

MAX_LENGTH: Final = 16_384  # characters; the longest alert of a press service that we know of has under 3 000
MAX_DEPTH: Final = 50  # nested parentheses; Python's stack allows some 300
MAX_PARTS: Final = 1_024  # different words, phrases and ranges; 1 000 took 57 ms on 1 500 articles
MAX_SLOP: Final = 100
MIN_PREFIX: Final = 2  # letters
MAX_PREFIX: Final = 200  # characters; an automaton of Tantivy holds 1 000 bytes


class QueryError(Permanent):
    """A query that cannot be understood. `position` counts characters from 0."""

    code = "query"

    def __init__(self, message: str, position: int) -> None:
        super().__init__(f"{message}, at character {position + 1} of the query")
        self.position = position


class Kind(Enum):
    """How the values of a field are compared."""

    TEXT = auto()  # French text: stems, phrases, prefixes
    NAME = auto()  # words without accents and capitals, never stemmed; stop words count
    CODE = auto()  # the whole value, without accents and capitals
    URL = auto()  # an address, or the name of its site
    DATE = auto()  # days in Europe/Paris
    NUMBER = auto()


FIELDS: Final = {
    "title": Kind.TEXT,
    "lead": Kind.TEXT,
    "text": Kind.TEXT,
    "author": Kind.NAME,
    "publisher": Kind.NAME,
    "family": Kind.NAME,
    "section": Kind.NAME,
    "topic": Kind.CODE,
    "language": Kind.CODE,
    "country": Kind.CODE,
    "copy_of": Kind.CODE,
    "url": Kind.URL,
    "published": Kind.DATE,
    "modified": Kind.DATE,
    "first_seen": Kind.DATE,
    "words": Kind.NUMBER,
    "copies": Kind.NUMBER,
}


@dataclass(frozen=True, slots=True)
class Term:
    """A word of a query, analysed; `offset` counts positions from the first word kept."""

    offset: int
    exact: str
    stem: str


@dataclass(frozen=True, slots=True)
class Words:
    """A word, a compound or a phrase, in one field or, where `field` is empty, in title, lead or text.

    `exact`: compare the terms' exact forms instead of their stems (names, prefixes, nothing but stop words).
    `prefix`: the last term is the beginning of a word. `quoted`: it stood in quotes.
    """

    field: str
    terms: tuple[Term, ...]
    slop: int = 0
    exact: bool = False
    prefix: bool = False
    quoted: bool = False
    skippable: bool = False  # an unquoted stop word: means nothing beside other words


@dataclass(frozen=True, slots=True)
class Value:
    """A whole value of a code or URL, folded, or with `prefix` its beginning."""

    field: str
    value: str
    prefix: bool = False


@dataclass(frozen=True, slots=True)
class Days:
    """A range of days in Europe/Paris, both ends included; None is open."""

    field: str
    first: date | None
    last: date | None


@dataclass(frozen=True, slots=True)
class Numbers:
    """A range of numbers, both ends included; None is open."""

    field: str
    least: int | None
    most: int | None


@dataclass(frozen=True, slots=True)
class Present:
    """The field has a value."""

    field: str


@dataclass(frozen=True, slots=True)
class Everything:
    """Matches every document."""


@dataclass(frozen=True, slots=True)
class And:
    parts: "tuple[Query, ...]"


@dataclass(frozen=True, slots=True)
class Or:
    parts: "tuple[Query, ...]"


@dataclass(frozen=True, slots=True)
class Not:
    part: "Query"


Query: TypeAlias = Words | Value | Days | Numbers | Present | Everything | And | Or | Not


def parse(text: str) -> Query:
    """The tree that `text` means. Empty text means everything. Raises QueryError, and nothing else."""
    if len(text) > MAX_LENGTH:
        raise QueryError(
            f"the query has {len(text)} characters; at most {MAX_LENGTH} are allowed", MAX_LENGTH
        )
    return _Parser(text.encode(errors="replace").decode()).query()  # half characters become question marks


def address(url: str) -> str:
    """The form in which addresses are compared: no scheme, no « www. », no closing slash, no capitals."""
    return re.sub(r"^(https?://)?(www\.)?", "", url.strip().casefold()).rstrip("/")


def names(text: str) -> tuple[str, ...]:
    """The words of a name, in the form in which names are compared."""
    return tuple(token.exact for token in tokenize(text))


_BLANK = re.compile(r"\s*")
# « 12 500 » is one word, as it is in the articles.
_WORD = re.compile(r'\d{1,3}(?:[ \u00a0\u2009\u202f]\d{3})+(?![^\s()"«»“”„])|[^\s()"«»“”„]+')
_OPERATOR = re.compile(r'(AND|OR|NOT)(?![^\s()"«»“”„])')
_SIGN = re.compile(r"[+-](?=[^\s)])")
_FIELD = re.compile(r"([^\W\d]\w*):(?=(\S?))")
_SLOP = re.compile(r"~(\d*)")
_COMPARISON = re.compile(r"(>=|<=|>|<)\s*")
_RANGE = re.compile(r"([\[{])\s*([^\s\]}]+)\s+TO\s+([^\s\]}]+)\s*([\]}])")
_COMPARED = {
    "": ("{}", "{}", "[]"),
    ">=": ("{}", "*", "[]"),
    "<=": ("*", "{}", "[]"),
    ">": ("{}", "*", "{]"),
    "<": ("*", "{}", "[}"),
}
_CLOSING = {'"': '"“”„', "“": '"”', "„": '"“”', "«": "»"}
_DAY = re.compile(r"(\d{4})(?:-(\d\d?)(?:-(\d\d?))?)?", re.ASCII)
_NUMBER = re.compile(r"\d{1,9}", re.ASCII)
_FOREIGN = {
    "&&": "AND",
    "||": "OR",
}  # of other query languages; skipped as signs they would change the meaning


class _Parser:
    """Recursive descent over one text. A part that holds nothing to search for is None and left out."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.at = 0
        self.depth = 0
        self.leaves: set[Query] = set()

    def query(self) -> Query:
        tree = self._alternatives("")
        if self.at < len(self.text):
            raise self._error(f"unexpected {self.text[self.at]!r}: nothing is open that it could close")
        if tree is None and self.text.strip():
            raise QueryError("there is no letter or digit to search for", 0)
        return tree or Everything()

    def _alternatives(self, field: str) -> Query | None:
        found = [self._conjunction(field)]
        while (start := self._take_operator("OR")) is not None:
            found.append(self._conjunction(field))
            if not found[-1] or not found[-2]:
                raise QueryError("OR needs something on both sides", start)
        return _any(_all(parts) for parts in found)

    def _conjunction(self, field: str) -> list[Query | None]:
        found: list[Query | None] = []
        while True:
            start = self._take_operator("AND")
            if self._ended() or self._peek("OR"):
                if start is not None:
                    raise QueryError("AND needs something on both sides", start)
                return found
            if start is not None and (not found or self._peek("AND")):
                raise QueryError("AND needs something on both sides", start)
            found.append(self._operand(field))

    def _operand(self, field: str) -> Query | None:
        negative = False
        while True:
            start = self.at
            if self._take_operator("NOT") is not None:
                negative = not negative
            elif sign := self._take(_SIGN):
                negative ^= sign[0] == "-"
            else:
                break
            if self._ended() or self._peek("AND") or self._peek("OR"):
                raise QueryError(f"{self.text[start : self.at].strip()} needs something after it", start)
        found = self._primary(field)
        if found is not None and not isinstance(found, And | Or | Not):
            self.leaves.add(found)
        if len(self.leaves) > MAX_PARTS:
            raise self._error(f"the query has more than {MAX_PARTS} different parts")
        return _not(found) if negative else found

    def _primary(self, field: str) -> Query | None:
        name = _FIELD.match(self.text, self.at)
        if name is None or name[1].lower() in ("http", "https"):
            return self._value(field)
        if name[1].lower() in FIELDS:
            self.at = name.end()
            self._take(_BLANK)
            if self._ended():
                raise self._error(f"{name[0]} needs a value")
            return self._value(name[1].lower())
        if not name[2]:  # « Élections: le point », as in a headline
            return self._value(field)
        known = ", ".join(FIELDS)
        raise self._error(
            f"unknown field {name[1]!r} (put a text with a colon in quotes); the fields are {known}"
        )

    def _value(self, field: str) -> Query | None:
        if self.text[self.at] == "(":
            return self._group(field)
        if self.text[self.at] in _CLOSING:
            return self._quoted(field)
        if FIELDS.get(field) in (Kind.DATE, Kind.NUMBER):
            return self._range(field)
        start = self.at
        word = self._take(_WORD)
        if not word:
            raise self._error(f"unexpected {self.text[self.at]!r}: nothing is open that it could close")
        return self._word(field, word[0], start)

    def _group(self, field: str) -> Query | None:
        start = self.at
        self.depth += 1
        if self.depth > MAX_DEPTH:
            raise self._error(f"more than {MAX_DEPTH} parentheses inside each other")
        self.at += 1
        found = self._alternatives(field)
        if self.at == len(self.text):
            raise QueryError("this parenthesis is not closed", start)
        self.at += 1
        self.depth -= 1
        return found

    def _quoted(self, field: str) -> Query | None:
        start = self.at
        closing = _CLOSING[self.text[start]]
        end = next((i for i in range(start + 1, len(self.text)) if self.text[i] in closing), -1)
        if end < 0:
            raise QueryError("this quote is not closed", start)
        self.at = end + 1
        slop = self._slop()
        content = self.text[start + 1 : end].strip()
        kind = FIELDS.get(field, Kind.TEXT)
        if kind in (Kind.DATE, Kind.NUMBER):
            return _between(field, content, content, "[]", start)
        if kind in (Kind.CODE, Kind.URL):
            return _whole(field, content, start)
        return _words(field, content, start, slop=slop, quoted=True)

    def _slop(self) -> int:
        start = self.at
        found = self._take(_SLOP)
        if not found:
            return 0
        if not found[1] or int(found[1][:9]) > MAX_SLOP:
            raise QueryError(f"~ needs a number of words from 0 to {MAX_SLOP} after it", start)
        return int(found[1])

    def _range(self, field: str) -> Query:
        start = self.at
        if found := self._take(_RANGE):
            return _between(field, found[2], found[3], found[1] + found[4], start)
        comparison = self._take(_COMPARISON)
        word = self._take(_WORD)
        if not word:
            raise QueryError(f"{field}: needs a value", start)
        if word[0][0] in "[{":
            raise QueryError(f"a range reads {field}:[a TO b]", start)
        low, high, brackets = _COMPARED[comparison[1] if comparison else ""]
        return _between(field, low.format(word[0]), high.format(word[0]), brackets, start)

    def _word(self, field: str, word: str, start: int) -> Query | None:
        if word in _FOREIGN:
            raise QueryError(f"{word} is written {_FOREIGN[word]}", start)
        if re.match(r"!\w", word):
            raise QueryError("! is written NOT, or -", start)
        if word == "*":
            return Present(field) if field else Everything()
        if FIELDS.get(field) in (Kind.CODE, Kind.URL):
            return _whole(field, word, start)
        if not field and re.match(r"https?://", word, re.IGNORECASE):
            return _whole("url", word, start)
        if re.search(r"\w[~^][\d.]*$", word):
            raise QueryError(
                "~ goes after a phrase in quotes; similar spellings and weights do not exist", start
            )
        return _words(field, word, start)

    def _take(self, pattern: re.Pattern[str]) -> re.Match[str] | None:
        found = pattern.match(self.text, self.at)
        if found:
            self.at = found.end()
        return found

    def _peek(self, name: str) -> bool:
        self._take(_BLANK)
        found = _OPERATOR.match(self.text, self.at)
        return found is not None and found[1] == name

    def _take_operator(self, name: str) -> int | None:
        if not self._peek(name):
            return None
        start = self.at
        self.at += len(name)
        return start

    def _ended(self) -> bool:
        self._take(_BLANK)
        return self.at == len(self.text) or self.text[self.at] == ")"

    def _error(self, message: str) -> QueryError:
        return QueryError(message, self.at)


def _words(field: str, text: str, start: int, *, slop: int = 0, quoted: bool = False) -> Words | None:
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


def _whole(field: str, text: str, start: int) -> Value | None:
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


def _between(field: str, low: str, high: str, brackets: str, start: int) -> Query:
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


def _all(parts: Iterable[Query | None]) -> Query | None:
    flat: dict[Query, None] = {}
    for part in parts:
        if part is not None:
            flat |= dict.fromkeys(part.parts if isinstance(part, And) else (part,))
    telling = [part for part in flat if not (isinstance(part, Words) and part.skippable)]
    kept = [part for part in telling if part != Everything()] or telling or list(flat)
    return And(tuple(kept)) if len(kept) > 1 else next(iter(kept), None)


def _any(parts: Iterable[Query | None]) -> Query | None:
    flat: dict[Query, None] = {}
    for part in parts:
        if part is not None:
            flat |= dict.fromkeys(part.parts if isinstance(part, Or) else (part,))
    return Or(tuple(flat)) if len(flat) > 1 else next(iter(flat), None)


def _not(part: Query | None) -> Query | None:
    if isinstance(part, Not):
        return part.part
    return None if part is None else Not(part)
