"""Commands that bring something in: a run without Airflow, saved feeds, finished texts, the demonstration."""

from dataclasses import replace
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path
from typing import Annotated, Any

import typer

from pipeline.cli import console as show
from pipeline.cli.runs import print_report
from pipeline.cli.tools import FEED_CAP, Json
from pipeline.errors import ConfigError, NotFound, Permanent, Unparsable
from pipeline.model import Feed
from pipeline.runtime import Runtime
from pipeline.settings import from_environment
from pipeline.store.runs import Run
from pipeline.urls import canonical

NOWHERE = "https://import.invalid/"  # where relative links of a saved feed lead, if its address is not given


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

    with Runtime(from_environment()) as runtime:
        urls = _chosen(runtime, feed or [], source or [])
        run = _run_of(runtime, day)
        report = steps.ingest(runtime, run, urls=urls, watch=show.countdown)
    if json:
        show.emit(show.plain(report) | {"adds_up": report.adds_up})
    else:
        print_report(report)
    raise typer.Exit(1 if report.polled_in_vain else 0)


def import_feeds(
    files: Annotated[list[Path], typer.Argument(help="Saved feeds.")],
    at: Annotated[
        str, typer.Option(help="When they were saved, 2024-01-26T11:00; default: the file's time.")
    ] = "",
    url: Annotated[str, typer.Option(help="Where it came from; for one file.")] = "",
    json: Json = False,
) -> None:
    """Take saved feeds as if they had been polled then. Entries go into the store; nothing is fetched.

    Exit code 1 if a file is no feed or cannot be read; the others are taken.
    """
    from pipeline import steps

    if url and len(files) != 1:
        raise ConfigError("--url names the address of one file", hint="import the files one by one")
    moment = _moment(at) if at else None
    rows = []
    with Runtime(from_environment()) as runtime:
        run = _fresh(runtime, "import", polls=False, reason="saved feeds were imported")
        steps.start(runtime, run)
        with show.progress("importing feeds", len(files)) as advance:
            for path in files:
                rows.append(_import_feed(runtime, run.id, path, url, moment))
                advance(1)
        report = steps.report(runtime, run.id)
    unusable = [row for row in rows if row["error"]]
    totals = {
        "run": run.id,
        "files": len(rows),
        "feeds": len(rows) - len(unusable),
        "items": sum(row["items"] for row in rows),
        "new": report.discovered,
        "without_link": sum(row["without_link"] for row in rows),
        "unreadable": [{"path": row["path"], "error": row["error"]} for row in unusable if not row["read"]],
        "not_feeds": [{"path": row["path"], "error": row["error"]} for row in unusable if row["read"]],
        "broken": [{"path": row["path"], "broken": row["broken"]} for row in rows if row["broken"]],
    }
    if json:
        show.emit(totals)
    else:
        typer.echo(f"{totals['feeds']} feeds, {totals['items']} items, {totals['new']} new entries")
        for row in rows:
            _print_trouble(row, url)
    raise typer.Exit(1 if unusable else 0)


def import_documents(
    file: Annotated[str, typer.Argument(help="NDJSON: {url, title, text, published, publisher} a line.")],
    json: Json = False,
) -> None:
    """Take articles whose text is known: compared, tagged and indexed, without fetching anything."""
    from pipeline import steps
    from pipeline.stages import documents

    with Runtime(from_environment()) as runtime:
        run = _fresh(runtime, "import", polls=False, reason="finished texts were imported")
        steps.start(runtime, run)
        lines = [
            (number, line)
            for number, line in enumerate(show.read_bytes(file).splitlines(), start=1)
            if line.strip()
        ]
        if not lines:
            raise Unparsable(
                f"{file} holds no article", hint='one line each: {"url": …, "title": …, "text": …}'
            )
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
        for row in refused:
            typer.echo(f"line {row['line']}: {row['error']}")
    raise typer.Exit(1 if refused else 0)


