"""`python -m benchmarks`: measure everything, show the table, write the JSON.

Does not judge: the exit code says whether it was measured, not whether it was met.
"""

import argparse
import json
import signal
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg

from benchmarks import (
    conditions,
    findings,
    growth,
    line,
    pages,
    polling,
    rounds,
    searching,
    serving,
    stock,
    workshop,
    writing,
)
from benchmarks.children import Failed
from benchmarks.report import Report
from benchmarks.rounds import Setting
from benchmarks.workshop import Workshop
from pipeline import settings
from pipeline.cli.console import console, emit, plain, progress
from pipeline.errors import VeilleError

PARTS = ("pages", "quality", "polls", "library", "server")
TROUBLE = (Failed, VeilleError, OSError, psycopg.Error)  # what is no bug


@dataclass(frozen=True, slots=True)
class Plan:
    """How much of everything."""

    parts: list[str]
    pages: int
    rounds: int
    polls: int
    few: int
    many: int
    newcomers: int
    queries: int
    peers: bool
    folder: Path
    json: bool

    @property
    def report(self) -> Path:
        """Where the report is written."""
        return self.folder / "report.json"

    @property
    def environments(self) -> Path | None:
        """Where the environments of other projects lie; they are kept."""
        return self.folder / "peers" if self.peers else None


def main() -> int:
    """Measure what the arguments say."""
    plan = _plan()
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # leave no process behind then either
    machine = conditions.machine()
    try:
        with workshop.opened(plan.folder / "work") as shop:
            report = _measure(plan, shop, machine)
    except KeyboardInterrupt:
        print(f"interrupted: {plan.report} has the parts that were over", file=sys.stderr)  # noqa: T201
        return 130
    except TROUBLE as error:
        print(f"nothing was measured: {_said(error)}", file=sys.stderr)  # noqa: T201
        return 1
    _show(plan, report)
    return 1 if report.failed else 0


def _show(plan: Plan, report: Report) -> None:
    if plan.json:
        emit(report.as_json())
    else:
        console().print(report.as_heading(), markup=False, highlight=False)
        console().print(report.as_table())
        console().print(f"All figures, and the queries: {plan.report}", markup=False)
    for part, why in report.failed.items():
        print(f"{part} could not be measured: {why}", file=sys.stderr)  # noqa: T201


def _plan() -> Plan:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description="What Veille costs, as ratios.")
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=list(PARTS), help="only these")
    parser.add_argument("--pages", type=int, default=300, help="pages at most")
    parser.add_argument("--rounds", type=int, default=3, help="times that pages are read")
    parser.add_argument("--polls", type=int, default=20, help="times that each feed is polled in a round")
    parser.add_argument("--few", type=int, default=2_000, help="articles of the small library")
    parser.add_argument("--many", type=int, default=200_000, help="articles of the large library")
    parser.add_argument("--newcomers", type=int, default=1_000, help="articles that come into both")
    parser.add_argument("--queries", type=int, default=200, help="of each kind")
    parser.add_argument("--no-peers", dest="peers", action="store_false", help="without other projects")
    parser.add_argument("--folder", type=Path, default=Path(".veille/bench"), help="scratch; needs 4 GB")
    parser.add_argument("--json", action="store_true", help="print JSON")
    return Plan(**vars(parser.parse_args()))


def _measure(plan: Plan, shop: Workshop, machine: dict[str, Any]) -> Report:
    name, found = pages.load(plan.pages)
    feeds_name, feeds = pages.feeds()
    report = Report(
        {
            "machine": machine,
            "versions": conditions.versions(shop.embedded.url("postgres")),
            "counts": {
                "pages": f"{len(found)} of {name}",
                "rounds": plan.rounds,
                "feeds": f"{len(feeds)} of {feeds_name}",
                "polls a round": plan.polls,
                "articles": f"{plan.few:,} and {plan.many:,}",
                "newcomers": plan.newcomers,
                "queries a kind": plan.queries,
            },
        },
        load=machine["load before"],
    )
    _write(plan, report)  # in the place of an earlier one
    shelf, warm = pages.shelve(found, shop.folder / "pages"), pages.warm()
    warm_shelf = pages.shelve(warm, shop.folder / "warm")
    feed_shelf = pages.shelve_feeds(feeds, shop.folder / "feeds")
    with serving.served(shop.folder, feed_shelf, shelf, warm_shelf) as port:
        setting = Setting(shop, found, warm, shelf, warm_shelf, port, plan.environments)
        parts: dict[str, Callable[[], None]] = {
            "pages": lambda: _measure_pages(plan, report, setting),
            "quality": lambda: _measure_quality(shop, report),
            "polls": lambda: _measure_polls(plan, shop, report, feed_shelf, port),
            "library": lambda: _measure_library(plan, shop, report),
            "server": lambda: _measure_server(plan, report, setting),
        }
        for part in filter(plan.parts.__contains__, PARTS):
            _try(plan, report, part, parts[part])
    return report


