"""The library as a whole: what it watches, what it holds, how it is, and its index. Decides nothing."""

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import TYPE_CHECKING, Annotated, Any

import typer

from pipeline.cli import console as show
from pipeline.cli.options import Json
from pipeline.runtime import Runtime
from pipeline.search import REBUILD
from pipeline.settings import from_environment
from pipeline.wording import counted

if TYPE_CHECKING:
    from pipeline.checkup import Check


def sources(json: Json = False) -> None:
    """List the publishers and how many feeds each has."""
    catalogue = Runtime(from_environment()).catalogue
    if json:
        show.emit(catalogue.publishers)
        return
    table = show.table("Sources", "id", "name", "family", "country", "feeds", right=("feeds",))
    for publisher in catalogue.publishers:
        table.add_row(
            publisher.id, publisher.name, publisher.family, publisher.country, str(len(publisher.feeds))
        )
    show.console().print(table)


def topics(json: Json = False) -> None:
    """List the topics and, if there is a library, how many of its articles carry each."""
    from pipeline.store import articles

    counts: dict[str, int] | None = None
    with Runtime(from_environment()) as runtime:
        rules = runtime.rules
        if runtime.has_library():
            with runtime.store.transaction("topics") as tx:
                counts = articles.topic_counts(tx)
    rows = [
        {
            "id": rule.id,
            "version": rule.version,
            "label": rule.label,
            "articles": None if counts is None else counts.get(rule.id, 0),
        }
        for rule in rules
    ]
    if json:
        show.emit(rows)
        return
    table = show.table("Topics", "id", "label", "version", "articles", right=("version", "articles"))
    for row in rows:
        label = row["label"]
        assert isinstance(label, Mapping)
        count = "" if counts is None else str(row["articles"])
        table.add_row(str(row["id"]), label.get("fr", ""), str(row["version"]), count)
    show.console().print(table)


def set_up_index(json: Json = False) -> None:
    """Prepare the search engine, and make the index if there is none.

    On a server, this needs a user who may manage index templates.
    """
    from pipeline.stages import index

    with Runtime(from_environment()) as runtime:
        documents = index.set_up(runtime)
    if json:
        show.emit({"documents": documents})
    else:
        typer.echo(f"the index is ready, with {counted(documents, 'document')}")


def retry_index(json: Json = False) -> None:
    """Offer again the documents that the search engine refused or put off."""
    from pipeline.stages import index

    with Runtime(from_environment()) as runtime:
        offered, refused = index.retry(runtime, "retry")
    if json:
        show.emit({"offered": offered, "refused": len(refused), "reasons": refused})
    else:
        typer.echo(f"{counted(offered, 'document')} offered again, {len(refused)} refused again")
        _print_reasons(refused)
    raise typer.Exit(1 if refused else 0)


def reconcile_index(json: Json = False) -> None:
    """Compare the search index with the store, and write or delete what differs."""
    from pipeline.stages import index

    with Runtime(from_environment()) as runtime:
        done = index.reconcile(runtime, "reconcile")
        reasons = index.reasons(runtime)
    still = any(done.left.values())
    if json:
        show.emit({"mended": done.mended, "left": done.left, "reasons": reasons})
    else:
        if done.mended:
            typer.echo(", ".join(f"{what}: {count}" for what, count in done.mended.items()) + "; mended")
        if still:
            _print_differences(done.left, reasons, REBUILD)
        elif not done.mended:
            typer.echo("the index holds what the store holds")
    raise typer.Exit(1 if still else 0)


def rebuild_index(json: Json = False) -> None:
    """Make the search index anew from the store; searches and writes go on meanwhile."""
    from pipeline.stages import index
    from pipeline.store import articles

    with Runtime(from_environment()) as runtime:
        runtime.require_library()
        with runtime.store.transaction("count") as tx:
            total = articles.count(tx)
        with show.progress("rebuilding the index", total) as advance:
            documents = index.rebuild(runtime, advance=advance)
        index.drain(runtime, "rebuild")
    if json:
        show.emit({"documents": documents})
    else:
        typer.echo(f"the index was rebuilt with {counted(documents, 'document')}")


