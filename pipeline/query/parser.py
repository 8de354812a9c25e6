"""From the text of a query to its tree, by recursive descent. *Pure.*

Does not know what a single value means: `leaves` does.
"""

import re
from collections.abc import Iterable
from difflib import get_close_matches
from typing import Final

from pipeline.query import leaves
from pipeline.query.tree import FIELDS, And, Everything, Kind, Not, Or, Present, Query, QueryError, Words

MAX_LENGTH: Final = 16_384  # characters; the longest alert of a press service that we know of has under 3 000
MAX_DEPTH: Final = 16  # nested parentheses; a search server takes 30 queries inside each other, of any kind
MAX_PARTS: Final = 1_024  # different words, phrases and ranges; 1 000 took 57 ms on 1 500 articles
MAX_SLOP: Final = 100


def parse(text: str) -> Query:
    """The tree that `text` means. Empty text means everything. Raises QueryError, and nothing else."""
    if len(text) > MAX_LENGTH:
        raise QueryError(
            f"the query has {len(text)} characters; at most {MAX_LENGTH} are allowed", MAX_LENGTH
        )
    return _Parser(text.encode(errors="replace").decode()).query()  # half characters become question marks


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
        near = get_close_matches(name[1].lower(), FIELDS, n=1)
        raise QueryError(
            f"unknown field {name[1]!r} (put a text with a colon in quotes); the fields are {known}",
            self.at,
            hint=f"did you mean {near[0]}:?" if near else "",
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
            return leaves.between(field, content, content, "[]", start)
        if kind in (Kind.CODE, Kind.URL):
            return leaves.whole(field, content, start)
        return leaves.words(field, content, start, slop=slop, quoted=True)

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
            return leaves.between(field, found[2], found[3], found[1] + found[4], start)
        comparison = self._take(_COMPARISON)
        word = self._take(_WORD)
        if not word:
            raise QueryError(f"{field}: needs a value", start)
        if word[0][0] in "[{":
            raise QueryError(f"a range reads {field}:[a TO b]", start)
        low, high, brackets = _COMPARED[comparison[1] if comparison else ""]
        return leaves.between(field, low.format(word[0]), high.format(word[0]), brackets, start)

    def _word(self, field: str, word: str, start: int) -> Query | None:
        if word in _FOREIGN:
            raise QueryError(f"{word} is written {_FOREIGN[word]}", start)
        if re.match(r"!\w", word):
            raise QueryError("! is written NOT, or -", start)
        if word == "*":
            return Present(field) if field else Everything()
        if FIELDS.get(field) in (Kind.CODE, Kind.URL):
            return leaves.whole(field, word, start)
        if not field and re.match(r"https?://", word, re.IGNORECASE):
            return leaves.whole("url", word, start)
        if re.search(r"\w[~^][\d.]*$", word):
            raise QueryError(
                "~ goes after a phrase in quotes; similar spellings and weights do not exist", start
            )
        return leaves.words(field, word, start)

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
