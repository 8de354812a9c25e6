"""The newsroom at one moment: what is out, what it says, how it is dated, where it lives. *Pure.*

A function of the first start and the moment alone: two printings of one moment are equal, whatever came
between. Does not render anything.
"""

import re
import unicodedata
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from pipeline.newsroom.content import Publisher, Story, Stray

PARIS = ZoneInfo("Europe/Paris")
DAYS = ("lundi", "mardi", "mercredi", "jeudi", "vendredi", "samedi", "dimanche")
MONTHS = (
    *("janvier", "février", "mars", "avril", "mai", "juin"),
    *("juillet", "août", "septembre", "octobre", "novembre", "décembre"),
)
# Hours after the first start at which a demonstration looks in: between any two something is revised, and
# after the last nothing changes any more. Less than a day, so that it can end in the present (`server`).
EDITIONS = (0.0, 6.0, 20.0)
_MARK = re.compile(r"@(\d+) ")
_DISPATCH = "@dispatch"


@dataclass(frozen=True, slots=True)
class Printing:
    """The newsroom as it is at the moment `now`, counted from the instant `epoch` of its first start."""

    epoch: datetime  # with time zone
    port: int
    now: datetime

    def home(self, publisher: Publisher) -> str:
        return f"http://{publisher.host}:{self.port}"

    def instant(self, hours: float) -> datetime:
        """`hours` before the first start, in Paris, to the minute (as publishers date their articles)."""
        moment = self.epoch.astimezone(UTC) - timedelta(hours=hours)
        return moment.replace(second=0, microsecond=0).astimezone(PARIS)

    def is_out(self, item: Story | Stray) -> bool:
        return self.instant(item.hours) <= self.now

    def stories(self, publisher: Publisher) -> list[Story]:
        """Those that are out."""
        return [story for story in publisher.stories if self.is_out(story)]

    def published(self, story: Story) -> datetime:
        return self.instant(story.hours)

    def version(self, story: Story) -> int:
        """Counted from 1, in the order of `story.revised`."""
        return 1 + sum(self.instant(revision.hours) <= self.now for revision in story.revised)

    def modified(self, story: Story) -> datetime:
        """When the present version came out."""
        return self._came_out(story, self.version(story))

    def title(self, story: Story) -> str:
        titles = [revision.title for revision in story.revised[: self.version(story) - 1]]
        return next(filter(None, reversed(titles)), story.title)

    def text(self, story: Story) -> tuple[str, ...]:
        """The paragraphs of the present version, dispatch included, with the weekdays of their dates."""
        marked = [_marked(text) for text in story.paragraphs]
        printed = [(number, text) for number, text in marked if number <= self.version(story)]
        if story.live:
            printed.sort(key=lambda one: (one[0] > 0, -one[0]))  # what leads in, then the latest
        if story.dispatch and (0, _DISPATCH) not in printed:
            printed.append((0, _DISPATCH))
        return tuple(text for number, own in printed for text in self._set(story, number, own))

    def path(self, publisher: Publisher, story: Story, slug_: str = "") -> str:
        """Its path at the publisher; with `slug_`, under that one."""
        return story.path or publisher.addresses.format(
            section=slug(story.section),
            slug=slug_ or story.slug,
            number=story.number,
            date=self.published(story),
        )

    def amp_path(self, publisher: Publisher, story: Story) -> str:
        return f"/amp{self.path(publisher, story)}"

    def url(self, publisher: Publisher, story: Story) -> str:
        return self.home(publisher) + self.path(publisher, story)

    def _came_out(self, story: Story, version: int) -> datetime:
        return self.instant(story.revised[version - 2].hours if version > 1 else story.hours)

    def _set(self, story: Story, version: int, text: str) -> Iterator[str]:
        if text == _DISPATCH and story.dispatch:
            sent = self.instant(story.dispatch.hours)
            yield from (_dated(one, sent) for one in story.dispatch.paragraphs)
        else:
            time = f"{self._came_out(story, version):%H h %M}"
            yield _dated(text, self.published(story)).replace("{heure}", time)


def moments(publishers: Iterable[Publisher], printing: Printing) -> list[datetime]:
    """All moments at which something changes, in their order; between two of them nothing does."""
    found = {
        printing.instant(hours)
        for publisher in publishers
        for hours in (
            *(story.hours for story in publisher.stories),
            *(revision.hours for story in publisher.stories for revision in story.revised),
            *(stray.hours for feed in publisher.feeds for stray in feed.strays),
        )
    }
    return sorted(found)


def slug(words: str) -> str:
    """`Vie locale` → `vie-locale`; `Économie` → `economie`."""
    plain = unicodedata.normalize("NFD", words.lower()).encode("ascii", "ignore").decode()
    return re.sub(r"[^a-z0-9]+", "-", plain).strip("-")


def in_words(moment: datetime) -> str:
    """`24 novembre 2026 à 08 h 12`, as French publishers write it."""
    day = "1er" if moment.day == 1 else str(moment.day)
    return f"{day} {MONTHS[moment.month - 1]} {moment.year} à {moment:%H h %M}"


def _marked(text: str) -> tuple[int, str]:
    """The version that a paragraph says it is printed from, 0 if it says none, and what else it says."""
    mark = _MARK.match(text)
    return (int(mark[1]), text[mark.end() :]) if mark else (0, text)


def _dated(text: str, moment: datetime) -> str:
    today = moment.weekday()
    return (
        text.replace("{jour}", DAYS[today])
        .replace("{veille}", DAYS[today - 1])
        .replace("{lendemain}", DAYS[(today + 1) % 7])
    )