def check_index(json: Json = False) -> None:
    """Compare every document of the search index with the store."""
    from pipeline.stages import index

    with Runtime(from_environment()) as runtime:
        runtime.require_library()
        found, reasons = index.differences(runtime), index.reasons(runtime)
        figures = index.figures(runtime)
        oldest = figures.oldest if found["waiting"] else 0.0
    if json:
        show.emit(
            found | {"oldest_waiting": oldest, "reasons": reasons, "broken_off_rebuild": figures.broken_off}
        )
    elif any(found.values()):
        _print_differences(found, reasons, "veille index reconcile", oldest=oldest)
    else:
        typer.echo("the index holds what the store holds")
    if figures.broken_off and not json:
        typer.echo("a rebuild was broken off; the next writer ends it  → veille ingest")
    raise typer.Exit(1 if any(found.values()) else 0)


def _print_differences(
    found: Mapping[str, Sequence[str]], reasons: Mapping[str, str], mend: str, *, oldest: float = 0.0
) -> None:
    """What differs, why, and the next command: `mend` for what a writer should have written or deleted."""
    for what, ids in found.items():
        age = f", the oldest for {timedelta(seconds=round(oldest))}" if oldest and what == "waiting" else ""
        typer.echo(f"{what}: {len(ids)}{age}  {' '.join(ids[:10])}".rstrip())
        _print_reasons({id_: reasons[id_] for id_ in ids if id_ in reasons})
    mends = {"waiting": "veille ingest", "refused": "veille index retry"}
    commands = [mends.get(what, mend) for what, ids in found.items() if ids]
    typer.echo(f"  → {' ; '.join(dict.fromkeys(commands))}")


def _print_reasons(reasons: Mapping[str, str]) -> None:
    for id_, reason in list(reasons.items())[:10]:
        typer.echo(f"  {id_}: {reason}")


def status(
    prometheus: Annotated[str, typer.Option(help="Write the figures to this file, for Prometheus.")] = "",
    json: Json = False,
) -> None:
    """Say what is waiting, what is late and what fails."""
    from pipeline import metrics

    with Runtime(from_environment()) as runtime:
        runtime.require_library()
        found = metrics.collect(runtime)
    if prometheus:
        metrics.write(found, prometheus)
    if json:
        show.emit(found)
    else:
        _print_status(found)


def doctor(
    migrate: Annotated[bool, typer.Option("--migrate", help="Bring a server's schema up to date.")] = False,
    json: Json = False,
) -> None:
    """Check what Veille stands on: each line with its state and the next command."""
    from pipeline import checkup

    with Runtime(from_environment()) as runtime:
        found = checkup.all_checks(runtime, migrate=migrate)
    if json:
        show.emit(found)
    else:
        _print_checks(found)
    raise typer.Exit(1 if any(check.state == "failed" for check in found) else 0)


def _print_checks(found: "Sequence[Check]") -> None:
    """A line each; the next command is on one of its own, unbroken, to be copied."""
    from rich.table import Table
    from rich.text import Text

    out = show.console()
    for check in found:
        style = {"ok": "green", "warning": "yellow"}.get(check.state, "bold red")
        line = Table.grid(padding=(0, 1))
        line.add_column(width=7, style=style)
        line.add_column(width=13, style="bold")
        line.add_column(overflow="fold")
        line.add_row(check.state, check.what, Text(check.found))
        out.print(line)
        if check.hint:
            out.print(Text(f"        → {check.hint}"), soft_wrap=True)


def _print_status(found: Any) -> None:
    out = show.console()
    table = show.table("Status", "what", "figure", right=("figure",))
    for name, value in found.lines():
        table.add_row(name, value)
    out.print(table)
    for row in found.silent_feeds[:10]:
        since = show.when(row["changed_at"])
        new = f"nothing new since {since}, in Paris" if since else "it never had anything"
        show.about(f"feed: {row['url']}", row["error"] or new, style="yellow")