def _try(plan: Plan, report: Report, part: str, measure: Callable[[], None]) -> None:
    """Whatever comes of this part, what was measured is written, and the other parts follow."""
    try:
        measure()
    except TROUBLE as error:
        report.failed[part] = f"{_said(error)}; to measure it alone: python -m benchmarks --parts {part}"
    _write(plan, report)


def _write(plan: Plan, report: Report) -> None:
    plan.report.write_text(json.dumps(report.as_json(), indent=2, ensure_ascii=False, default=str))


def _said(error: BaseException) -> str:
    """The cause in one line, and what to do about it where that is known."""
    hint = "make room there, or name another folder with --folder" if isinstance(error, OSError) else ""
    hint = getattr(error, "hint", hint)
    return "; ".join(filter(None, [" ".join(str(error).split()), hint]))


def _measure_pages(plan: Plan, report: Report, setting: Setting) -> None:
    measured = rounds.measure(setting, plan.rounds)
    report.add(*findings.of_rounds(measured))
    report.figures["rounds"] = plain(measured)


def _measure_quality(shop: Workshop, report: Report) -> None:
    scores: dict[str, float] = {}
    if gold := pages.gold():
        with progress(f"{len(gold)} pages whose text is known"):
            scores = rounds.score(shop, gold, pages.shelve(gold, shop.folder / "gold"))
    report.add(findings.of_scores(scores))
    report.figures["f1"] = scores


def _measure_polls(plan: Plan, shop: Workshop, report: Report, feeds: Path, port: int) -> None:
    config = serving.write_config(shop.folder / "feeds-config", port, polling.catalogue(feeds))
    with progress("polling feeds"):
        polls = polling.run(shop.folder, shop.library("polls"), config, port, feeds, plan.polls)
    report.add(*findings.of_polls(polls))
    report.figures["polls"] = plain(polls)


def _measure_library(plan: Plan, shop: Workshop, report: Report) -> None:
    config = serving.write_config(shop.folder / "library-config", 80, {})
    sizes = (plan.few, plan.many)
    few, many = (shop.library(f"library_{size}") for size in sizes)
    shop.stop_autovacuum()
    stock.fill(shop.folder, few, config, plan.few)
    stock.fill(shop.folder, many, config, plan.many)
    with progress(f"{plan.newcomers:,} newcomers"):
        grown = growth.measure(shop.folder, config, few, many, plan.newcomers)
    report.add(*findings.of_growth(grown, sizes))
    report.figures["growth"] = plain(grown)
    with many.runtime(config) as runtime, progress("searching"):
        latencies = searching.measure(runtime.index, plan.many, plan.queries)
    report.add(*findings.of_searches(latencies, plan.many))
    report.figures["searches"] = plain(latencies)


def _measure_server(plan: Plan, report: Report, setting: Setting) -> None:
    where = settings.from_environment()
    if where.index_url == "tantivy:":
        report.add(*findings.no_server("VEILLE_INDEX_URL names no server; `make elasticsearch` starts one"))
        return
    with progress(f"writing {plan.few:,} documents to Elasticsearch, again and again"):
        turns = writing.measure(where, plan.few)
    with progress("the line, into Elasticsearch"), writing.named(where) as name:
        library = setting.shop.library("line_server", index=name)
        passage = line.run(setting.shop.folder, library, setting.config(), setting.port, 1)
    report.add(*findings.of_server(turns, passage))
    report.figures["server"] = plain({"turns": turns, "passage": passage})


if __name__ == "__main__":
    sys.exit(main())
