"""The figures by which an operator sees whether Veille is well: for `veille status` and for Prometheus.

Only reads. Nothing is counted along the way: all of it is asked of the store.
"""

import contextlib
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from pipeline.catalogue import Catalogue
from pipeline.errors import Permanent
from pipeline.model import Outcome, Stage
from pipeline.runtime import Runtime
from pipeline.schedule import age
from pipeline.store import Transaction, feeds, outbox
from pipeline.store.sql import load

SQL = load("metrics")
LATE_AFTER = timedelta(hours=26)  # a daily poll and two hours of grace
SILENT_AFTER = timedelta(days=7)  # a section may rest over a weekend and a holiday


@dataclass(frozen=True, slots=True)
class Feeds:
    """Of the catalogue's feeds: how many the next run asks, how many failed when last asked, and how many
    were not polled within LATE_AFTER. One feed may count several times.
    """

    catalogue: int
    due: int
    failing: int
    late: int


@dataclass(frozen=True, slots=True)
class Status:
    """Figures of one moment. Ages are in seconds; nothing is left out for being 0."""

    feeds: Feeds
    outcomes: dict[str, int]  # each, and `waiting`
    stages: dict[str, int]  # each that is not the end
    oldest_waiting: float
    articles: int
    copies: int
    outbox: int
    outbox_age: float
    refused: int
    seconds: dict[str, float]  # per step, over all runs
    silent_feeds: list[dict[str, object]]

    def lines(self) -> Iterator[tuple[str, str]]:
        """Names and figures for people."""
        yield "feeds in the catalogue", str(self.feeds.catalogue)
        for name in ("due", "failing", "late"):
            yield f"feeds {name}", str(getattr(self.feeds, name))
        for name, value in self.outcomes.items():
            if value or name == "waiting":
                yield f"entries {name}", str(value)
        for name, value in self.stages.items():
            if value:
                yield f"now in stage {name}", str(value)
        if self.oldest_waiting:
            yield "oldest waiting entry", f"{timedelta(seconds=round(self.oldest_waiting))}"
        yield "articles in the library", str(self.articles)
        yield "of them copies", str(self.copies)
        yield "documents that the index must still hear of", str(self.outbox)
        if self.outbox:
            yield "oldest of them", f"{timedelta(seconds=round(self.outbox_age))}"
        if self.refused:
            yield "documents that the index refused", str(self.refused)
        for name, seconds in self.seconds.items():
            yield f"seconds spent in {name}", f"{seconds:.1f}"


def collect(runtime: Runtime) -> Status:
    """Ask the store."""
    now = runtime.now()
    with runtime.store.transaction("status") as tx:
        library = tx.execute(SQL["articles"]).fetchone() or {}
        waiting = tx.execute(SQL["oldest_waiting"]).fetchone() or {}
        dirty = outbox.size(tx)
        watched_, silent = watched(tx, runtime.catalogue, now)
        return Status(
            feeds=watched_,
            outcomes=_counts(tx, SQL["outcomes"], (*Outcome, "waiting")),
            stages=_counts(tx, SQL["stages"], tuple(stage for stage in Stage if stage is not Stage.DONE)),
            oldest_waiting=age(waiting.get("oldest"), now=now),
            articles=library["indexed"],
            copies=library["copies"],
            outbox=dirty.waiting,
            outbox_age=dirty.age(now),
            refused=dirty.refused,
            seconds={row["step"]: row["seconds"] for row in tx.execute(SQL["seconds"])},
            silent_feeds=silent,
        )


def watched(tx: Transaction, catalogue: Catalogue, now: datetime) -> tuple[Feeds, list[dict[str, object]]]:
    """The catalogue's feeds in figures, and those that fail or said nothing new within SILENT_AFTER."""
    urls = sorted({feed.url for feed in catalogue.feeds()})
    row = tx.execute(SQL["feeds"], {"urls": urls, "now": now, "late": now - LATE_AFTER}).fetchone()
    assert row
    figures = Feeds(len(urls), len(urls) - row["resting"], row["failing"], len(urls) - row["punctual"])
    return figures, feeds.silent(tx, urls, since=now - SILENT_AFTER)


def _counts(tx: Transaction, statement: bytes, names: tuple[str, ...]) -> dict[str, int]:
    """The count of each of these names, in their order; 0 where there is none."""
    found = {row["name"]: row["n"] for row in tx.execute(statement)}
    return {str(name): found.get(name, 0) for name in names}


def write(status: Status, path: str | Path) -> None:
    """Write the figures in Prometheus's text format, whole or not at all. Raises Permanent."""
    target = Path(path).absolute()
    new = target.parent / f".{target.name}.{os.getpid()}"
    try:
        new.write_text(text(status), encoding="utf-8")
        new.replace(target)
    except OSError as error:
        with contextlib.suppress(OSError):
            new.unlink()
        raise Permanent(
            f"{target} cannot be written: {error.strerror}", hint=f"ls -ld {target.parent} {target}"
        ) from error


def text(status: Status) -> str:
    """The figures in Prometheus's text format."""
    lines: list[str] = []
    for series in _series(status):
        lines.append(f"# HELP veille_{series.name} {series.meaning}")
        lines.append(f"# TYPE veille_{series.name} {series.kind}")
        for key, value in series.values.items():
            label = f'{{{series.label}="{_escaped(key)}"}}' if series.label else ""
            lines.append(f"veille_{series.name}{label} {value}")
    return "\n".join(lines) + "\n"


@dataclass(frozen=True, slots=True)
class _Series:
    """One name of Prometheus, with a value for each value of its label, or a single one for none."""

    name: str
    meaning: str
    values: Mapping[str, float]
    label: str = ""
    kind: str = "gauge"


def _series(status: Status) -> Iterator[_Series]:
    found = status.feeds
    for name, meaning, value in (
        ("feeds", "Feeds in the catalogue.", found.catalogue),
        ("feeds_due", "Feeds that the next run asks.", found.due),
        ("feeds_failing", "Feeds that failed when last asked.", found.failing),
        ("feeds_late", "Feeds that were not polled in time.", found.late),
        ("oldest_waiting_seconds", "Age of the oldest entry without an outcome.", status.oldest_waiting),
        ("articles", "Articles in the library.", status.articles),
        ("copies", "Articles that copy another.", status.copies),
        ("outbox_documents", "Documents the index must still hear of.", status.outbox),
        ("outbox_age_seconds", "Age of the oldest of them.", status.outbox_age),
        ("outbox_refused", "Documents that the index refused.", status.refused),
    ):
        yield _Series(name, meaning, {"": value})
    yield _Series("entries", "Entries by outcome.", status.outcomes, "outcome")
    yield _Series("stage_entries", "Entries under way, by stage.", status.stages, "stage")
    yield _Series("step_seconds_total", "Seconds spent, by step.", status.seconds, "step", "counter")


def _escaped(value: str) -> str:
    return value.replace("\\", r"\\").replace('"', r"\"").replace("\n", r"\n")
