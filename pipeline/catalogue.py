"""The publishers that are watched and the feeds they offer, read from `sources.yaml`.

Checks the file and names what is wrong with it, line by line. Does not fetch a feed or say when to.
"""

import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from difflib import get_close_matches
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from pipeline import yamlfile
from pipeline.errors import NotFound, Unparsable
from pipeline.urls import canonical, keys, split_host
from pipeline.yamlfile import FieldPath, Problem

if TYPE_CHECKING:
    from pydantic import BaseModel
    from pydantic_core import ErrorDetails

_MAX_SHOWN = 60  # characters of a value that was found
_DOMAIN = r"(?!www\.)[a-z0-9-]+(?:\.[a-z0-9-]+)*"


@dataclass(frozen=True, slots=True)
class FeedSource:
    """A feed and what is known of it. `evidence` says when it was last seen to work, or who lists it."""

    url: str
    publisher: str  # id
    section: str = ""
    evidence: str = ""


@dataclass(frozen=True, slots=True)
class Publisher:
    """A title of the press. `family` is the group that owns it, `country` an ISO 3166-1 code.

    `article_id` is a regular expression whose one group is the number of an article, searched in canonical
    URLs without their query; empty where they have no number.
    """

    id: str
    name: str
    family: str
    country: str
    domains: tuple[str, ...]
    article_id: str = ""
    languages: tuple[str, ...] = ("fr",)
    feeds: tuple[FeedSource, ...] = ()

    def owns(self, host: str) -> bool:
        """Whether a host ("name" or "name:port") is one of the publisher's domains or below one."""
        return any(name in self.domains for name in _names(host))


@dataclass(frozen=True, slots=True)
class Catalogue:
    """All publishers, in the order of the file."""

    publishers: tuple[Publisher, ...]
    _by_domain: dict[str, Publisher] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        by_domain = {domain: publisher for publisher in self.publishers for domain in publisher.domains}
        object.__setattr__(self, "_by_domain", by_domain)

    def get(self, publisher_id: str) -> Publisher | None:
        """The publisher with that id, or None: the catalogue may have lost one that the store still knows."""
        return next((publisher for publisher in self.publishers if publisher.id == publisher_id), None)

    def publisher(self, publisher_id: str) -> Publisher:
        """The publisher with that id, for people. Raises NotFound, naming the nearest id."""
        if found := self.get(publisher_id):
            return found
        nearest = _nearest(publisher_id, (publisher.id for publisher in self.publishers))
        raise NotFound(f"no publisher {publisher_id!r}{nearest}", hint="veille sources")

    def publisher_of(self, host: str) -> Publisher | None:
        """The publisher with the longest domain that a host ("name" or "name:port") is or is below."""
        return next((self._by_domain[name] for name in _names(host) if name in self._by_domain), None)

    def admits(self, publisher: str, language: str) -> bool:
        """Whether a text in this language is kept, coming from that publisher. What cannot be told is."""
        known = self.get(publisher)
        return language in ("und", *(known.languages if known else ("fr",)))

    def feeds(self) -> tuple[FeedSource, ...]:
        return tuple(feed for publisher in self.publishers for feed in publisher.feeds)


def _names(host: str) -> Iterator[str]:
    """A host's name and those above it: sport.gazette.fr, gazette.fr, fr."""
    name = split_host(host)[0].lower().rstrip(".")
    while name:
        yield name
        name = name.partition(".")[2]


def _nearest(word: str, words: Iterable[str]) -> str:
    close = get_close_matches(word, tuple(words), n=1, cutoff=0.5)
    return f"; did you mean {close[0]!r}?" if close else ""


# --- reading


def load(path: Path) -> Catalogue:
    """Read and check a catalogue. Raises ConfigError naming file, line and field of all that is wrong."""
    from pydantic import ValidationError

    file = yamlfile.read(path, hint="correct the file, then: veille sources")
    try:
        publishers = _levels()[0].model_validate(file.data).model_dump()["publishers"]
    except ValidationError as error:
        raise file.error([_complaint(problem) for problem in error.errors()]) from error
    found = tuple(_publisher(entry) for entry in publishers)
    if problems := [*_repeated(found), *_mistaken(found, publishers)]:
        raise file.error(problems)
    return Catalogue(found)


def _publisher(entry: dict[str, Any]) -> Publisher:
    return Publisher(
        id=entry["id"],
        name=entry["name"],
        family=entry["family"],
        country=entry["country"],
        domains=tuple(entry["domains"]),
        article_id=entry["article_id"],
        languages=tuple(entry["languages"]),
        feeds=tuple(FeedSource(publisher=entry["id"], **feed) for feed in entry["feeds"]),
    )


