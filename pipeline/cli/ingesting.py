"""Commands that bring articles in or let them start again: a run without Airflow, finished texts, the demo.

Does none of the work: `steps` and `stages` do.
"""

import shlex
from datetime import UTC, datetime, time, timedelta
from difflib import get_close_matches
from typing import Annotated, Any

import typer

from pipeline.cli import console as show
from pipeline.cli import options
from pipeline.cli.options import Json
from pipeline.cli.runs import print_report
from pipeline.errors import ConfigError, NotFound, Permanent, Transient, Unparsable
from pipeline.runtime import Runtime
from pipeline.settings import Settings, from_environment
from pipeline.store import runs
from pipeline.store.runs import Run
from pipeline.urls import canonical
from pipeline.wording import counted

EXPECTED = 'one article a line is expected: {"url": …, "title": …, "text": …}'
SHOWN = 20  # lines that were refused; --json has all


def ingest(
    feed: Annotated[
        list[str] | None, typer.Option(help="Poll only this feed of the catalogue (its URL).")
    ] = None,
    source: Annotated[
        list[str] | None, typer.Option(help="Poll only this publisher's feeds (its id).")
    ] = None,
    day: Annotated[str, typer.Option(help="Work for this day, 2026-03-01, instead of for now.")] = "",
    json: Json = False,
) -> None:
    """Run all steps once, without Airflow."""
    from pipeline import steps

    with Runtime(_not_the_press_among_samples(from_environment())) as runtime:
        urls = _chosen(runtime, feed or [], source or [])
        run = _run_of(runtime, day)
        report = steps.ingest(runtime, run, urls=urls, watch=show.countdown)
    if json:
        show.emit(show.plain(report) | {"adds_up": report.adds_up})
    else:
        print_report(report)
    if report.polled_in_vain:
        reasons = {str(row["error"]) for row in report.feed_trouble if row["error"]}
        raise Transient(
            f"no feed answered: {'; '.join(sorted(reasons)[:3]) or 'their hosts were busy'}",
            hint="look at the network, and at veille status; then: veille ingest",
        )


def import_documents(
    file: Annotated[str, typer.Argument(help="NDJSON: {url, title, text, published, publisher} a line.")],
    json: Json = False,
) -> None:
    """Take articles whose text is known: compared, tagged and indexed, without fetching anything."""
    from pipeline import steps
    from pipeline.stages import documents

    found = enumerate(show.read_bytes(file).splitlines(), start=1)
    lines = [(number, line) for number, line in found if line.strip()]
    if not lines:
        raise Unparsable(f"{file} holds no article", hint=EXPECTED)
    with Runtime(from_environment()) as runtime:
        run = runs.fresh("import", polls=False, reason="finished texts were imported", now=runtime.now())
        steps.start(runtime, run)
        refused: list[dict[str, Any]] = []
        with show.progress("importing", len(lines)) as advance:
            for start in range(0, len(lines), documents.BATCH):
                batch = []
                for number, line in lines[start : start + documents.BATCH]:
                    try:
                        batch.append(documents.parse(line))
                    except Permanent as error:
                        refused.append({"line": number, "error": str(error)})
                documents.take(runtime, run.id, batch)
                advance(min(documents.BATCH, len(lines) - start))
        steps.finish(runtime, run.id, watch=show.countdown)
        report = steps.report(runtime, run.id)
    if json:
        show.emit(show.plain(report) | {"adds_up": report.adds_up, "refused": refused})
    else:
        print_report(report)
    if refused:
        reasons = (f"line {row['line']}: {row['error']}" for row in refused[:SHOWN])
        said = f"{len(refused)} of {len(lines)} lines of {file} could not be taken:"
        raise Unparsable("\n  ".join((said, *reasons)), hint=f"{EXPECTED}; the other lines were taken")


def retry(
    address: Annotated[list[str] | None, typer.Argument(metavar="URL", help="Addresses of entries.")] = None,
    run: Annotated[
        str, typer.Option(help="All that failed of this run's entries: its number or name, or `last`.")
    ] = "",
    json: Json = False,
) -> None:
    """Let entries that failed start again, in the next run."""
    if not address and not run:
        raise ConfigError("a URL is needed, or --run", hint="veille runs show names what failed")
    from pipeline.store import entries

    with options.advice(options.WHOLE_ADDRESS):
        urls = [canonical(url) for url in address or ()]
    with Runtime(from_environment()) as runtime:
        runtime.require_library()
        with runtime.store.transaction("retry") as tx:
            name = runs.named(tx, run).id if run else ""
            count = entries.retry(tx, run=name, urls=urls, now=runtime.now())
    if json:
        show.emit({"entries": count})
    else:
        waiting = counted(count, "entry waits", "entries wait")
        typer.echo(f"{waiting} for the next run: veille ingest")
    if not count:
        what = "no entry that failed has this address" if address else "none of its entries failed for good"
        raise NotFound(what, hint="veille runs show last names what failed")


def demo(
    json: Json = False,
) -> None:
    """Play the sample newsroom through the real DAG in Airflow, and show what came of it."""
    from pipeline.cli.demonstration import play

    play(as_json=json)


def _not_the_press_among_samples(settings: Settings) -> Settings:
    """Refuse to read another catalogue into a home of the sample newsroom, whose articles are invented."""
    if (settings.home / "newsroom.json").exists() and settings.config != settings.home / "config":
        home = shlex.quote(str(settings.home))
        raise ConfigError(
            f"the library in {settings.home} is the sample newsroom's; {settings.config} names other feeds",
            hint="unset VEILLE_HOME; or, to read the newsroom again: "
            f'veille newsroom & eval "$(veille newsroom --home {home} --settings)"',
        )
    return settings


def _chosen(runtime: Runtime, feeds: list[str], sources: list[str]) -> list[str] | None:
    """The URLs of the feeds named; None for all."""
    if not feeds and not sources:
        return None
    known = {feed.url for feed in runtime.catalogue.feeds()}
    for url in feeds:
        if url not in known:
            near = get_close_matches(url, known, n=1, cutoff=0.8)
            meant = (
                f"did you mean {near[0]}?" if near else f"add it to {runtime.settings.config}/sources.yaml"
            )
            raise NotFound(f"{url} is no feed of the catalogue", hint=meant)
    return feeds + [feed.url for source in sources for feed in runtime.catalogue.publisher(source).feeds]


def _run_of(runtime: Runtime, typed: str) -> Run:
    from pipeline import schedule

    if not typed:
        return runs.fresh("command", polls=True, reason="the run is for now", now=runtime.now())
    wanted = options.day(typed)
    if wanted > runtime.now().astimezone(show.PARIS).date():
        raise ConfigError(f"{typed} has not come yet", hint="leave --day out to work for now")
    start = datetime.combine(wanted, time(), show.PARIS).astimezone(UTC)
    end = datetime.combine(wanted + timedelta(days=1), time(), show.PARIS).astimezone(UTC)
    polls, reason = schedule.polls("command", end, now=runtime.now())
    return runs.fresh("command", polls=polls, reason=reason, interval=(start, end), now=runtime.now())
