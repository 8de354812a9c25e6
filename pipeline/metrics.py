"""The figures by which an operator sees whether Veille is well: for `veille status` and for Prometheus.

Only reads. Nothing is counted along the way: all of it is asked of the store.
"""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from pipeline.errors import Permanent
from pipeline.runtime import Runtime
from pipeline.store import feeds, outbox
from pipeline.store.sql import load

SQL = load("metrics")
LATE_AFTER = timedelta(hours=26)  # a daily poll and two hours of grace
SILENT_AFTER = timedelta(days=7)  # a section may rest over a weekend and a holiday


@dataclass(frozen=True, slots=True)
class Status:
    """Figures of one moment. Ages are in seconds."""

    feeds: dict[str, int]
    outcomes: dict[str, int]
    stages: dict[str, int]
    oldest_waiting: float
    articles: int
    copies: int
    outbox: int
    outbox_age: float
    seconds: dict[str, float]  # per step, over all runs
    silent_feeds: list[dict[str, object]]

    def lines(self) -> Iterator[tuple[str, str]]:
        """Names and figures for people."""
        for name, value in self.feeds.items():
            yield f"feeds {name}", str(value)
        for name, value in self.outcomes.items():
            yield f"entries {name}", str(value)
        for name, value in self.stages.items():
            yield f"now in stage {name}", str(value)
        if self.oldest_waiting:
            yield "oldest waiting entry", f"{timedelta(seconds=round(self.oldest_waiting))}"
        yield "articles in the library", str(self.articles)
        yield "of them copies", str(self.copies)
        yield "documents that the index must still hear of", str(self.outbox)
        if self.outbox:
            yield "oldest of them", f"{timedelta(seconds=round(self.outbox_age))}"
        for name, seconds in self.seconds.items():
            yield f"seconds spent in {name}", f"{seconds:.1f}"


def collect(runtime: Runtime) -> Status:
    """Ask the store."""
    now = runtime.now()
    urls = [feed.url for feed in runtime.catalogue.feeds()]
    with runtime.store.transaction("status") as tx:
        values: dict[str, Any] = {"urls": urls, "now": now, "late": now - LATE_AFTER}
        feed_row = tx.execute(SQL["feeds"], values).fetchone() or {}
        library = tx.execute(SQL["articles"]).fetchone() or {}
        waiting = tx.execute(SQL["oldest_waiting"]).fetchone() or {}
        dirty = outbox.size(tx)
        return Status(
            feeds={"in the catalogue": len(urls), **feed_row},
            outcomes={row["outcome"]: row["n"] for row in tx.execute(SQL["outcomes"])},
            stages={row["stage"]: row["n"] for row in tx.execute(SQL["stages"])},
            oldest_waiting=_age(waiting.get("oldest"), now),
            articles=library["indexed"],
            copies=library["copies"],
            outbox=dirty.waiting,
            outbox_age=dirty.age(now),
            seconds={row["step"]: row["seconds"] for row in tx.execute(SQL["seconds"])},
            silent_feeds=feeds.silent(tx, urls, since=now - SILENT_AFTER),
        )


def write(status: Status, path: str | Path) -> None:
    """Write the figures in Prometheus's text format, whole or not at all. Raises Permanent."""
    target = Path(path)
    new = target.with_name(f".{target.name}.{os.getpid()}")
    try:
        new.write_text(text(status), encoding="utf-8")
        new.replace(target)
    except OSError as error:
        raise Permanent(f"{target} cannot be written: {error.strerror}") from error


def text(status: Status) -> str:
    """The figures in Prometheus's text format."""
    lines: list[str] = []

    def gauge(name: str, meaning: str, values: dict[str, float], label: str = "") -> None:
        lines.append(f"# HELP veille_{name} {meaning}")
        lines.append(f"# TYPE veille_{name} gauge")
        for key, value in values.items():
            braces = f'{{{label}="{key}"}}' if label else ""
            lines.append(f"veille_{name}{braces} {value:g}")

    gauge("feeds", "Feeds by state.", {k.replace(" ", "_"): v for k, v in status.feeds.items()}, "state")
    gauge("entries", "Entries by outcome.", {**status.outcomes}, "outcome")
    gauge("stage_entries", "Entries under way, by stage.", {**status.stages}, "stage")
    gauge(
        "oldest_waiting_seconds", "Age of the oldest entry without an outcome.", {"": status.oldest_waiting}
    )
    gauge("articles", "Articles in the library.", {"": status.articles})
    gauge("copies", "Articles that copy another.", {"": status.copies})
    gauge("outbox_documents", "Documents the index must still hear of.", {"": status.outbox})
    gauge("outbox_age_seconds", "Age of the oldest of them.", {"": status.outbox_age})
    gauge("step_seconds_total", "Seconds spent, by step.", status.seconds, "step")
    return "\n".join(lines) + "\n"


def _age(since: datetime | None, now: datetime) -> float:
    return max(0.0, (now - since).total_seconds()) if since else 0.0
