"""`veille demo`: the sample newsroom, played through the real DAG in Airflow.

Decides nothing about articles; it starts the parts, waits for them, and shows what came of it. All it makes
lies in `demo` under the home. It may be interrupted at any moment and started again.
"""

import contextlib
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime
from itertools import groupby
from pathlib import Path

from pipeline import scheduler
from pipeline.cli import console as show
from pipeline.cli.library import print_report, print_results
from pipeline.errors import Transient
from pipeline.newsroom.server import Newsroom
from pipeline.runtime import Runtime
from pipeline.settings import ROOT, from_environment
from pipeline.stages import index
from pipeline.store import articles, runs
from pipeline.store.runs import Report

EDITIONS = 2  # one article is revised between them
GAP_SECONDS = 0.05  # the newsroom is ours: it need not be spared
DAG_SECONDS = 600.0
QUERY = '"garanties de sécurité"'


def play(*, as_json: bool) -> None:
    """Serve the newsroom, run the DAG until its last edition is in, show the result."""
    given = from_environment()
    home = given.home / "demo"
    with Newsroom(home) as newsroom:
        settings = replace(
            given,
            home=home,
            config=home / "config",
            archive=home / "archive",
            database_url="",
            allow_hosts=frozenset(_pairs(newsroom.hosts)),
            host_gap_seconds=GAP_SECONDS,
        )
        newsroom.write_config(settings.config)
        shutil.copytree(ROOT / "config" / "topics", settings.config / "topics", dirs_exist_ok=True)
        with Runtime(settings) as runtime:
            report = _run_editions(runtime, newsroom)
            wrong = index.differences(runtime)
            if as_json:
                show.emit(show.plain(report) | {"adds_up": report.adds_up, "index_differs": wrong})
            else:
                _tell(runtime, report)


def _run_editions(runtime: Runtime, newsroom: Newsroom) -> Report:
    """Run the DAG for every edition that is left, and report on these runs as one."""
    with show.progress("starting PostgreSQL and preparing Airflow"):
        environment = _airflow(runtime, newsroom)
    began = runtime.now()
    while True:
        with show.progress(f"the DAG news_daily runs in Airflow (edition {newsroom.edition} of {EDITIONS})"):
            _run_dag(environment)
        if newsroom.edition >= EDITIONS:
            break
        newsroom.publish_edition(newsroom.edition + 1)
    return _report_since(runtime, began)


def _airflow(runtime: Runtime, newsroom: Newsroom) -> dict[str, str]:
    """The environment for Airflow on the demonstration's home, its own database made and up to date."""
    home = runtime.settings.home
    runtime.embedded.create_database(scheduler.DATABASE)
    url = scheduler.database_url(runtime.embedded)
    environment = os.environ | scheduler.environment(home, url)
    environment |= {
        "VEILLE_HOME": str(home),
        "VEILLE_CONFIG": str(runtime.settings.config),
        "VEILLE_ARCHIVE": str(runtime.settings.archive),
        "VEILLE_ALLOW_HOSTS": ",".join(newsroom.hosts),
        "VEILLE_HOST_GAP_SECONDS": str(GAP_SECONDS),
    }
    environment.pop("VEILLE_DATABASE_URL", None)
    _ = runtime.store  # the schema is made before the tasks ask for it
    _call(["-m", "airflow", "db", "migrate"], environment, "airflow db migrate")
    return environment


def _run_dag(environment: dict[str, str]) -> None:
    _call([str(ROOT / "dags" / "news_daily.py")], environment, "the DAG news_daily")


def _call(arguments: list[str], environment: dict[str, str], what: str) -> None:
    """Run Python with these arguments, its output into the log; it does not outlive us."""
    log = Path(environment["AIRFLOW_HOME"]) / "demo.log"
    with log.open("ab") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "pipeline.offspring", *arguments],
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
        )
        with _ended(process):
            code = process.wait(DAG_SECONDS)
    if code:
        raise Transient(
            f"{what} failed (exit code {code})", hint=f"see the end of {log}, then run the demo again"
        )


@contextlib.contextmanager
def _ended(process: subprocess.Popen[bytes]) -> Iterator[None]:
    try:
        yield
    except subprocess.TimeoutExpired as error:
        raise Transient(f"it did not end in {DAG_SECONDS:.0f} s", hint="run the demo again") from error
    finally:
        if process.poll() is None:
            process.terminate()
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(5)
            process.kill()
            process.wait()


def _report_since(runtime: Runtime, began: datetime) -> Report:
    with runtime.store.transaction("report") as tx:
        since = [
            run.id for run, _, _ in runs.recent(tx, EDITIONS) if run.started_at and run.started_at >= began
        ]
    with runtime.store.transaction("report") as tx:
        return runs.report(tx, since[-1], together_with=tuple(since[:-1]))


def _tell(runtime: Runtime, report: Report) -> None:
    """What came in, what copies what, which topics, a search, and what to try next."""
    out = show.console()
    print_report(report, "The sample newsroom, read by the DAG news_daily in Airflow")
    if not report.discovered:
        out.print("\nNothing new: all of it was known. Nothing was added.", style="bold green")
    with runtime.store.transaction("tell") as tx:
        groups = list(articles.groups(tx, 5))
        counts = articles.topic_counts(tx)
    if groups:
        out.print("\nCopies", style="bold")
    for _, rows in groupby(groups, key=lambda row: row["id"]):
        members = list(rows)
        out.print(f"{members[0]['publisher']}: {members[0]['title']}", highlight=False, markup=False)
        for row in members:
            out.print(
                f"   └ {row['copy_publisher']}: {row['copy_title']} ({row['share']:.0%} of it copied)",
                highlight=False,
                markup=False,
            )
    table = show.table("\nTopics", "topic", "articles", right=("articles",))
    for topic, count in counts.items():
        table.add_row(topic, str(count))
    out.print(table)
    print_results(QUERY, runtime.index.search(QUERY, limit=3))
    out.print(f"\nNext, with VEILLE_HOME={_short(runtime.settings.home)}", style="bold", highlight=False)
    for command in (
        f"veille search {QUERY!r} --facets",
        "veille show 1",
        "veille runs show last",
        "veille status",
    ):
        out.print(f"   {command}", highlight=False, markup=False)


def _pairs(hosts: tuple[str, ...]) -> Iterator[tuple[str, int]]:
    for host in hosts:
        name, _, port = host.rpartition(":")
        yield name, int(port)


def _short(path: Path) -> str:
    with contextlib.suppress(ValueError):
        return str(path.relative_to(Path.cwd()))
    return str(path)
