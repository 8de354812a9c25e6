"""`veille feeds`: saved feeds, shown or taken as if they had been polled.

Fetches nothing.
"""

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import typer

from pipeline.cli import console as show
from pipeline.cli import lines
from pipeline.cli.options import NOWHERE, Json, Ndjson, alone, as_address, given, moment
from pipeline.errors import ConfigError, Permanent, Unparsable
from pipeline.model import Feed
from pipeline.reading import FEED_CAP
from pipeline.runtime import Runtime
from pipeline.settings import from_environment
from pipeline.store import runs
from pipeline.wording import counted

EXPECTED = "RSS, Atom, RDF or JSON Feed is expected; veille extract reads pages"


def parse_feed(
    path: Annotated[str, typer.Argument(help="A saved feed.")] = "",
    url: Annotated[str, typer.Option(help="Where it came from: relative links start there.")] = "",
    ndjson: Ndjson = False,
    json: Json = False,
) -> None:
    """Show what a saved feed holds.

    NDJSON in: {"path", "url", "content_type" (optional)}.
    """
    with Runtime(from_environment()) as runtime:

        def work(record: dict[str, Any]) -> dict[str, object]:
            feed = runtime.workers.run(
                "parse_feed",
                {
                    "body": show.read_bytes(lines.text(record, "path"), FEED_CAP),
                    "url": lines.text(record, "url", "") or NOWHERE,
                    "content_type": lines.text(record, "content_type", ""),
                },
            )
            assert isinstance(feed, Feed)
            return _feed(feed)

        if ndjson:
            alone(path, url, json)
            lines.answer(work)
            return
        try:
            found = work({"path": given(path, "a file"), "url": url})
        except Unparsable as error:
            raise Unparsable(f"{path}: {error}", hint=EXPECTED) from error
    if json:
        show.emit(found)
    else:
        _print_feed(found)


def _feed(feed: Feed) -> dict[str, object]:
    entries = [
        {
            "url": entry.url,
            "canonical_url": entry.canonical_url,
            "guid": entry.guid,
            "title": entry.title,
            "summary": entry.summary,
            "published": entry.published,
        }
        for entry in feed.entries
    ]
    return {
        "format": feed.format,
        "broken": feed.broken,
        "title": feed.title,
        "without_link": feed.without_link,
        "entries_truncated": feed.entries_truncated,
        "entries": entries,
    }


def _print_feed(feed: dict[str, Any]) -> None:
    entries = feed["entries"]
    out = show.console()
    table = show.table(f"{feed['format']}: {feed['title']}", "published (Paris)", "title", "url")
    for entry in entries:
        table.add_row(show.when(entry["published"]), entry["title"], entry["canonical_url"])
    out.print(table)
    links = counted(feed["without_link"], "item")
    out.print(f"{counted(len(entries), 'entry', 'entries')}, {links} without a link", highlight=False)
    if any(entry["url"].startswith(NOWHERE) for entry in entries):
        out.print("some links are relative: --url says where the feed came from", style="yellow")
    if feed["broken"]:
        out.print(f"broken: {feed['broken']}", style="yellow", markup=False, highlight=False)


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
    saved_at = moment(at, show.PARIS, "--at") if at else None
    rows = []
    with Runtime(from_environment()) as runtime:
        if saved_at and saved_at > runtime.now():
            raise ConfigError(
                f"--at {at} has not come yet", hint="leave --at out to take each file's own time"
            )
        run = runs.fresh("import", polls=False, reason="saved feeds were imported", now=runtime.now())
        steps.start(runtime, run)
        with show.progress("importing feeds", len(files)) as advance:
            for path in files:
                rows.append(_import_feed(runtime, run.id, path, url, saved_at))
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
        typer.echo(
            f"{counted(totals['feeds'], 'feed')}, "
            f"{counted(totals['items'], 'item')}, "
            f"{counted(totals['new'], 'new entry', 'new entries')}"
        )
        for row in rows:
            _print_remarks(row, url)
        if report.waiting:
            typer.echo("their pages are fetched and read by the next run\n  → veille ingest")
    if unusable:
        raise _not_taken(unusable, len(rows))


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
    # A clock that was wrong once must not make an entry due in ten years.
    saved_at = at or min(datetime.fromtimestamp(path.stat().st_mtime, UTC), runtime.now())
    discover.import_feed(runtime, run, url or as_address(str(path)), body, feed, at=saved_at)
    return row | {"items": len(feed.entries), "without_link": feed.without_link, "broken": feed.broken}


def _not_taken(unusable: list[dict[str, Any]], files: int) -> Unparsable:
    """Which files, and why; the others were taken."""
    reasons = [f"no feed: {row['path']}: {row['error']}" if row["read"] else row["error"] for row in unusable]
    if files == 1:
        return Unparsable(reasons[0], hint=EXPECTED)
    said = f"{len(unusable)} of {files} files could not be taken:"
    return Unparsable("\n  ".join((said, *reasons)), hint=f"{EXPECTED}; the other files were taken")


def _print_remarks(row: dict[str, Any], url: str) -> None:
    if row["broken"]:
        typer.echo(f"broken, but read: {row['path']}: {row['broken']}")
    if row["without_link"]:
        typer.echo(f"{row['path']}: {counted(row['without_link'], 'item')} without a usable link")
        if not url:
            typer.echo("  → give --url, where the feed came from: relative links start there")
