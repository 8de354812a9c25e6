"""`veille demo`: the sample newsroom, played through the real DAG in Airflow.

Decides nothing about articles; it starts the parts, waits for them, and shows what came of it. All it makes
lies in `demo` under the home. It may be interrupted at any moment and started again.
"""

import contextlib
import os
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import groupby
from pathlib import Path

from pipeline import scheduler
from pipeline.cli import console as show
from pipeline.cli.runs import print_report
from pipeline.cli.searching import print_results
from pipeline.errors import Transient
from pipeline.logs import turn
from pipeline.newsroom.printing import EDITIONS
from pipeline.newsroom.server import Newsroom
from pipeline.runtime import Runtime
from pipeline.settings import ROOT, from_environment
from pipeline.stages import index
from pipeline.store import articles, runs
from pipeline.store.runs import Report
from pipeline.web.addresses import parse_allowed

GAP_SECONDS = 0.05  # the newsroom is ours: it need not be spared
LEASE_SECONDS = 10.0  # started again after a kill, it waits so long for what the killed one had claimed
CALL_SECONDS = 600.0
QUERY = '"garanties de sécurité"'


def play(*, as_json: bool) -> None:
    """Serve the newsroom, run the DAG until its last edition is in, show the result."""
    given = from_environment()
    # VEILLE_HOME may name what an earlier demonstration has made, as it advises.
    home = given.home if (given.home / "newsroom.json").exists() else given.home / "demo"
    home.mkdir(parents=True, exist_ok=True)
    with _served(home) as (newsroom, lifeline):
        settings = replace(
            given,
            home=home,
            config=home / "config",
            archive=home / "archive",
            database_url="",
            allow_hosts=parse_allowed(" ".join(newsroom.hosts)),
            host_gap_seconds=GAP_SECONDS,
        )
        newsroom.write_config(settings.config)
        shutil.copytree(ROOT / "config" / "topics", settings.config / "topics", dirs_exist_ok=True)
        with Runtime(settings) as runtime:
            _run_editions(runtime, newsroom, lifeline)
        with Runtime(replace(settings, clock_offset=newsroom.offset)) as runtime:
            report = _report_on_new_runs(runtime)
            if as_json:
                wrong = index.differences(runtime)
                show.emit(show.plain(report) | {"adds_up": report.adds_up, "index_differs": wrong})
            else:
                _tell(runtime, report)
            _note_as_shown(runtime)


@contextlib.contextmanager
def _served(home: Path) -> Iterator[tuple[Newsroom, int]]:
    """The newsroom, in a process of its own, which serves until nobody holds the lifeline any more.

    Airflow holds it too. So however this process ends, nothing that reads finds its publishers gone: it would
    leave them in peace for half an hour. Its first start is so long ago that its last edition is of now.
    """
    reader, lifeline = os.pipe()
    began = datetime.now(UTC) - timedelta(hours=EDITIONS[-1])
    clock = [] if (home / "newsroom.json").exists() else ["--now", began.isoformat()]
    log = home / "newsroom.log"
    with log.open("ab") as errors:
        process = subprocess.Popen(
            [sys.executable, "-m", "pipeline.newsroom", "--home", str(home), "--until-eof", *clock],
            stdin=reader,
            stdout=subprocess.PIPE,
            stderr=errors,
            cwd=ROOT,
            start_new_session=True,  # Ctrl-C is not for it
        )
    os.close(reader)
    try:
        assert process.stdout
        if not any(line.startswith(b"VEILLE_ALLOW_HOSTS=") for line in process.stdout):
            raise Transient(
                "the newsroom does not start", hint=f"see the end of {log}, then run the demo again"
            )
        yield Newsroom(home), lifeline
    finally:
        os.close(lifeline)
        process.communicate()


def _run_editions(runtime: Runtime, newsroom: Newsroom, lifeline: int) -> None:
    """Run the DAG for every edition that is left, at the time of the newsroom's clock."""
    with show.progress("starting PostgreSQL and preparing Airflow"):
        environment = _airflow(runtime, newsroom)
        _airflow_does("db migrate", environment)
    while True:
        edition = f"edition {newsroom.edition} of {len(EDITIONS)}"
        clock = {"VEILLE_CLOCK_OFFSET": str(newsroom.offset)}
        with show.progress(f"the DAG news_daily runs in Airflow ({edition})"):
            _airflow_does("dags test news_daily", environment | clock, holding=(lifeline,))
        if newsroom.edition >= len(EDITIONS):
            break
        newsroom.publish_edition(newsroom.edition + 1)


