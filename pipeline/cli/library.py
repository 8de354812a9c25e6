"""Commands that look into what Veille holds: search, one article, runs, state, repair."""

from collections.abc import Mapping
from datetime import date, timedelta
from typing import Annotated, Any

import typer

from pipeline.cli import console as show
from pipeline.cli.tools import Json
from pipeline.errors import ConfigError, NotFound
from pipeline.model import Outcome, PageFate
from pipeline.runtime import Runtime
from pipeline.settings import from_environment
from pipeline.store.runs import Report

SILENT_AFTER = timedelta(days=7)  # a section feed may rest for a weekend and a holiday
MARK = "bold reverse"
FEW = 12  # names that fit on two lines of a terminal


def search(
    query: Annotated[str, typer.Argument(help='Words, "phrases", AND OR NOT, field:word, prefix*, dates.')],
    topic: Annotated[list[str] | None, typer.Option(help="Only articles with this topic.")] = None,
    publisher: Annotated[list[str] | None, typer.Option(help="Only this publisher (its id).")] = None,
    language: Annotated[list[str] | None, typer.Option(help="Only this language (fr, …).")] = None,
    since: Annotated[str, typer.Option(help="First day of publication, 2026-03-01.")] = "",
    until: Annotated[str, typer.Option(help="Last day of publication.")] = "",
    facets: Annotated[
        bool, typer.Option("--facets", help="Count by topic, publisher, day, language.")
    ] = False,
    sort: Annotated[str, typer.Option(help="relevance, newest or oldest.")] = "relevance",
    limit: Annotated[int, typer.Option(help="Results on a page.", min=1, max=1000)] = 10,
    offset: Annotated[int, typer.Option(help="Results to leave out at the start.", min=0)] = 0,
    json: Json = False,
) -> None:
    """Search the articles."""
    from pipeline.search import FACETS, Filters, Sort

    if since and until and since > until:
        raise ConfigError(f"--since {since} lies after --until {until}")
    with Runtime(from_environment()) as runtime:
        filters = Filters(
            topics=_known(topic, [rule.id for rule in runtime.rules], "topic"),
            publishers=_known(publisher, _publishers(runtime, publisher or []), "publisher"),
            languages=tuple(language or ()),
            since=_day(since),
            until=_day(until),
        )
        found = runtime.index.search(
            query,
            filters=filters,
            facets=FACETS if facets else (),
            sort=Sort(_one_of(sort, [str(s) for s in Sort], "sort order")),
            offset=offset,
            limit=limit,
        )
    if json:
        show.emit(found)
    else:
        print_results(query, found, offset=offset)


def show_article(
    article: Annotated[str, typer.Argument(metavar="ID", help="An article's id, or its URL.")],
    json: Json = False,
) -> None:
    """Show an article: text, revisions, copies, topics with their reasons, where it was seen."""
    from pipeline.store import dossier

    with Runtime(from_environment()) as runtime, runtime.store.transaction("show") as tx:
        found = dossier.of(tx, article)
    if json:
        show.emit(found)
    else:
        _print_dossier(found)


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
    """List the topics and how many articles carry each."""
    from pipeline.store import articles

    with Runtime(from_environment()) as runtime:
        rules = runtime.rules
        with runtime.store.transaction("topics") as tx:
            counts = articles.topic_counts(tx)
    rows = [
        {"id": rule.id, "version": rule.version, "label": rule.label, "articles": counts.get(rule.id, 0)}
        for rule in rules
    ]
    if json:
        show.emit(rows)
        return
    table = show.table("Topics", "id", "label", "version", "articles", right=("version", "articles"))
    for row in rows:
        label = row["label"]
        assert isinstance(label, Mapping)
        table.add_row(str(row["id"]), label.get("fr", ""), str(row["version"]), str(row["articles"]))
    show.console().print(table)


def rebuild_index(json: Json = False) -> None:
    """Make the search index anew from the store; searches and writes go on meanwhile."""
    from pipeline.stages import index

    with Runtime(from_environment()) as runtime, show.progress("rebuilding the index"):
        documents = index.rebuild(runtime)
        index.drain(runtime, "rebuild")
    if json:
        show.emit({"documents": documents})
    else:
        typer.echo(f"the index was rebuilt with {documents} documents")


def check_index(json: Json = False) -> None:
    """Compare the search index with the store."""
    from pipeline.stages import index

    with Runtime(from_environment()) as runtime:
        found = index.differences(runtime)
    if json:
        show.emit(found)
    elif any(found.values()):
        for what, ids in found.items():
            typer.echo(f"{what}: {len(ids)}  {' '.join(ids[:10])}".rstrip())
        typer.echo("  → veille index rebuild")
    else:
        typer.echo("the index holds what the store holds")
    raise typer.Exit(1 if any(found.values()) else 0)


