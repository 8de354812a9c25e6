"""The rule of a topic: the words and phrases that say that an article carries it. *Pure.*

Does not know how a rule is written down (`rulebook` does) or applied (`topics` does).
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import chain
from typing import ClassVar, Literal

Scope = Literal["sentence", "paragraph", "article"]

# Pydantic reads this name of a dataclass: fields that nobody knows are errors, not comments.
_CLOSED: dict[str, object] = {"extra": "forbid"}


@dataclass(frozen=True, slots=True)
class Group:
    """Terms of which the article has to hold one."""

    terms: tuple[str, ...]
    name: str = ""
    exact: bool = False  # only as it is written here: case, accents, ending
    __pydantic_config__: ClassVar = _CLOSED


@dataclass(frozen=True, slots=True)
class Evidence:
    """Terms, or terms near each other in a sentence, that speak for the topic, or with a minus against it.

    A narrower scope counts them only where every group of `all` is met too: in the same sentence or
    paragraph, or in the title. `within` is how many words the last may come after the first.
    """

    terms: tuple[str, ...] = ()
    near: tuple[tuple[str, ...], ...] = ()
    name: str = ""
    weight: float = 1.0
    within: int = 8
    ordered: bool = False
    scope: Scope = "article"
    exact: bool = False
    __pydantic_config__: ClassVar = _CLOSED


@dataclass(frozen=True, slots=True)
class Veto:
    """Terms that silence the evidence in their sentence or paragraph, or forbid the topic altogether."""

    terms: tuple[str, ...]
    name: str = ""
    scope: Scope = "article"
    exact: bool = False
    __pydantic_config__: ClassVar = _CLOSED


@dataclass(frozen=True, slots=True)
class Boost:
    """What evidence counts for by its place."""

    title: float = 3.0
    lead: float = 1.5
    body: float = 1.0
    __pydantic_config__: ClassVar = _CLOSED


@dataclass(frozen=True, slots=True)
class Examples:
    """Texts that must and must not carry the topic; the first of several lines is the title."""

    match: tuple[str, ...] = ()
    no_match: tuple[str, ...] = ()
    __pydantic_config__: ClassVar = _CLOSED


@dataclass(frozen=True, slots=True)
class Rule:
    """When an article carries a topic.

    It does iff every group of `all` is met, no veto forbids it, at least `min_distinct` different pieces of
    evidence are there, and the points reach `threshold`. A piece of evidence counts its weight times the
    boost of its place, at most `cap_per_term` times; a word counts for one piece only, the heaviest, and a
    sentence that is said again, word for word, counts once.

    A term is a word or phrase. Plural, feminine, accents, hyphens, elided articles and stop words do not
    matter; « * » ends a word of at least four letters in any way; a word with a capital stands for words
    with one, as they are but for accents: OTAN is OTAN and Otan, Mali is not mali.
    """

    id: str
    version: int
    label: Mapping[str, str]
    any: tuple[Evidence, ...]
    threshold: float
    all: tuple[Group, ...] = ()
    none: tuple[Veto, ...] = ()
    iptc: tuple[str, ...] = ()
    wikidata: tuple[str, ...] = ()
    languages: tuple[str, ...] = ("fr",)
    boost: Boost = Boost()
    cap_per_term: int = 3
    min_distinct: int = 1
    examples: Examples = field(default=Examples(), repr=False)
    __pydantic_config__: ClassVar = _CLOSED


def written(group: Group | Evidence | Veto) -> tuple[str, ...]:
    """All terms of a group, those that have to stand near each other included."""
    return (*group.terms, *chain.from_iterable(group.near)) if isinstance(group, Evidence) else group.terms