def _airflow(runtime: Runtime, newsroom: Newsroom) -> dict[str, str]:
    """The environment for Airflow on the demonstration's home, its own database made."""
    home = runtime.settings.home
    runtime.embedded.create_database(scheduler.DATABASE)
    url = scheduler.database_url(runtime.embedded)
    own = {name: value for name, value in os.environ.items() if not name.startswith("AIRFLOW")}
    environment = own | scheduler.environment(home, url)
    environment |= {
        "VEILLE_HOME": str(home),
        "VEILLE_CONFIG": str(runtime.settings.config),
        "VEILLE_ARCHIVE": str(runtime.settings.archive),
        "VEILLE_ALLOW_HOSTS": ",".join(newsroom.hosts),
        "VEILLE_HOST_GAP_SECONDS": str(GAP_SECONDS),
        "VEILLE_LEASE_SECONDS": str(LEASE_SECONDS),
    }
    environment.pop("VEILLE_DATABASE_URL", None)
    _ = runtime.store  # the schema is made before the tasks ask for it
    return environment


def _airflow_does(arguments: str, environment: dict[str, str], holding: tuple[int, ...] = ()) -> None:
    """Run a command of Airflow, its output into the log; it does not outlive us."""
    log = Path(environment["AIRFLOW_HOME"]) / "demo.log"
    hint = f"see the end of {log}, then run the demo again"
    turn(log)
    with log.open("ab") as output:
        process = subprocess.Popen(
            [
                sys.executable,
                "-m",
                "pipeline.offspring",
                str(os.getpid()),
                "-m",
                "airflow",
                *arguments.split(),
            ],
            env=environment,
            pass_fds=holding,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
        )
        with _ended(process):
            try:
                code = process.wait(CALL_SECONDS)
            except subprocess.TimeoutExpired as error:
                raise Transient(
                    f"airflow {arguments} did not end in {CALL_SECONDS:.0f} s", hint=hint
                ) from error
    if code:
        raise Transient(f"airflow {arguments} failed (exit code {code})", hint=hint)


@contextlib.contextmanager
def _ended(process: subprocess.Popen[bytes]) -> Iterator[None]:
    try:
        yield
    finally:
        if process.poll() is None:
            process.terminate()
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(5)
            process.kill()
            process.wait()


def _shown(home: Path) -> Path:
    """A file whose time is that of the last demonstration which got as far as to show its result."""
    return home / "shown"


def _note_as_shown(runtime: Runtime) -> None:
    shown, now = _shown(runtime.settings.home), runtime.now().timestamp()
    shown.touch()
    os.utime(shown, (now, now))


def _report_on_new_runs(runtime: Runtime) -> Report:
    """The runs that no demonstration has shown yet, those that were interrupted among them, as one."""
    shown = _shown(runtime.settings.home)
    since = shown.stat().st_mtime if shown.exists() else 0.0
    with runtime.store.transaction("recent") as tx:
        known = [run for run, _, _ in runs.recent(tx, 100)]
    new = [run.id for run in known if run.started_at and run.started_at.timestamp() > since]
    with runtime.store.transaction("report") as tx:
        return runs.report(tx, new[0], together_with=tuple(new[1:]))


def _tell(runtime: Runtime, report: Report) -> None:
    """What came in, what copies what, which topics, a search, and what to try next."""
    out = show.console()
    print_report(report, "The sample newsroom, read by the DAG news_daily in Airflow")
    if not report.discovered:
        out.print("\nNothing new: all of it was known. Nothing was added.", style="bold green")
    out.print(f"The library holds {runtime.index.count()} articles.", highlight=False)
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
    found = runtime.index.search(QUERY, limit=3)
    print_results(QUERY, found)
    out.print("\nNext", style="bold")
    for line in _next(runtime.settings.home, found.results[0].id if found.results else "1"):
        out.print(f"   {line}", highlight=False, markup=False, soft_wrap=True)


def _next(home: Path, article: str) -> Iterator[str]:
    """Commands to try, as the shell takes them."""
    yield f"export VEILLE_HOME={shlex.quote(_short(home))}"
    for arguments in (f"search {shlex.quote(QUERY)} --facets", f"show {article}", "runs show 1", "status"):
        yield f"{shlex.quote(_short(Path(sys.argv[0])))} {arguments}"


def _short(path: Path) -> str:
    with contextlib.suppress(ValueError):
        return str(path.relative_to(Path.cwd()))
    return str(path)