def status(
    prometheus: Annotated[str, typer.Option(help="Write the figures to this file, for Prometheus.")] = "",
    json: Json = False,
) -> None:
    """Say what is waiting, what is late and what fails."""
    from pipeline import metrics

    with Runtime(from_environment()) as runtime:
        found = metrics.collect(runtime)
    if prometheus:
        metrics.write(found, prometheus)
    if json:
        show.emit(found)
    else:
        _print_status(found)


def list_runs(
    context: typer.Context,
    limit: Annotated[int, typer.Option(help="How many.", min=1)] = 20,
    json: Json = False,
) -> None:
    """List the newest runs."""
    if context.invoked_subcommand:
        return
    from pipeline.store import runs

    with Runtime(from_environment()) as runtime, runtime.store.transaction("runs") as tx:
        found = runs.recent(tx, limit)
    if json:
        show.emit([show.plain(run) | {"discovered": n, "waiting": waiting} for run, n, waiting in found])
        return
    table = show.table(
        "Runs", "run", "started", "finished", "discovered", "waiting", right=("discovered", "waiting")
    )
    for run, discovered, waiting in found:
        table.add_row(
            run.id, show.when(run.started_at), show.when(run.finished_at), str(discovered), str(waiting)
        )
    show.console().print(table)


def show_run(
    run: Annotated[str, typer.Argument(help="A run's name; `last` for the newest.")] = "last",
    json: Json = False,
) -> None:
    """Show what a run did: every entry that it discovered, by what became of it."""
    from pipeline.store import runs

    with Runtime(from_environment()) as runtime:
        with runtime.store.transaction("runs") as tx:
            name = runs.named(tx, run).id
        with runtime.store.transaction("report") as tx:
            report = runs.report(tx, name)
    if json:
        show.emit(show.plain(report) | {"adds_up": report.adds_up})
    else:
        print_report(report)


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
        table = show.table("Doctor", "what", "state", "found", "next command")
        for check in found:
            style = {"ok": "green", "warning": "yellow"}.get(check.state, "red")
            table.add_row(check.what, f"[{style}]{check.state}[/]", check.found, check.hint)
        show.console().print(table)
    raise typer.Exit(1 if any(check.state == "failed" for check in found) else 0)


def print_results(query: str, found: Any, *, offset: int = 0) -> None:
    """A page of search results, the matches marked."""
    from rich.text import Text

    out = show.console()
    out.print(f"{found.total} articles for « {query} »", style="bold", highlight=False, markup=False)
    for number, result in enumerate(found.results, start=offset + 1):
        out.print(_marked(f"\n{number:>2}. ", result.title_marked, "bold"))
        topics_ = f" · {', '.join(result.topics)}" if result.topics else ""
        copies = f" · {result.copies} copies" if result.copies else ""
        copies += f" · copy of {result.copy_of}" if result.copy_of else ""
        about = (
            f"    {result.publisher_name} · {show.when(result.published)}{topics_}{copies} · id {result.id}"
        )
        out.print(Text(about, style="dim"))
        for fragment in result.highlights:
            out.print(_marked("    … ", fragment))
    left = found.total - offset - len(found.results)
    if left > 0:
        out.print(f"\n{left} more: --offset {offset + len(found.results)}", highlight=False, markup=False)
    for facet in found.facets:
        if facet.counts:
            shown = "  ".join(f"{value} {count}" for value, count in facet.counts[:12])
            out.print(Text(f"\n{facet.name}: {shown}"))


def print_report(report: Report, title: str = "") -> None:
    """The table of a run's outcomes, which adds up, and what deserves a look."""
    out = show.console()
    run = report.run
    out.print(title or f"Run {run.id}", style="bold", highlight=False, markup=False)
    asked = "polled live feeds" if run.polls else "polled no live feeds"
    out.print(f"{asked}: {run.reason}", style="dim", highlight=False, markup=False)
    if report.polls:
        said = ", ".join(f"{n} {result}" for result, n in report.polls.items())
        listed = f"{report.items} items, of which some may be one entry in several feeds"
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
    out.print(f"already known from earlier runs: {report.already_known}", highlight=False)
    if report.read_again:
        said = ", ".join(f"{n} {outcome}" for outcome, n in report.read_again.items())
        out.print(f"pages read again: {said}", highlight=False, markup=False)
    if report.pages:
        out.print(f"pages: {', '.join(f'{n} {fate}' for fate, n in report.pages.items())}", highlight=False)
    _print_reasons(report)


