"""Terms, the words and phrases of rules, and where they stand in a text. *Pure.*

Does not know what a term speaks for, and knows no regular expressions.
"""

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterable, Sequence
from functools import cached_property
from typing import Literal, NamedTuple

from pipeline.tokens import Token, sentences, tokenize

PREFIX_AT_LEAST = 4  # letters before a *: « mal* » would be Mali, malin and malade
QUOTED_AT_MOST = 400  # characters of a sentence that a hit quotes

Term = tuple[str, bool]  # as the rule writes it, and whether that is exact


class Word(NamedTuple):
    kind: Literal["stem", "exact", "prefix", "surface"]
    value: str
    capital: bool  # only words with a capital

    def matches(self, token: Token) -> bool:
        if self.capital and not token.surface[0].isupper():
            return False
        if self.kind == "prefix":
            return token.exact.startswith(self.value)
        return bool(getattr(token, self.kind) == self.value)


class Place(NamedTuple):
    """Where a term stands."""

    field: str
    start: int  # character offsets
    end: int
    words: tuple[int, ...]  # the numbers of its words in the field
    sentence: tuple[str, int]
    paragraph: tuple[str, int]


class Field:
    """A title, lead or text, with its words and where they stand."""

    def __init__(self, name: str, text: str) -> None:
        self.name, self.text = name, text
        self.words = [(number, token) for number, token in enumerate(tokenize(text)) if not token.stop]

    @cached_property
    def sentences(self) -> list[tuple[int, int]]:
        return sentences(self.text)

    @cached_property
    def _sentence_starts(self) -> list[int]:
        return [start for start, _ in self.sentences]

    @cached_property
    def _line_ends(self) -> list[int]:
        return [offset for offset, char in enumerate(self.text) if char == "\n"]

    def place(self, words: Sequence[tuple[int, Token]]) -> Place | None:
        """The place of neighbouring words; None where a sentence ends between them."""
        start, last = words[0][1].start, words[-1][1]
        sentence = bisect_right(self._sentence_starts, start)
        if len(words) > 1 and bisect_right(self._sentence_starts, last.start) != sentence:
            return None
        return Place(
            self.name,
            start,
            last.end,
            tuple(number for number, _ in words),
            (self.name, sentence),
            (self.name, bisect_right(self._line_ends, start)),
        )

    def quote(self, start: int, end: int) -> str:
        """The sentence around a place, or as much of it as is worth quoting."""
        first, last = self.sentences[bisect_right(self._sentence_starts, start) - 1]
        if last - first > QUOTED_AT_MOST:
            first = max(first, min(start, (start + end - QUOTED_AT_MOST) // 2))
            last = min(last, first + QUOTED_AT_MOST)
        return self.text[first:last]


class Index:
    """Terms by their first word. A dictionary needs no automaton: a text is looked up word by word."""

    def __init__(self, terms: Iterable[Term]) -> None:
        self._terms: dict[str, dict[str, list[tuple[Term, tuple[Word, ...]]]]] = {
            "stem": defaultdict(list), "exact": defaultdict(list), "prefix": defaultdict(list)
        }  # fmt: skip
        for term in terms:
            words = parse(*term)
            kind, key = words[0].kind, words[0].value
            if kind == "prefix":
                key = key[:PREFIX_AT_LEAST]
            elif kind == "surface":
                kind, key = "exact", tokenize(key)[0].exact
            self._terms[kind][key].append((term, words))

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


def parse(term: str, exact: bool) -> tuple[Word, ...]:
    """The words of a term, without stop words."""
    return tuple(_word(term, token, exact=exact) for token in tokenize(term) if not token.stop)


def _word(term: str, token: Token, *, exact: bool) -> Word:
    if exact:
        return Word("surface", token.surface, capital=False)
    capital = token.surface[0].isupper()
    if term[token.end : token.end + 1] == "*":
        return Word("prefix", token.exact, capital)
    return Word("exact" if capital else "stem", token.exact if capital else token.stem, capital)
