"""One printing of the newsroom: what its stories say, when they are dated and where they live.

Does not render anything.
"""

import re
import unicodedata
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from pipeline.newsroom.content import Publisher, Story

PARIS = ZoneInfo("Europe/Paris")
DAYS = ("lundi", "mardi", "mercredi", "jeudi", "vendredi", "samedi", "dimanche")
MONTHS = (
    *("janvier", "février", "mars", "avril", "mai", "juin"),
    *("juillet", "août", "septembre", "octobre", "novembre", "décembre"),
)


@dataclass(frozen=True, slots=True)
class Printing:
    """The newsroom at one edition, counted from the instant `epoch` of its first start."""

    epoch: datetime  # with time zone
    port: int
    edition: int = 1
    turned: datetime | None = None  # when this edition came out, if it is not the first

    def home(self, publisher: Publisher) -> str:
        return f"http://{publisher.host}:{self.port}"

    def instant(self, hours: float) -> datetime:
        """`hours` before the first start, in Paris, to the minute (as publishers date their articles)."""
        moment = self.epoch.astimezone(UTC) - timedelta(hours=hours)
        return moment.replace(second=0, microsecond=0).astimezone(PARIS)

    def published(self, story: Story) -> datetime:
        return self.instant(story.hours)

    def modified(self, story: Story) -> datetime:
        """Later than `published` once the story was revised."""
        if story.has_second_edition and self.turned and self.edition >= 2:  # noqa: PLR2004 the second
            return self.turned.replace(microsecond=0).astimezone(PARIS)
        return self.published(story)

    def title(self, story: Story) -> str:
        return story.retitled if story.retitled and self.edition > 1 else story.title

    def text(self, story: Story) -> tuple[str, ...]:
        """The paragraphs of this edition, dispatch included, with the weekdays of their dates."""
        own = [text.removeprefix("@2 ") for text in story.paragraphs if self._printed(text)]
        texts = [_dated(text, self.published(story)) for text in own]
        if story.dispatch:
            sent = self.instant(story.dispatch.hours)
            texts += [_dated(text, sent) for text in story.dispatch.paragraphs]
        return tuple(texts)

    def path(self, publisher: Publisher, story: Story) -> str:
        return story.path or publisher.addresses.format(
            section=slug(story.section), slug=story.slug, number=story.number, date=self.published(story)
        )

    def url(self, publisher: Publisher, story: Story) -> str:
        return self.home(publisher) + self.path(publisher, story)

    def _printed(self, text: str) -> bool:
        return self.edition > 1 or not text.startswith("@2 ")


def slug(words: str) -> str:
    """`Vie locale` → `vie-locale`; `Économie` → `economie`."""
    plain = unicodedata.normalize("NFD", words.lower()).encode("ascii", "ignore").decode()
    return re.sub(r"[^a-z0-9]+", "-", plain).strip("-")


def in_words(moment: datetime) -> str:
    """`24 novembre 2026 à 08 h 12`, as French publishers write it."""
    day = "1er" if moment.day == 1 else str(moment.day)
    return f"{day} {MONTHS[moment.month - 1]} {moment.year} à {moment:%H h %M}"


def _dated(text: str, moment: datetime) -> str:
    today = moment.weekday()
    return (
        text.replace("{jour}", DAYS[today])
        .replace("{veille}", DAYS[today - 1])
        .replace("{lendemain}", DAYS[(today + 1) % 7])
    )
