"""The newsroom's data files, read into the values of `content`.

Checks what it reads and names file and field; does not judge what the texts say.
"""

import re
from collections.abc import Iterator
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any, TypeVar

from pipeline.errors import ConfigError
from pipeline.newsroom.content import Dispatch, FeedPlan, Publisher, Revision, Story, Stray
from pipeline.newsroom.hazards import KNOWN

T = TypeVar("T")
HERE = Path(__file__).parent
_BEFORE_HIGH_SIGN = re.compile(r" (?=[:;!?»%€])")


@cache
def load(folder: Path = HERE) -> tuple[Publisher, ...]:
    """Everything in `folder`'s data files, read once in a process: 0.2 s of CPU.

    Raises ConfigError that names the file and what is wrong.
    """
    from yaml import safe_load

    source = folder / "data" / "publishers.yaml"
    return tuple(_publisher(folder, source, item) for item in safe_load(source.read_text("utf-8")))


def typeset(text: str, apostrophe: str) -> str:
    """French typography: no line breaks before high punctuation nor inside « », one kind of apostrophe."""
    text = _BEFORE_HIGH_SIGN.sub("\N{NO-BREAK SPACE}", text).replace("« ", "«\N{NO-BREAK SPACE}")
    return text.replace("'", apostrophe)


def split(file: Path) -> tuple[dict[str, Any], tuple[str, ...]]:
    """The head and the paragraphs of a file. Raises ConfigError."""
    from yaml import YAMLError, safe_load

    try:
        _, head, body = file.read_text("utf-8").split("---\n", 2)
        return safe_load(head), tuple(_paragraphs(body))
    except (ValueError, YAMLError) as error:
        raise ConfigError(f"{file}: expected YAML between two lines ---, then paragraphs: {error}") from error
    except FileNotFoundError as error:
        raise ConfigError(f"{file} does not exist") from error


def build(cls: type[T], file: Path, values: dict[str, Any]) -> T:
    """A value of `cls`. Raises ConfigError where `file` leaves a field out or has one too many."""
    try:
        return cls(**values)
    except TypeError as error:  # its message names the field
        raise ConfigError(f"{file}: {error}") from error


def _publisher(folder: Path, source: Path, item: dict[str, Any]) -> Publisher:
    feeds = tuple(_feed(source, values, item["apostrophe"]) for values in item.pop("feeds", []))
    templates = folder / "templates"
    layouts = {"template": (templates / f"{item['id']}.html").read_text("utf-8")}
    if item.pop("amp", False):
        layouts["amp_template"] = (templates / "amp.html").read_text("utf-8")
    publisher = build(Publisher, source, {**item, **layouts, "feeds": feeds})
    files = sorted((folder / "data" / "articles" / publisher.id).glob("*.md"))
    return replace(publisher, stories=tuple(_story(folder, file, publisher) for file in files))


def _feed(source: Path, values: dict[str, Any], apostrophe: str) -> FeedPlan:
    strays = tuple(_stray(source, stray, apostrophe) for stray in values.pop("strays", []))
    sections = tuple(values.pop("sections", ()))
    return build(FeedPlan, source, {**values, "sections": sections, "strays": strays})


def _stray(source: Path, values: dict[str, Any], apostrophe: str) -> Stray:
    stray = build(Stray, source, values)
    _check_hazard(source, stray.hazard)
    return replace(stray, title=typeset(stray.title, apostrophe), summary=typeset(stray.summary, apostrophe))


def _story(folder: Path, file: Path, publisher: Publisher) -> Story:
    head, paragraphs = split(file)
    name, take = head.pop("dispatch", ""), head.pop("dispatch_paragraphs", None)
    revised = tuple(build(Revision, file, values) for values in head.pop("revised", ()))
    moved_from = tuple(head.pop("moved_from", ()))
    own = {"publisher": publisher.id, "slug": file.stem, "paragraphs": paragraphs}
    story = build(Story, file, {**own, "revised": revised, "moved_from": moved_from, **head})
    _check_hazard(file, story.hazard)
    sign = publisher.apostrophe
    return replace(
        story,
        title=typeset(story.title, sign),
        lead=typeset(story.lead, sign),
        paragraphs=tuple(typeset(text, sign) for text in paragraphs),
        revised=tuple(replace(one, title=typeset(one.title, sign)) for one in revised),
        dispatch=_dispatch(folder, name, take, sign) if name else None,
    )


def _dispatch(folder: Path, name: str, take: int | None, apostrophe: str) -> Dispatch:
    file = folder / "data" / "dispatches" / f"{name}.md"
    head, paragraphs = split(file)
    return build(
        Dispatch, file, {**head, "paragraphs": tuple(typeset(p, apostrophe) for p in paragraphs[:take])}
    )


def _check_hazard(file: Path, hazard: str) -> None:
    if hazard and hazard not in KNOWN:
        raise ConfigError(
            f"{file}: hazard is {hazard!r}; one of these is expected: {', '.join(sorted(KNOWN))}"
        )


def _paragraphs(body: str) -> Iterator[str]:
    for block in body.split("\n\n"):
        if text := " ".join(block.split()):
            yield text
