"""Terms, the words and phrases of rules, and where they stand in a text. *Pure.*

Does not know what a term speaks for, and knows no regular expressions.
"""

import unicodedata
from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from functools import cached_property, lru_cache
from itertools import groupby
from typing import Literal, NamedTuple

from pipeline.tokens import Token, Word, sentences, tokenize

PREFIX_AT_LEAST = 4  # letters before a *: « mal* » would be Mali, malin and malade
QUOTED_AT_MOST = 400  # characters of a sentence that a hit quotes

Term = tuple[str, bool]  # as the rule writes it, and whether that is exact
Unit = tuple[Literal["sentence", "paragraph"], str, int]  # a field's sentence or paragraph, by its number


class Asked(NamedTuple):
    """What a term asks of one word."""

    kind: Literal["stem", "exact", "prefix", "surface"]
    value: str
    capital: bool  # only words with a capital

    @property
    def key(self) -> str:
        """Its value, or of a beginning as much as all words have that begin so."""
        return self.value[:PREFIX_AT_LEAST] if self.kind == "prefix" else self.value

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
    words: tuple[int, ...]  # the numbers of its words in the field
    sentence: Unit
    paragraph: Unit


class Field:
    """A title, lead or text, with its words and where they stand."""

    def __init__(self, name: str, text: str) -> None:
        self.name, self.text = name, text
        self._tokens = tokenize(text)
        self.words = [(number, token) for number, token in enumerate(self._tokens) if not token.stop]

    @cached_property
    def _sentences(self) -> list[tuple[int, int]]:
        return sentences(self.text)

    @cached_property
    def _sentence_starts(self) -> list[int]:
        return [start for start, _ in self._sentences]

    @cached_property
    def _line_ends(self) -> list[int]:
        return [offset for offset, char in enumerate(self.text) if char == "\n"]

    def _sentence(self, offset: int) -> Unit:
        return "sentence", self.name, bisect_right(self._sentence_starts, offset)

    def place(self, words: Sequence[tuple[int, Token]]) -> Place | None:
        """The place of neighbouring words; None where a sentence ends between them."""
        start, last = words[0][1].start, words[-1][1]
        sentence = self._sentence(start)
        if len(words) > 1 and self._sentence(last.start) != sentence:
            return None
        numbers = tuple(number for number, _ in words)
        paragraph: Unit = ("paragraph", self.name, bisect_right(self._line_ends, start))
        return Place(self.name, start, last.end, numbers, sentence, paragraph)

    def spoken(self) -> Iterator[tuple[Unit, int, tuple[str, ...]]]:
        """Each sentence with the number of its first word and its words."""
        first = 0
        for unit, tokens in groupby(self._tokens, lambda token: self._sentence(token.start)):
            words = tuple(token.exact for token in tokens)
            yield unit, first, words
            first += len(words)

    def quote(self, start: int, end: int) -> str:
        """The sentence around a place, or as much of it as is worth quoting."""
        first, last = self._sentences[self._sentence(start)[2] - 1]
        if last - first > QUOTED_AT_MOST:
            first = max(first, min(start, (start + end - QUOTED_AT_MOST) // 2))
            last = min(last, first + QUOTED_AT_MOST)
        return self.text[first:last]


class Index:
    """Terms by their first word. A dictionary needs no automaton: a text is looked up word by word."""

    def __init__(self, terms: Iterable[Term]) -> None:
        self._terms: dict[str, dict[str, list[tuple[Term, tuple[Asked, ...]]]]] = {
            "stem": defaultdict(list), "exact": defaultdict(list), "prefix": defaultdict(list)
        }  # fmt: skip
        for term in terms:
            words = parse(*term)
            kind, key = words[0].kind, words[0].key
            if kind == "surface":
                kind, key = "exact", next(token.exact for token in tokenize(term[0]) if not token.stop)
            self._terms[kind][key].append((term, words))

    def may_hold(self, words: Iterable[Word]) -> set[Term]:
        """The terms whose words are all among these: no others can stand in a text of them."""
        said = set(words)
        known = {
            "stem": {word.stem for word in said},
            "exact": {word.exact for word in said},
            "prefix": {word.exact[:PREFIX_AT_LEAST] for word in said},
        }
        return {
            term
            for kind, terms in self._terms.items()
            for key in terms.keys() & known[kind]
            for term, asked in terms[key]
            if all(word.key in known.get(word.kind, (word.key,)) for word in asked)
        }

    def find(self, fields: Iterable[Field]) -> dict[Term, list[Place]]:
        """Where each term stands, in the order of the fields."""
        found: dict[Term, list[Place]] = defaultdict(list)
        stems, exacts, prefixes = (self._terms[kind].get for kind in ("stem", "exact", "prefix"))
        for part in fields:
            for position, (_, token) in enumerate(part.words):
                exact = token.exact
                for terms in (stems(token.stem), exacts(exact), prefixes(exact[:PREFIX_AT_LEAST])):
                    for term, words in terms or ():
                        here = part.words[position : position + len(words)]
                        fits = len(here) == len(words) and all(
                            word.matches(token) for word, (_, token) in zip(words, here, strict=True)
                        )
                        if fits and (place := part.place(here)):
                            found[term].append(place)
        return found


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


def first_said(fields: Iterable[Field]) -> dict[Unit, tuple[str, int]]:
    """Where each sentence was first said, word for word: in which field, and how many words further on.

    A feed's summary is often its title again, and an article's lead its first lines.
    """
    known: dict[tuple[str, ...], tuple[str, int]] = {}
    said = {}
    for part in fields:
        for unit, first, words in part.spoken():
            field, number = known.setdefault(words, (part.name, first))
            said[unit] = (field, number - first)
    return said