def _print_reasons(report: Report) -> None:
    out = show.console()
    for row in report.why_waiting:
        next_ = show.when(row["next"])  # type: ignore[arg-type]  # a timestamp column
        out.print(
            f"waits: {row['n']} in {row['stage']} until {next_}: {row['reason']}",
            highlight=False,
            markup=False,
        )
    for row in report.feed_trouble:
        links = f"{row['without_link']} items without a usable link" if row["without_link"] else ""
        said = "; ".join(str(part) for part in (row["error"], row["broken"], links) if part)
        out.print(f"feed: {row['url']}: {said}", style="yellow", highlight=False, markup=False)
    if report.failures:
        out.print("What deserves a look", style="bold")
    for row in report.failures:
        said = f"{row['outcome'] or 'waiting'} ({row['page_fate']}): {row['url']}: {row['reason']}"
        out.print(said, style="dim", highlight=False, markup=False, soft_wrap=True)
    final = (PageFate.GONE, PageFate.ADDRESS_REFUSED)
    if any(row["outcome"] == Outcome.FAILED and row["page_fate"] not in final for row in report.failures):
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


def _print_dossier(found: Any) -> None:
    from rich.text import Text

    out = show.console()
    article = found.article
    out.print(Text(article.title, style="bold"))
    about = [found.publisher, show.when(article.published), article.language, article.completeness, found.url]
    out.print(Text(" · ".join(filter(None, about)), style="dim"))
    if article.authors:
        out.print(Text(", ".join(article.authors), style="dim"))
    out.print(Text(f"\n{article.lead}", style="italic") if article.lead else "")
    out.print(Text(article.text))
    out.print()
    for tag in found.tags:
        out.print(
            Text(f"topic {tag.topic}: score {tag.score:g}, confidence {tag.confidence:.2f}", style="bold")
        )
        for hit in tag.hits:
            points = f"{hit.points:+.2f}" if hit.points else "needed"
            out.print(Text(f"  {points}  {hit.field}: {hit.term}  « {hit.sentence} »"))
    for row in found.copies:
        original = "copied from" if row["id"] == found.copy_of else "shares text with"
        said = f"{original} {row['publisher']} {row['id']}: {row['title']}"
        shares = f"{row['share_here']:.0%} of this, {row['share_there']:.0%} of that"
        out.print(Text(f"{said} ({shares})"))
    for row in found.revisions:
        out.print(Text(f"revision {row['number']}, read {show.when(row['read_at'])}: {row['title']}"))
    for row in found.sightings:
        under = f" as {row['url']}" if len(found.entries) > 1 else ""
        out.print(Text(f"seen in {row['feed']}{under}, first {show.when(row['first_at'])}"))
    for row in found.entries:
        again = f"to be read again {show.when(row['due_at'])}" if row["due_at"] else "not to be read again"
        out.print(Text(f"{row['outcome'] or 'waiting'}: {row['url']} ({again})"))


def _print_status(found: Any) -> None:
    out = show.console()
    table = show.table("Status", "what", "figure", right=("figure",))
    for name, value in found.lines():
        table.add_row(name, value)
    out.print(table)
    for row in found.silent_feeds[:10]:
        said = row["error"] or f"nothing new since {show.when(row['changed_at']) or 'ever'}"
        out.print(f"feed {row['url']}: {said}", style="yellow", highlight=False, markup=False)


def _marked(before: str, pieces: Any, style: str = "") -> Any:
    from rich.text import Text

    text = Text(before)
    for piece in pieces:
        text.append(piece.text, style=f"{style} {MARK}" if piece.match else style)
    return text


def _publishers(runtime: Runtime, wanted: list[str]) -> list[str]:
    """The catalogue's publishers; for others, those that the store holds as well, from imports or earlier."""
    known = [publisher.id for publisher in runtime.catalogue.publishers]
    if set(wanted) <= set(known):
        return known
    from pipeline.store import articles

    with runtime.store.transaction("publishers") as tx:
        return known + articles.publishers(tx)


def _known(values: list[str] | None, known: list[str], what: str) -> tuple[str, ...]:
    for value in values or ():
        _one_of(value, known, what)
    return tuple(values or ())


def _one_of(value: str, known: list[str], what: str) -> str:
    if value in known:
        return value
    import difflib

    near = difflib.get_close_matches(value, known, n=1)
    some = f"one of: {', '.join(known)}" if len(known) <= FEW else ""
    raise NotFound(f"there is no {what} {value!r}", hint=f"did you mean {near[0]}?" if near else some)


def _day(text: str) -> date | None:
    try:
        return date.fromisoformat(text) if text else None
    except ValueError as error:
        raise ConfigError(f"{text!r} is no day; one like 2026-03-01 is expected") from error
