"""The newsroom's gold: what must become of every entry of its feeds, once all editions were read.

Reads the data file and puts it together with the stories; does not look at what Veille made of them.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

from pipeline.errors import ConfigError
from pipeline.newsroom.content import Publisher, Story, Stray
from pipeline.newsroom.loading import HERE, build
from pipeline.newsroom.printing import EDITIONS, Printing

STRAY_AUTHORS = ("La rédaction",)  # as the feeds say


@dataclass(frozen=True, slots=True)
class Verdict:
    """What the data file says of one entry."""

    topics: tuple[str, ...] = ()
    open: tuple[str, ...] = ()
    false_friend: tuple[str, ...] = ()
    outcome: str = ""
    page: str = "full"
    authors: tuple[str, ...] = ()
    copy_of: str = ""
    share: float = 0.0
    earlier: "Verdict | None" = None


@dataclass(frozen=True, slots=True)
class Gold:
    """The data file: the topics that were judged, and a verdict for each (publisher, slug or link)."""

    judged: tuple[str, ...]
    verdicts: dict[tuple[str, str], Verdict]


@dataclass(frozen=True, slots=True)
class Fate:
    """What must become of one entry."""

    publisher: str
    name: str  # the story's slug, or the stray's link
    url: str  # as a feed gives it, without tracking
    title: str  # after the last edition
    authors: tuple[str, ...]
    day: date  # of publication, in Paris
    language: str
    outcome: str
    page: str
    topics: frozenset[str]
    not_topics: frozenset[str]
    false_friend: frozenset[str]  # those of `not_topics` that it is there to try
    revisions: int
    copy_of: str = ""  # url of the entry that it copies
    share: float = 0.0  # of its text that stands there, about


def load(folder: Path = HERE) -> Gold:
    """What the data file says. Raises ConfigError, naming file and field, for what no verdict has."""
    from yaml import safe_load

    file = folder / "data" / "gold.yaml"
    values = safe_load(file.read_text("utf-8"))
    verdicts = {
        (publisher, name): _verdict(file, said)
        for publisher, entries in values["entries"].items()
        for name, said in entries.items()
    }
    return Gold(tuple(values["judged"]), verdicts)


def fates(gold: Gold, publishers: tuple[Publisher, ...], printing: Printing) -> Iterator[Fate]:
    """The fate of every entry that the feeds of `publishers` ever carry, where the first start is that of
    `printing`. Raises ConfigError for an entry without a verdict, and for a copy of what is none of them.
    """
    last = replace(printing, now=_edition(printing, EDITIONS[-1]))
    urls = {
        f"{publisher.id}/{story.slug}": last.url(publisher, story)
        for publisher in publishers
        for story in publisher.stories
    }
    for publisher in publishers:
        for story in publisher.stories:
            verdict = _of(gold, publisher, story.slug)
            fate = _story(gold, publisher, story, last, verdict)
            yield replace(fate, copy_of=_original(urls, verdict), share=verdict.share)
            if verdict.earlier:
                yield _earlier(publisher, story, last, fate, verdict.earlier)
        for stray in dict.fromkeys(stray for feed in publisher.feeds for stray in feed.strays):
            yield _stray(gold, publisher, stray, last)


def _verdict(file: Path, said: dict[str, Any]) -> Verdict:
    earlier = said.get("earlier")
    lists = {name: tuple(value) for name, value in said.items() if isinstance(value, list)}
    verdict = build(Verdict, file, said | lists)
    return replace(verdict, earlier=_verdict(file, earlier)) if earlier else verdict


def _of(gold: Gold, publisher: Publisher, name: str) -> Verdict:
    try:
        return gold.verdicts[publisher.id, name]
    except KeyError as error:
        raise ConfigError(f"gold.yaml says nothing of {publisher.id}/{name}") from error


def _original(urls: dict[str, str], verdict: Verdict) -> str:
    if verdict.copy_of and verdict.copy_of not in urls:
        raise ConfigError(f"gold.yaml: copy_of is {verdict.copy_of!r}, which is no story")
    return urls.get(verdict.copy_of, "")


def _story(gold: Gold, publisher: Publisher, story: Story, last: Printing, verdict: Verdict) -> Fate:
    revisions = _revisions(story, last)
    usual = "not_french" if story.language != "fr" else "revised" if revisions > 1 else "new"
    return Fate(
        publisher=publisher.id,
        name=story.slug,
        url=last.home(publisher) + (*story.moved_from, last.path(publisher, story))[0],
        title=last.title(story),
        authors=verdict.authors or (story.author,),
        day=last.published(story).date(),
        language=story.language,
        outcome=verdict.outcome or usual,
        page=verdict.page,
        topics=frozenset(verdict.topics),
        not_topics=_not_topics(gold, verdict),
        false_friend=frozenset(verdict.false_friend),
        revisions=revisions,
    )


def _earlier(publisher: Publisher, story: Story, last: Printing, fate: Fate, verdict: Verdict) -> Fate:
    """The entry that gives the earlier slug: the same article, so only the outcome is its own."""
    url = last.home(publisher) + last.path(publisher, story, story.other_slug)
    return replace(fate, name=story.other_slug, url=url, outcome=verdict.outcome)


def _stray(gold: Gold, publisher: Publisher, stray: Stray, last: Printing) -> Fate:
    verdict = _of(gold, publisher, stray.link)
    return Fate(
        publisher=publisher.id,
        name=stray.link,
        url=stray.link.replace("{home}", last.home(publisher)),
        title=stray.title,
        authors=verdict.authors or STRAY_AUTHORS,
        day=last.instant(stray.hours).date(),
        language="fr",
        outcome=verdict.outcome or "new",
        page=verdict.page,
        topics=frozenset(verdict.topics),
        not_topics=_not_topics(gold, verdict),
        false_friend=frozenset(verdict.false_friend),
        revisions=0 if verdict.outcome == "failed" else 1,
    )


def _not_topics(gold: Gold, verdict: Verdict) -> frozenset[str]:
    return frozenset(gold.judged) - {*verdict.topics, *verdict.open}


def _revisions(story: Story, printing: Printing) -> int:
    """How many different versions of it the editions bring."""
    seen = [replace(printing, now=_edition(printing, hours)) for hours in EDITIONS]
    return len({one.version(story) for one in seen if one.is_out(story)})


def _edition(printing: Printing, hours: float) -> datetime:
    return printing.epoch + timedelta(hours=hours)
