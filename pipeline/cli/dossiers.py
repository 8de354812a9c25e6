"""`veille show`: all that Veille knows of an article.

Does not gather it: `store.dossier` does.
"""

from typing import Annotated, Any

import typer

from pipeline.cli import console as show
from pipeline.cli.options import Json
from pipeline.cli.texts import print_topic
from pipeline.runtime import Runtime
from pipeline.settings import from_environment


def show_article(
    article: Annotated[str, typer.Argument(metavar="ID", help="An article's id, or its URL.")],
    json: Json = False,
) -> None:
    """Show an article: text, revisions, copies, topics with their reasons, where it was seen."""
    from pipeline.store import dossier

    with Runtime(from_environment()) as runtime:
        runtime.require_library()
        with runtime.store.transaction("show") as tx:
            found = dossier.of(tx, article)
    if json:
        show.emit(found)
    else:
        _print_dossier(found)


def _print_dossier(found: Any) -> None:
    from rich.text import Text

    out = show.console()
    article = found.article
    out.print(Text(article.title, style="bold"))
    about = [found.publisher, show.when(article.published), article.language, article.completeness]
    out.print(Text(" · ".join(filter(None, about)), style="dim"))
    out.print(Text(show.PARIS_TIMES, style="dim"))
    if article.authors:
        out.print(Text(", ".join(article.authors), style="dim"))
    out.print(Text(found.url, style="dim"), soft_wrap=True)
    if article.lead:
        out.print(Text(f"\n{article.lead}", style="italic"))
    for paragraph in article.text.splitlines():
        out.print(Text(f"\n{paragraph}"))
    out.print()
    for tag in found.tags:
        print_topic(f"topic {tag.topic}", tag.score, tag.confidence, tag.hits)
    for row in found.copies:
        original = "copied from" if row["id"] == found.copy_of else "shares text with"
        said = f"{original} {row['publisher']} {row['id']}: {row['title']}"
        shares = f"{row['share_here']:.0%} of this, {row['share_there']:.0%} of that"
        out.print(Text(f"{said} ({shares})"))
    for row in found.revisions:
        out.print(Text(f"revision {row['number']}, read {show.when(row['read_at'])}: {row['title']}"))
    for row in found.sightings:
        under = f" as {row['url']}" if len(found.entries) > 1 else ""
        out.print(Text(f"seen in {row['feed']}{under}, first {show.when(row['first_at'])}"), soft_wrap=True)
    for row in found.entries:
        again = f"to be read again {show.when(row['due_at'])}" if row["due_at"] else "not to be read again"
        out.print(Text(f"{row['outcome'] or 'waiting'}: {row['url']} ({again})"), soft_wrap=True)
