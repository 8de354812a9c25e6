"""`veille search`: a query and its filters, and a page of results.

Looks into the query for topics that do not exist; what it finds is the engine's business.
"""

from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Annotated, Any

import typer

from pipeline.cli import console as show
from pipeline.cli.options import Json, advice, day
from pipeline.errors import ConfigError, NotFound
from pipeline.runtime import Runtime
from pipeline.settings import from_environment
from pipeline.tokens import fold
from pipeline.wording import counted

if TYPE_CHECKING:
    from rich.text import Text

MARK = "bold reverse"
HELP = "veille search --help says how queries are written"
FEW = 12  # names that fit on two lines of a terminal


def search(
    words: Annotated[
        list[str],
        typer.Argument(metavar="QUERY", help='Words, "phrases", AND OR NOT, field:word, prefix*, dates.'),
    ],
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
    from pipeline.query import parse, values
    from pipeline.search import FACETS, Filters, Sort

    query = " ".join(words)
    if since and until and since > until:
        raise ConfigError(
            f"--since {since} lies after --until {until}", hint=f"--since {until} --until {since}"
        )
    filters = Filters(
        topics=tuple(topic or ()),
        publishers=tuple(publisher or ()),
        languages=tuple(language or ()),
        since=day(since) if since else None,
        until=day(until) if until else None,
    )
    order = Sort(_one_of(sort, [str(s) for s in Sort], "sort order"))
    with advice(HELP):
        topics = *filters.topics, *values(parse(query), "topic")
    with Runtime(from_environment()) as runtime:
        runtime.require_library()
        _check_topics(runtime, topics)
        _check_publishers(runtime, filters.publishers)
        _check_languages(runtime, filters.languages)
        found = runtime.index.search(
            query,
            filters=filters,
            facets=FACETS if facets else (),
            sort=order,
            offset=offset,
            limit=limit,
        )
    if json:
        show.emit(found)
    else:
        print_results(query, found, offset=offset)


def print_results(query: str, found: Any, *, offset: int = 0) -> None:
    """A page of search results, the matches marked."""
    from rich.text import Text

    out = show.console()
    articles = counted(found.total, "article")
    zone = f"; {show.PARIS_TIMES}" if found.results else ""
    out.print(Text.assemble((f"{articles} for « {query} »", "bold"), (zone, "dim")))
    for number, result in enumerate(found.results, start=offset + 1):
        out.print()
        out.print(show.hanging(f"{number:>2}. ", _marked(result.title_marked, "bold")))
        topics_ = f" · {', '.join(result.topics)}" if result.topics else ""
        copies = f" · {counted(result.copies, 'copy', 'copies')}" if result.copies else ""
        copies += f" · copy of {result.copy_of}" if result.copy_of else ""
        about = f"{result.publisher_name} · {show.when(result.published)}{topics_}{copies} · id {result.id}"
        out.print(show.hanging("    ", Text(about, style="dim")))
        for fragment in result.highlights:
            out.print(show.hanging("    … ", _marked(fragment)))
    left = found.total - offset - len(found.results)
    if left > 0:
        out.print(f"\n{left} more: --offset {offset + len(found.results)}", highlight=False, markup=False)
    for facet in found.facets:
        if facet.counts:
            shown = "  ".join(f"{value} {count}" for value, count in facet.counts[:12])
            out.print(Text(f"\n{facet.name}: {shown}"))


def _marked(pieces: Any, style: str = "") -> "Text":
    from rich.text import Text

    text = Text()
    for piece in pieces:
        text.append(piece.text, style=f"{style} {MARK}" if piece.match else style)
    return text


def _check_topics(runtime: Runtime, asked: Sequence[str]) -> None:
    def carried() -> Iterable[str]:
        from pipeline.store import articles

        with runtime.store.transaction("topics") as tx:
            return sorted(articles.topic_counts(tx))

    _check(asked, [rule.id for rule in runtime.rules], carried, "topic")


def _check_publishers(runtime: Runtime, asked: Sequence[str]) -> None:
    def imported() -> Iterable[str]:
        from pipeline.store import articles

        with runtime.store.transaction("publishers") as tx:
            return articles.publishers(tx)

    _check(asked, [publisher.id for publisher in runtime.catalogue.publishers], imported, "publisher")


def _check_languages(runtime: Runtime, asked: Sequence[str]) -> None:
    def indexed() -> Iterable[str]:
        [languages] = runtime.index.search("", facets=("language",), limit=0).facets
        return [language for language, _ in languages.counts]

    admitted = [language for publisher in runtime.catalogue.publishers for language in publisher.languages]
    _check(asked, ["fr", *admitted], indexed, "language")


def _check(
    asked: Sequence[str], configured: Iterable[str], found: Callable[[], Iterable[str]], what: str
) -> None:
    """Refuse what there is none of: a misspelt one would find nothing, in silence.

    What is not configured may still be `found` in the library, from imports or from earlier.
    """
    known = list(dict.fromkeys(configured))
    if not {*map(fold, asked)} <= {*map(fold, known)}:
        known = list(dict.fromkeys((*known, *found())))
    for value in asked:
        _one_of(value, known, what)


def _one_of(value: str, known: Iterable[str], what: str) -> str:
    """The known name that `value` means, capitals and accents apart, as filters take it."""
    names = {fold(name): name for name in known}
    if fold(value) in names:
        return names[fold(value)]
    import difflib

    near = difflib.get_close_matches(fold(value), names, n=1)
    some = f"one of: {', '.join(names.values())}" if len(names) <= FEW else ""
    raise NotFound(f"there is no {what} {value!r}", hint=f"did you mean {names[near[0]]}?" if near else some)