def retry(
    address: Annotated[list[str] | None, typer.Argument(metavar="URL", help="Addresses of entries.")] = None,
    run: Annotated[
        str, typer.Option(help="All that failed of this run's entries; `last` for the newest.")
    ] = "",
    json: Json = False,
) -> None:
    """Let entries that failed start again, in the next run."""
    if not address and not run:
        raise ConfigError("a URL is needed, or --run", hint="veille runs show names what failed")
    from pipeline.store import entries, runs

    urls = [canonical(url) for url in address or ()]
    with Runtime(from_environment()) as runtime, runtime.store.transaction("retry") as tx:
        name = runs.named(tx, run).id if run else ""
        count = entries.retry(tx, run=name, urls=urls, now=runtime.now())
    if json:
        show.emit({"entries": count})
    else:
        typer.echo(f"{count} entries start again in the next run: veille ingest")
    raise typer.Exit(0 if count else 1)


def demo(
    json: Json = False,
) -> None:
    """Play the sample newsroom through the real DAG in Airflow, and show what came of it."""
    from pipeline.cli.demonstration import play

    play(as_json=json)


def _chosen(runtime: Runtime, feeds: list[str], sources: list[str]) -> list[str] | None:
    """The URLs of the feeds named; None for all."""
    if not feeds and not sources:
        return None
    known = {feed.url for feed in runtime.catalogue.feeds()}
    for url in feeds:
        if url not in known:
            raise NotFound(f"{url} is no feed of the catalogue", hint="add it to sources.yaml")
    return feeds + [feed.url for source in sources for feed in runtime.catalogue.publisher(source).feeds]


def _run_of(runtime: Runtime, day: str) -> Run:
    from pipeline import steps

    if not day:
        return _fresh(runtime, "command", polls=True, reason="the run is for now")
    try:
        wanted = date.fromisoformat(day)
    except ValueError as error:
        raise ConfigError(f"{day!r} is no day; one like 2026-03-01 is expected") from error
    if wanted > runtime.now().astimezone(show.PARIS).date():
        raise ConfigError(f"{day} has not come yet", hint="leave --day out to work for now")
    start = datetime.combine(wanted, time(), show.PARIS).astimezone(UTC)
    end = datetime.combine(wanted + timedelta(days=1), time(), show.PARIS).astimezone(UTC)
    polls, reason = steps.polls("command", end, now=runtime.now())
    return _fresh(runtime, "command", polls=polls, reason=reason, interval=(start, end))


def _fresh(
    runtime: Runtime,
    kind: str,
    *,
    polls: bool,
    reason: str,
    interval: tuple[datetime | None, datetime | None] = (None, None),
) -> Run:
    name = f"{kind}/{runtime.now():%Y-%m-%dT%H:%M:%S.%f}Z"
    return Run(name, kind, polls, reason, interval_start=interval[0], interval_end=interval[1])


def _moment(text: str) -> datetime:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError as error:
        raise ConfigError(f"{text!r} is no time; one like 2024-01-26T11:00 is expected") from error
    return moment if moment.tzinfo else moment.replace(tzinfo=show.PARIS)


def _import_feed(runtime: Runtime, run: str, path: Path, url: str, at: datetime | None) -> dict[str, Any]:
    from pipeline.stages import discover

    row: dict[str, Any] = {
        "path": str(path),
        "read": False,
        "items": 0,
        "without_link": 0,
        "broken": "",
        "error": "",
    }
    try:
        body = show.read_bytes(str(path), FEED_CAP)
        row["read"] = True
        feed = runtime.workers.run("parse_feed", {"body": body, "url": url or NOWHERE, "content_type": ""})
    except Permanent as error:
        return row | {"error": str(error)}
    assert isinstance(feed, Feed)
    led = tuple(entry for entry in feed.entries if not entry.url.startswith(NOWHERE))
    feed = replace(feed, entries=led, without_link=feed.without_link + len(feed.entries) - len(led))
    moment = at or datetime.fromtimestamp(path.stat().st_mtime, UTC)
    discover.import_feed(runtime, run, url or f"{NOWHERE}{path.name}", body, feed, at=moment)
    return row | {"items": len(feed.entries), "without_link": feed.without_link, "broken": feed.broken}


def _print_trouble(row: dict[str, Any], url: str) -> None:
    if row["error"]:
        typer.echo(f"no feed: {row['path']}: {row['error']}" if row["read"] else row["error"])
    if row["broken"]:
        typer.echo(f"broken, but read: {row['path']}: {row['broken']}")
    if row["without_link"]:
        typer.echo(f"{row['path']}: {row['without_link']} items without a usable link")
        if not url:
            typer.echo("  → give --url, where the feed came from: relative links start there")
