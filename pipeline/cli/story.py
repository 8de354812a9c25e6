"""What the demonstration tells: what came in, what copies what, why an article carries its topics, a search.

Works on nothing and plays nothing: it shows a library as `demonstration` left it.
"""

import shlex
import sys
from collections.abc import Iterator
from itertools import groupby
from operator import itemgetter
from pathlib import Path
from typing import TYPE_CHECKING

from rich.text import Text

from pipeline.cli import console as show
from pipeline.cli.runs import print_report
from pipeline.cli.searching import print_results
from pipeline.cli.texts import print_topic
from pipeline.runtime import Runtime
from pipeline.store import articles, dossier
from pipeline.store.runs import Report
from pipeline.wording import counted, short

if TYPE_CHECKING:
    from rich.console import Console

QUERY = '"garanties de sécurité"'
GROUPS = 5


def tell(runtime: Runtime, report: Report) -> None:
    """Show what `report` says and what the library holds after it, and name the commands to try next."""
    out = show.console()
    print_report(report, "The sample newsroom, read by the DAG news_daily in Airflow")
    if not report.discovered:
        out.print("\nNothing new: all of it was known. Nothing was added.", style="bold green")
    out.print(f"The library holds {counted(runtime.index.count(), 'article')}.", highlight=False)
    _tell_copies(runtime, out)
    _tell_topics(runtime, out)
    found = runtime.index.search(QUERY, limit=3)
    example = found.results[0].id if found.results else "1"
    if found.results:
        _explain(runtime, out, example)
    out.print("\nA search", style="bold")
    print_results(QUERY, found)
    out.print("\nNext", style="bold")
    for line in _next(runtime.settings.home, example):
        out.print(Text(f"   {line}"), soft_wrap=True)


def _tell_copies(runtime: Runtime, out: "Console") -> None:
    with runtime.store.transaction("tell") as tx:
        groups = list(articles.groups(tx, GROUPS))
    if groups:
        out.print("\nCopies: who printed the same text, and how much of each article it is", style="bold")
    for _, rows in groupby(groups, key=itemgetter("id")):
        members = list(rows)
        out.print(Text(f"{members[0]['publisher']}: {members[0]['title']}"))
        for row in members:
            copied = f"{row['share']:>4.0%} of {row['copy_publisher']}: {row['copy_title']}"
            out.print(show.hanging("   └ ", copied))


def _tell_topics(runtime: Runtime, out: "Console") -> None:
    with runtime.store.transaction("tell") as tx:
        counts = articles.topic_counts(tx)
    out.print()
    table = show.table("Topics", "topic", "articles", right=("articles",))
    for topic, count in counts.items():
        table.add_row(topic, str(count))
    out.print(table)


def _explain(runtime: Runtime, out: "Console", article: str) -> None:
    with runtime.store.transaction("tell") as tx:
        found = dossier.of(tx, article)
    out.print("Why an article carries its topics: every hit, with its points and its sentence", style="bold")
    out.print(Text(f"{found.publisher}: {found.article.title}"))
    for tag in found.tags:
        print_topic(tag.topic, tag.score, tag.confidence, tag.hits)


def _next(home: Path, article: str) -> Iterator[str]:
    """Commands to try, as the shell takes them."""
    yield f"export VEILLE_HOME={shlex.quote(short(home, Path.cwd()))}"
    for arguments in (f"search {shlex.quote(QUERY)} --facets", f"show {article}", "runs show 1"):
        yield f"{shlex.quote(short(Path(sys.argv[0]), Path.cwd()))} {arguments}"