# --- checking

_EXPECTED = {"model_type": "a mapping", "list_type": "a list", "string_type": "text"}


def _complaint(problem: "ErrorDetails") -> Problem:
    """An error of pydantic's in our words."""
    path, kind = problem["loc"], problem["type"]
    if kind == "extra_forbidden":
        known = tuple(_levels()[len(path) // 2].model_fields)
        return path, f"unknown field{_nearest(str(path[-1]), known) or '; known are ' + ', '.join(known)}"
    if kind == "missing":
        return path, "missing"
    found = repr(problem["input"])
    found = found if len(found) <= _MAX_SHOWN else found[: _MAX_SHOWN - 1] + "…"
    cause = problem.get("ctx", {}).get("error")
    return path, f"found {found}; expected {cause or _EXPECTED.get(kind) or problem['msg']}"


def _repeated(publishers: tuple[Publisher, ...]) -> Iterator[Problem]:
    """What only one may have: an id, a domain, a feed under any spelling of its URL."""
    seen: dict[tuple[str, str], str] = {}
    for index, publisher in enumerate(publishers):
        here: FieldPath = ("publishers", index)
        names = [((*here, "id"), ("id", publisher.id))]
        names += [((*here, "domains", n), ("domain", name)) for n, name in enumerate(publisher.domains)]
        names += [
            ((*here, "feeds", n, "url"), ("feed", canonical(feed.url)))
            for n, feed in enumerate(publisher.feeds)
        ]
        for path, name in names:
            if name in seen:
                yield path, f"found {name[1]!r} again; expected a {name[0]} once, {seen[name]!r} has it"
            seen.setdefault(name, publisher.name)


def _mistaken(publishers: tuple[Publisher, ...], entries: list[dict[str, Any]]) -> Iterator[Problem]:
    """Examples of articles in which the publisher's own pattern finds no number."""
    for index, (publisher, entry) in enumerate(zip(publishers, entries, strict=True)):
        example = entry["example"]
        if example and not (_is_url(example) and len(keys(example, publisher)) > 1):
            expected = f"an article of {publisher.domains[0]} in which article_id finds a number"
            yield ("publishers", index, "example"), f"found {example!r}; expected {expected}"


def _is_url(value: str) -> bool:
    try:
        return bool(canonical(value))
    except Unparsable:
        return False


def _has_one_group(pattern: str) -> bool:
    try:
        return not pattern or re.compile(pattern).groups == 1
    except (re.error, OverflowError, RecursionError):
        return False


def _like(pattern: str) -> Callable[[str], object]:
    return re.compile(pattern).fullmatch


@cache
def _levels() -> "tuple[type[BaseModel], ...]":
    """The shapes of the file, of a publisher and of a feed. Made on first use: pydantic is slow to import."""
    from pydantic import AfterValidator, BaseModel, ConfigDict, Field

    def that(holds: Callable[[str], object], expected: str) -> AfterValidator:
        def check(value: str) -> str:
            if not holds(value):
                raise ValueError(expected)
            return value

        return AfterValidator(check)

    class FeedModel(BaseModel):
        model_config = ConfigDict(extra="forbid", strict=True)
        url: Annotated[str, that(_is_url, "an http(s) URL")]
        section: str = ""
        evidence: str = ""

    class PublisherModel(BaseModel):
        model_config = ConfigDict(extra="forbid", strict=True)
        id: Annotated[str, that(_like("[a-z0-9]+(?:-[a-z0-9]+)*"), "an id of a-z, 0-9 and -")]
        name: Annotated[str, that(str.strip, "a name")]
        family: str = ""
        country: Annotated[str, that(_like("[A-Z]{2}"), "a country's two capital letters")]
        domains: Annotated[
            list[Annotated[str, that(_like(_DOMAIN), 'a domain in lower case, without "www." and port')]],
            Field(min_length=1),
        ]
        article_id: Annotated[str, that(_has_one_group, "a regular expression with one group")] = ""
        example: str = ""  # an article's URL in which `article_id` finds a number
        languages: list[Annotated[str, that(_like("[a-z]{2,3}"), "a language's ISO 639 code")]] = ["fr"]
        feeds: list[FeedModel] = []

    class SourcesModel(BaseModel):
        model_config = ConfigDict(extra="forbid", strict=True)
        publishers: list[PublisherModel]

    return SourcesModel, PublisherModel, FeedModel
