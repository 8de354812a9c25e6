"""Runs and their reports.

A report is computed from the rows when it is read, never stored: it converges as entries finish, and it
always adds up: discovered = the sum of the outcomes + waiting.
"""

import re
from collections import Counter
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from pipeline.errors import NotFound
from pipeline.model import Outcome
from pipeline.schedule import CRAWL_DELAY_AT_MOST
from pipeline.store import Transaction
from pipeline.store.sql import load

SQL = load("runs")


@dataclass(frozen=True, slots=True)
class Run:
    """A run of the pipeline; `polls` says whether it asks live feeds, `reason` why it does or does not."""

    id: str
    kind: str
    polls: bool
    reason: str
    started_at: datetime | None = None
    finished_at: datetime | None = None
    interval_start: datetime | None = None
    interval_end: datetime | None = None
    number: int | None = None  # given by the store, in the order of their starts


@dataclass(frozen=True, slots=True)
class Report:
    """What a run did, as of now."""

    run: Run
    runs: tuple[str, ...]  # counted as one, the newest first
    discovered: int
    outcomes: dict[str, int]
    waiting: int
    pages: dict[str, int]
    already_known: int
    read_again: dict[str, int]
    polls: dict[str, int]
    items: int  # links in changed feeds, repetitions included
    seconds: dict[str, float]  # by step
    feed_trouble: list[dict[str, object]] = field(default_factory=list)
    slow_hosts: list[dict[str, object]] = field(default_factory=list)  # their Crawl-delay is not obeyed
    why_waiting: list[dict[str, object]] = field(default_factory=list)
    failures: list[dict[str, object]] = field(default_factory=list)

    @property
    def adds_up(self) -> bool:
        """Whether every entry discovered has exactly one outcome or waits."""
        return self.discovered == sum(self.outcomes.values()) + self.waiting

    @property
    def polled_in_vain(self) -> bool:
        """Whether feeds were due and none of them answered with what it holds."""
        return bool(self.polls) and not self.polls.keys() & {"changed", "unchanged"}


def fresh(
    kind: str,
    *,
    polls: bool,
    reason: str,
    now: datetime,
    interval: tuple[datetime | None, datetime | None] = (None, None),
) -> Run:
    """A run that was not started yet, named after its kind and its moment."""
    name = f"{kind}/{now:%Y-%m-%dT%H:%M:%S.%f}Z"
    return Run(name, kind, polls, reason, interval_start=interval[0], interval_end=interval[1])


def start(tx: Transaction, run: Run, *, now: datetime) -> None:
    """Make the run known; starting it again (a retried task) changes nothing."""
    values = {
        "id": run.id,
        "kind": run.kind,
        "now": now,
        "interval_start": run.interval_start,
        "interval_end": run.interval_end,
        "polls": run.polls,
        "reason": run.reason,
    }
    tx.execute(SQL["start"], values)


def add_seconds(tx: Transaction, run_id: str, step: str, seconds: float) -> None:
    """Note that a step of the run took so long, in addition to what it took before."""
    tx.execute(SQL["add_seconds"], {"id": run_id, "step": step, "seconds": seconds})


def finish(tx: Transaction, run_id: str, *, now: datetime) -> None:
    """Note that the run's own work is over; its waiting entries go on in others."""
    tx.execute(SQL["finish"], {"id": run_id, "now": now})


def get(tx: Transaction, run_id: str) -> Run:
    """The run. Raises NotFound."""
    row = tx.execute(SQL["get"], {"id": run_id}).fetchone()
    if row is None:
        raise NotFound(f"there is no run {run_id}", hint="veille runs")
    return _run(row)


def named(tx: Transaction, name: str) -> Run:
    """The run with this name or number; `last` is the newest. Raises NotFound."""
    if re.fullmatch("[0-9]{1,18}", name):
        row = tx.execute(SQL["numbered"], {"number": int(name)}).fetchone()
        return _run(row) if row else get(tx, name)
    if name != "last":
        return get(tx, name)
    row = tx.execute(SQL["newest"]).fetchone()
    if row is None:
        raise NotFound("there has been no run yet", hint="veille ingest, or veille demo")
    return _run(row)


def recent(tx: Transaction, limit: int) -> list[tuple[Run, int, int]]:
    """The newest runs, each with how many entries it discovered and how many of them wait."""
    return [
        (_run(row), row["discovered"], row["waiting"]) for row in tx.execute(SQL["recent"], {"limit": limit})
    ]


def report(tx: Transaction, run_id: str, *, together_with: tuple[str, ...] = ()) -> Report:
    """What the run did; with `together_with`, several runs counted as one."""
    tx.execute(SQL["one_moment"])
    run = get(tx, run_id)
    values = {"ids": [run_id, *together_with], "limit": 50, "crawl_delay": CRAWL_DELAY_AT_MOST}
    outcomes: Counter[str] = Counter()
    pages: Counter[str] = Counter()
    waiting = 0
    for row in tx.execute(SQL["outcomes"], values):
        if row["outcome"] is None:
            waiting += row["n"]
        else:
            outcomes[row["outcome"]] += row["n"]
            pages[row["page_fate"]] += row["n"]
    discovered = tx.execute(SQL["discovered"], values).fetchone()
    known = tx.execute(SQL["already_known"], values).fetchone()
    polls = list(tx.execute(SQL["polls"], values))
    return Report(
        run=run,
        runs=(run_id, *together_with),
        discovered=discovered["n"] if discovered else 0,
        outcomes={outcome: outcomes[outcome] for outcome in Outcome if outcomes[outcome]},
        waiting=waiting,
        pages=dict(sorted(pages.items())),
        already_known=known["n"] if known else 0,
        read_again={row["outcome"]: row["n"] for row in tx.execute(SQL["read_again"], values)},
        polls={row["result"]: row["n"] for row in polls},
        items=sum(row["items"] or 0 for row in polls),
        seconds={row["step"]: row["seconds"] for row in tx.execute(SQL["timings"], values)},
        feed_trouble=list(tx.execute(SQL["feed_trouble"], values)),
        slow_hosts=list(tx.execute(SQL["slow_hosts"], values)),
        why_waiting=list(tx.execute(SQL["waiting"], values)),
        failures=list(tx.execute(SQL["failures"], values)),
    )


def _run(row: dict[str, Any]) -> Run:
    return Run(**{name: row[name] for name in Run.__slots__})
