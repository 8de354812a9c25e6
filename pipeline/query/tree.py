"""What a query means: its parts, the fields they look into, how the values of a field are compared. *Pure.*

Reads no text of a query and knows no engine.
"""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from datetime import date
from enum import Enum, auto
from itertools import islice, pairwise
from typing import Final, TypeAlias

from pipeline.errors import Permanent
from pipeline.tokens import tokenize


class QueryError(Permanent):
    """A query that cannot be understood. `position` counts characters from 0."""

    code = "query"

    def __init__(self, message: str, position: int, *, hint: str = "") -> None:
        super().__init__(f"{message}, at character {position + 1} of the query", hint=hint)
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


NEAR: Final = 2  # words that may stand between neighbours: « garanties de la sécurité »
NEIGHBOURS: Final = 32  # pairs; each costs an engine a dozen phrases, and who pastes a page asks for no order


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

    @property
    def plain(self) -> bool:
        """Whether it is one word, compared by its stem and not in quotes."""
        return len(self.terms) == 1 and not self.exact and not self.quoted


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

    @property
    def neighbours(self) -> tuple[Words, ...]:
        """Every two plain words that follow each other in the query, as a phrase that need not stand: where
        it does, the words are more likely to mean together what was asked for. The first NEIGHBOURS of them.
        """
        pairs = (
            Words(one.field, (*one.terms, replace(other.terms[0], offset=1)), slop=NEAR)
            for one, other in pairwise(self.parts)
            if isinstance(one, Words) and isinstance(other, Words)
            if one.plain and other.plain and one.field == other.field
        )
        return tuple(islice(pairs, NEIGHBOURS))


@dataclass(frozen=True, slots=True)
class Or:
    parts: "tuple[Query, ...]"


@dataclass(frozen=True, slots=True)
class Not:
    part: "Query"


Query: TypeAlias = Words | Value | Days | Numbers | Present | Everything | And | Or | Not


def values(query: Query, field: str) -> Iterator[str]:
    """The whole values that are asked of a field, prefixes left out."""
    match query:
        case And(parts) | Or(parts):
            for part in parts:
                yield from values(part, field)
        case Not(part):
            yield from values(part, field)
        case Value(name, value, False) if name == field:
            yield value


def address(url: str) -> str:
    """The form in which addresses are compared: no scheme, no « www. », no closing slash, no capitals."""
    return re.sub(r"^(https?://)?(www\.)?", "", url.strip().casefold()).rstrip("/")


def addresses(url: str) -> list[str]:
    """What « url: » finds it by: the address, its site, and the sites that its site is part of."""
    whole = address(url)
    labels = re.split(r"[/?#:]", whole, maxsplit=1)[0].split(".")
    return list(dict.fromkeys([whole, *(".".join(labels[i:]) for i in range(len(labels) - 1))]))


def names(text: str) -> tuple[str, ...]:
    """The words of a name, in the form in which names are compared."""
    return tuple(token.exact for token in tokenize(text))


def one_name(words: Iterable[str]) -> str:
    """The words of a whole name as one, so that « Le Monde » is told from « Le Monde diplomatique »."""
    return "-".join(words)
