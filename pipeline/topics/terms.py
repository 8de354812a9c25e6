"""Terms, the words and phrases of rules, and where they stand in a text. *Pure.*

Does not know what a term speaks for, and knows no regular expressions.
"""

import unicodedata
from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from collections.abc import Set as AbstractSet
from functools import cached_property, lru_cache
from itertools import chain, groupby
from operator import attrgetter
from typing import Literal, NamedTuple

from pipeline.memo import Memo
from pipeline.tokens import Token, Word, sentences, stem, tokenize, words

PREFIX_AT_LEAST = 4  # letters before a *: « mal* » would be Mali, malin and malade
QUOTED_AT_MOST = 400  # characters of a sentence that a hit quotes

Term = tuple[str, bool]  # as the rule writes it, and whether that is exact
_Key = tuple[str, str]  # by which a word is looked up: stem, exact or prefix, and its value
Unit = tuple[Literal["sentence", "paragraph"], str, int]  # a field's sentence or paragraph, by a number

_exact = attrgetter("exact")


class Asked(NamedTuple):
    """What a term asks of one word."""

    kind: Literal["stem", "exact", "prefix", "surface"]
    value: str
    capital: bool  # only words with a capital

    @property
    def key(self) -> _Key:
        """Its kind and value, or of a beginning as much as all words have that begin so."""
        return self.kind, self.value[:PREFIX_AT_LEAST] if self.kind == "prefix" else self.value

    def matches(self, token: Token) -> bool:
        if self.capital and not token.surface[0].isupper():
            return False
        if self.kind == "prefix":
            return token.exact.startswith(self.value)
        if self.kind == "surface":
            return _surface(token) == self.value
        return bool(getattr(token, self.kind) == self.value)


class Place(NamedTuple):
    """Where a term stands."""

    field: str
    start: int  # character offsets
    end: int
    words: tuple[int, ...]  # numbers of its words: they rise in the field, one by one in a line
    sentence: Unit
    paragraph: Unit


