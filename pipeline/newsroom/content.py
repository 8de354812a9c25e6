"""What the newsroom publishes, read from its data files: publishers, feeds, stories.

Does not know when or where it is served: times are hours before the newsroom's first start.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeVar

from pipeline.errors import ConfigError

T = TypeVar("T")
HERE = Path(__file__).parent
_BEFORE_HIGH_SIGN = re.compile(r" (?=[:;!?»%€])")


@dataclass(frozen=True, slots=True)
class Dispatch:
    """A text that an agency sent to several publishers."""

    hours: float
    paragraphs: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Story:
    """An article as its author left it.

    A paragraph that starts with `## ` is a subheading; one that starts with `@2 ` is printed from the
    second edition on. {jour}, {veille} and {lendemain} stand for the weekday of publication and its
    neighbours, so that a story agrees with its date.
    """

    publisher: str  # id
    slug: str
    number: int
    title: str
    lead: str
    section: str
    author: str
    hours: float  # before the newsroom's first start
    paragraphs: tuple[str, ...]
    language: str = "fr"
    retitled: str = ""  # the title from the second edition on
    path: str = ""  # instead of the publisher's usual address
    moved_from: str = ""  # the path that the feeds give; it answers 301
    tracking: str = ""  # query that tracked feeds append to the link
    visible: int | None = None  # paragraphs shown before the paywall; None: all
    dispatch: Dispatch | None = None  # follows the story's own paragraphs

    @property
    def has_second_edition(self) -> bool:
        return bool(self.retitled) or any(text.startswith("@2 ") for text in self.paragraphs)


@dataclass(frozen=True, slots=True)
class Stray:
    """A feed entry that leads to no story of ours."""

    title: str
    summary: str
    link: str  # {home} stands for the publisher's own address
    hours: float


@dataclass(frozen=True, slots=True)
class FeedPlan:
    """What a publisher's feed carries, and in which state it is served."""

    path: str
    format: str  # rss or atom
    section: str  # its name in sources.yaml
    sections: tuple[str, ...] = ()  # carries these only; empty: everything
    tracked: bool = False
    damaged: bool = False
    strays: tuple[Stray, ...] = ()

    def carries(self, story: Story) -> bool:
        return not self.sections or story.section in self.sections


@dataclass(frozen=True, slots=True)
class Publisher:
    """An invented publisher with all its stories."""

    id: str
    name: str
    tagline: str
    family: str
    country: str
    host: str  # without port
    addresses: str  # pattern of its articles' paths
    apostrophe: str
    robots: str
    template: str
    feeds: tuple[FeedPlan, ...]
    stories: tuple[Story, ...] = ()
    article_id: str = ""  # regex with one group, over the URL


def load(folder: Path = HERE) -> tuple[Publisher, ...]:
    """Everything in `folder`'s data files. Raises ConfigError that names the file and what is wrong."""
    from yaml import safe_load

    source = folder / "data" / "publishers.yaml"
    return tuple(_publisher(folder, source, item) for item in safe_load(source.read_text("utf-8")))


def typeset(text: str, apostrophe: str) -> str:
    """French typography: no line breaks before high punctuation nor inside « », one kind of apostrophe."""
    text = _BEFORE_HIGH_SIGN.sub("\N{NO-BREAK SPACE}", text).replace("« ", "«\N{NO-BREAK SPACE}")
    return text.replace("'", apostrophe)


def _publisher(folder: Path, source: Path, item: dict[str, Any]) -> Publisher:
    feeds = tuple(_feed(source, values, item["apostrophe"]) for values in item.pop("feeds", []))
    template = (folder / "templates" / f"{item['id']}.html").read_text("utf-8")
    publisher = _build(Publisher, source, {**item, "template": template, "feeds": feeds})
    files = sorted((folder / "data" / "articles" / publisher.id).glob("*.md"))
    return replace(publisher, stories=tuple(_story(folder, file, publisher) for file in files))


def _feed(source: Path, values: dict[str, Any], apostrophe: str) -> FeedPlan:
    strays = tuple(_stray(source, stray, apostrophe) for stray in values.pop("strays", []))
    sections = tuple(values.pop("sections", ()))
    return _build(FeedPlan, source, {**values, "sections": sections, "strays": strays})


def _stray(source: Path, values: dict[str, Any], apostrophe: str) -> Stray:
    stray = _build(Stray, source, values)
    return replace(stray, title=typeset(stray.title, apostrophe), summary=typeset(stray.summary, apostrophe))


def _story(folder: Path, file: Path, publisher: Publisher) -> Story:
    head, paragraphs = _split(file)
    name, take = head.pop("dispatch", ""), head.pop("dispatch_paragraphs", None)
    story = _build(
        Story, file, {"publisher": publisher.id, "slug": file.stem, "paragraphs": paragraphs, **head}
    )
    dispatch = _dispatch(folder, name, take, publisher.apostrophe) if name else None
    return replace(
        story,
        title=typeset(story.title, publisher.apostrophe),
        lead=typeset(story.lead, publisher.apostrophe),
        retitled=typeset(story.retitled, publisher.apostrophe),
        paragraphs=tuple(typeset(text, publisher.apostrophe) for text in paragraphs),
        dispatch=dispatch,
    )


def _dispatch(folder: Path, name: str, take: int | None, apostrophe: str) -> Dispatch:
    file = folder / "data" / "dispatches" / f"{name}.md"
    head, paragraphs = _split(file)
    return _build(
        Dispatch, file, {**head, "paragraphs": tuple(typeset(p, apostrophe) for p in paragraphs[:take])}
    )


def _split(file: Path) -> tuple[dict[str, Any], tuple[str, ...]]:
    from yaml import YAMLError, safe_load

    try:
        _, head, body = file.read_text("utf-8").split("---\n", 2)
        return safe_load(head), tuple(_paragraphs(body))
    except (ValueError, YAMLError) as error:
        raise ConfigError(f"{file}: expected YAML between two lines ---, then paragraphs: {error}") from error
    except FileNotFoundError as error:
        raise ConfigError(f"{file} does not exist") from error


def _paragraphs(body: str) -> Iterator[str]:
    for block in body.split("\n\n"):
        if text := " ".join(block.split()):
            yield text


def _build(cls: type[T], file: Path, values: dict[str, Any]) -> T:
    try:
        return cls(**values)
    except TypeError as error:  # a missing or an unknown field: the message names it
        raise ConfigError(f"{file}: {error}") from error
