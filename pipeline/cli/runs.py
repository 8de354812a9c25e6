"""`veille runs`: the runs, and what became of every entry that one of them discovered.

Computes nothing: `store.runs` does.
"""

from typing import Annotated

import typer

from pipeline.cli import console as show
from pipeline.cli.options import Json
from pipeline.model import Outcome, PageFate
from pipeline.runtime import Runtime
from pipeline.schedule import CRAWL_DELAY_AT_MOST
from pipeline.settings import from_environment
from pipeline.store.runs import Report
from pipeline.wording import counted


def list_runs(
    context: typer.Context,
    limit: Annotated[int, typer.Option(help="How many.", min=1)] = 20,
    json: Json = False,
) -> None:
    """List the newest runs."""
    if context.invoked_subcommand:
        return
    from pipeline.store import runs

    with Runtime(from_environment()) as runtime:
        runtime.require_library()
        with runtime.store.transaction("runs") as tx:
            found = runs.recent(tx, limit)
    if json:
        show.emit([show.plain(run) | {"discovered": n, "waiting": waiting} for run, n, waiting in found])
        return
    table = show.table(
        f"Runs ({show.PARIS_TIMES})",
        *("no.", "started", "finished", "discovered", "waiting", "run"),
        right=("no.", "discovered", "waiting"),
    )
    for run, discovered, waiting in found:
        table.add_row(
            str(run.number),
            show.when(run.started_at),
            show.when(run.finished_at),
            str(discovered),
            str(waiting),
            run.id,
        )
    show.console().print(table)


def show_run(
    run: Annotated[str, typer.Argument(help="A run's number or name; `last` for the newest.")] = "last",
    json: Json = False,
) -> None:
    """Show what a run did: every entry that it discovered, by what became of it."""
    from pipeline.store import runs

    with Runtime(from_environment()) as runtime:
        runtime.require_library()
        with runtime.store.transaction("runs") as tx:
            name = runs.named(tx, run).id
        with runtime.store.transaction("report") as tx:
            report = runs.report(tx, name)
    if json:
        show.emit(show.plain(report) | {"adds_up": report.adds_up})
    else:
        print_report(report)


def print_report(report: Report, title: str = "") -> None:
    """The table of a run's outcomes, which adds up, and what deserves a look."""
    out = show.console()
    run = report.run
    out.print(title or f"Run {run.number}: {run.id}", style="bold", highlight=False, markup=False)
    asked = "polled live feeds" if run.polls else "polled no live feeds"
    out.print(f"{asked}: {run.reason}", style="dim", highlight=False, markup=False)
    if report.polls:
        said = ", ".join(f"{n} {result}" for result, n in report.polls.items())
        listed = counted(report.items, "item")
        listed += ", of which some may be one entry in several feeds" if report.items > 1 else ""
        out.print(f"feeds: {said}; {listed}", highlight=False, markup=False)
    table = show.table("What became of every entry", "outcome", "entries", right=("entries",))
    for outcome, count in report.outcomes.items():
        table.add_row(f"{outcome}  ({_MEANING[Outcome(outcome)]})", str(count))
    table.add_row("waiting", str(report.waiting))
    table.add_section()
    table.add_row("discovered", str(report.discovered), style="bold")
    out.print(table)
    if not report.adds_up:
        out.print("these figures do not add up: please report it", style="bold red")
    if len(report.runs) == 1:
        out.print(f"already known from earlier runs: {report.already_known}", highlight=False)
    if report.read_again:
        said = ", ".join(f"{n} {outcome}" for outcome, n in report.read_again.items())
        out.print(f"pages read again: {said}", highlight=False, markup=False)
    if report.pages:
        out.print(f"pages: {', '.join(f'{n} {fate}' for fate, n in report.pages.items())}", highlight=False)
    _print_reasons(report)


def _print_reasons(report: Report) -> None:
    from rich.text import Text

    out = show.console()
    for row in report.why_waiting:
        next_ = show.when(row["next"])  # type: ignore[arg-type]  # a timestamp column
        out.print(
            f"waits: {row['n']} in {row['stage']} until {next_}: {row['reason']}",
            highlight=False,
            markup=False,
        )
    if report.why_waiting:
        out.print(Text(show.PARIS_TIMES, style="dim"))
    for row in report.feed_trouble:
        lost = int(row["without_link"] or 0)  # type: ignore[call-overload]  # a number
        links = f"{counted(lost, 'item')} without a usable link" if lost else ""
        said = "; ".join(str(part) for part in (row["error"], row["broken"], links) if part)
        show.about(f"feed: {row['url']}", said, style="yellow")
    for row in report.slow_hosts:
        said = f"{row['crawl_delay']:g} s between two requests, and is given {CRAWL_DELAY_AT_MOST:g}"
        out.print(f"host: {row['name']} asks for {said}", style="yellow", highlight=False, markup=False)
    if report.failures:
        out.print("What deserves a look", style="bold")
    for row in report.failures:
        reason = str(row["reason"]).removeprefix(f"{row['url']}: ").replace(str(row["url"]), "it")
        show.about(f"{row['outcome'] or 'waiting'} ({row['page_fate']}): {row['url']}", reason)
    final = (PageFate.GONE, PageFate.ADDRESS_REFUSED)
    again = (row["outcome"] == Outcome.FAILED and row["page_fate"] not in final for row in report.failures)
    if any(again) or any(row["gave_up"] for row in report.failures):
        for run in report.runs:
            out.print(f"  → veille retry --run {run}", highlight=False, markup=False, soft_wrap=True)


_MEANING = {
    Outcome.NEW: "a new article",
    Outcome.REVISED: "an article whose text changed since",
    Outcome.UNCHANGED: "read again, nothing changed",
    Outcome.DUPLICATE: "the same article under another URL",
    Outcome.NOT_FRENCH: "kept, but not indexed",
    Outcome.NOT_ARTICLE: "no page to read",
    Outcome.FAILED: "gave up, for the reason below",
}