class Line:
    """A line of a field, read word by word. No sentence goes beyond its line, and so no term does."""

    def __init__(self, field: str, number: int, start: int, text: str) -> None:
        self.field = field
        self._start, self._text = start, text
        self._paragraph: Unit = ("paragraph", field, number)
        self._tokens = tokenize(text)
        self.words = [(number, token) for number, token in enumerate(self._tokens) if not token.stop]

    @cached_property
    def _sentences(self) -> list[tuple[int, int]]:
        return sentences(self._text)

    @cached_property
    def _sentence_starts(self) -> list[int]:
        return [start for start, _ in self._sentences]

    def _sentence(self, offset: int) -> Unit:
        return "sentence", self.field, self._start + bisect_right(self._sentence_starts, offset)

    def place(self, words: Sequence[tuple[int, Token]]) -> Place | None:
        """The place of neighbouring words; None where a sentence ends between them."""
        start, last = words[0][1].start, words[-1][1]
        sentence = self._sentence(start)
        if len(words) > 1 and self._sentence(last.start) != sentence:
            return None
        numbers = tuple(self._start + number for number, _ in words)
        return Place(
            self.field, self._start + start, self._start + last.end, numbers, sentence, self._paragraph
        )

    def spoken(self) -> Iterator[tuple[Unit, int, tuple[str, ...]]]:
        """Each sentence with the number of its first word and its words."""
        first = self._start
        for unit, tokens in groupby(self._tokens, lambda token: self._sentence(token.start)):
            words = tuple(token.exact for token in tokens)
            yield unit, first, words
            first += len(words)

    def quote(self, start: int, end: int) -> str:
        """The sentence around a place, or as much of it as is worth quoting."""
        start, end = start - self._start, end - self._start
        first, last = self._sentences[bisect_right(self._sentence_starts, start) - 1]
        if last - first > QUOTED_AT_MOST:
            first = max(first, min(start, (start + end - QUOTED_AT_MOST) // 2))
            last = min(last, first + QUOTED_AT_MOST)
        return self._text[first:last]


class Index:
    """Terms by their first word. A dictionary needs no automaton: a text is looked up word by word."""

    def __init__(self, terms: Iterable[Term]) -> None:
        self._terms: dict[_Key, list[tuple[Term, tuple[Asked, ...], frozenset[_Key]]]] = defaultdict(list)
        self._asked: set[_Key] = set()
        for term in terms:
            asked = parse(*term)
            first = _first_key(term, asked)
            needed = frozenset(word.key for word in asked if word.kind != "surface")
            self._terms[first].append((term, asked, needed))
            self._asked |= {first} | needed
        self._firsts = set(self._terms)
        self._keys = Memo(self._keys_of)

    def may_hold(self, words: Iterable[Word]) -> set[Term]:
        """The terms whose words are all among these: no others can stand in a text of them."""
        known = set(chain.from_iterable(map(self._keys.__getitem__, map(_exact, words))))
        return {
            term for key in known & self._firsts for term, _, needed in self._terms[key] if needed <= known
        }

    def find(self, lines: Iterable[Line]) -> dict[Term, list[Place]]:
        """Where each term stands, in the order of the lines."""
        found: dict[Term, list[Place]] = defaultdict(list)
        for line in lines:
            for position, (_, token) in enumerate(line.words):
                for key in self._keys[token.exact]:
                    for term, asked, _ in self._terms.get(key, ()):
                        here = line.words[position : position + len(asked)]
                        if _fits(asked, here) and (place := line.place(here)):
                            found[term].append(place)
        return found

    def _keys_of(self, exact: str) -> tuple[_Key, ...]:
        """By which keys terms may ask for this word."""
        keys = (("stem", stem(exact)), ("exact", exact), ("prefix", exact[:PREFIX_AT_LEAST]))
        return tuple(key for key in keys if key in self._asked)


class Field:
    """A title, lead or text, and which terms each of its lines may hold."""

    def __init__(self, name: str, text: str, index: Index) -> None:
        self._name = name
        self._texts = text.split("\n")
        self._held = {
            number: held for number, text in enumerate(self._texts) if (held := index.may_hold(words(text)))
        }
        self._lines: dict[int, Line] = {}

    def may_hold(self) -> set[Term]:
        """The terms that may stand in it."""
        return set().union(*self._held.values())

    def read(self, terms: AbstractSet[Term]) -> Iterable[Line]:
        """The lines where any of these terms may stand; of others it need not be known where words stand."""
        start = 0
        for number, text in enumerate(self._texts):
            if not terms.isdisjoint(self._held.get(number, ())):
                self._lines[number] = Line(self._name, number, start, text)
            start += len(text) + 1
        return self._lines.values()

    def quote(self, place: Place) -> str:
        """The sentence around a place in a line that was read."""
        return self._lines[place.paragraph[2]].quote(place.start, place.end)


def _first_key(term: Term, asked: Sequence[Asked]) -> _Key:
    if asked[0].kind == "surface":
        return "exact", next(token.exact for token in tokenize(term[0]) if not token.stop)
    return asked[0].key


def _fits(asked: Sequence[Asked], here: Sequence[tuple[int, Token]]) -> bool:
    return len(here) == len(asked) and all(
        word.matches(token) for word, (_, token) in zip(asked, here, strict=True)
    )


@lru_cache(maxsize=1 << 16)
def parse(term: str, exact: bool) -> tuple[Asked, ...]:
    """The words of a term, without stop words: what two spellings of one term have in common."""
    return tuple(_word(term, token, exact=exact) for token in tokenize(term) if not token.stop)


def _word(term: str, token: Token, *, exact: bool) -> Asked:
    if exact:
        return Asked("surface", _surface(token), capital=False)
    capital = token.surface[0].isupper()
    if term[token.end : token.end + 1] == "*":
        return Asked("prefix", token.exact, capital)
    return Asked("exact" if capital else "stem", token.exact if capital else token.stem, capital)


def _surface(token: Token) -> str:
    """A word as it is written, whichever its apostrophe and however its accents are encoded."""
    return "".join(filter(str.isalnum, unicodedata.normalize("NFC", token.surface)))


def first_said(lines: Iterable[Line]) -> dict[Unit, tuple[str, int]]:
    """Where each sentence was first said, word for word: in which field, and how many words further on.

    A feed's summary is often its title again, and an article's lead its first lines.
    """
    known: dict[tuple[str, ...], tuple[str, int]] = {}
    said = {}
    for line in lines:
        for unit, first, spoken in line.spoken():
            field, number = known.setdefault(spoken, (line.field, first))
            said[unit] = (field, number - first)
    return said
