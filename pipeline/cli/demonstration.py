"""`veille demo`: the sample newsroom, read by the real DAG in Airflow and again, later, by a command.

Decides nothing about articles and shows nothing of them (`story`); it starts the parts and waits for them.
All it makes lies in `demo` under the home. It may be interrupted at any moment and started again.
"""

import contextlib
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

from pipeline import scheduler, steps
from pipeline.cli import console as show
from pipeline.cli import story
from pipeline.errors import Transient
from pipeline.installation import ROOT
from pipeline.logs import turn
from pipeline.newsroom.printing import EDITIONS
from pipeline.newsroom.server import Newsroom
from pipeline.runtime import Runtime
from pipeline.settings import Settings, from_environment
from pipeline.stages import index
from pipeline.store import runs
from pipeline.store.runs import Report
from pipeline.web.addresses import parse_allowed

GAP_SECONDS = 0.05  # the newsroom is ours: it need not be spared
LEASE_SECONDS = 10.0  # started again after a kill, it waits so long for what the killed one had claimed
CALL_SECONDS = 600.0


def play(*, as_json: bool) -> None:
    """Serve the newsroom, read it until its last edition is in, show the result."""
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
            lease_seconds=LEASE_SECONDS,
        )
        newsroom.write_config(settings.config)
        shutil.copytree(ROOT / "config" / "topics", settings.config / "topics", dirs_exist_ok=True)
        with Runtime(settings) as runtime:
            _run_dag(runtime, newsroom, lifeline)
        while newsroom.edition < len(EDITIONS):
            newsroom.publish_edition(newsroom.edition + 1)
            _poll_again(settings, newsroom)
        with Runtime(replace(settings, clock_offset=newsroom.offset)) as runtime:
            report = _report_on_new_runs(runtime)
            if as_json:
                wrong = index.differences(runtime)
                show.emit(show.plain(report) | {"adds_up": report.adds_up, "index_differs": wrong})
            else:
                story.tell(runtime, report)
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
        before = errors.tell()
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
            raise _not_served(log, before)
        yield Newsroom(home), lifeline
    finally:
        os.close(lifeline)
        process.communicate()


def _not_served(log: Path, before: int) -> Transient:
    """Why the newsroom did not start, as it said itself: cause and next command."""
    said = log.read_bytes()[before:].decode(errors="replace")
    found = re.search(r"^newsroom: (.+)(?:\n  (.+))?", said, re.MULTILINE)
    if not found:
        return Transient("the newsroom does not start", hint=f"see the end of {log}, then run the demo again")
    return Transient(found[1], hint=f"{found[2]}, then run the demo again" if found[2] else "")


def _run_dag(runtime: Runtime, newsroom: Newsroom, lifeline: int) -> None:
    """Run the DAG, at the time of the newsroom's clock."""
    with show.progress("starting PostgreSQL and preparing Airflow"):
        environment = _airflow(runtime, newsroom)
        _airflow_does("db migrate", environment)
    clock = {"VEILLE_CLOCK_OFFSET": str(newsroom.offset)}
    with show.progress("the DAG news_daily runs in Airflow"):
        _airflow_does("dags test news_daily", environment | clock, holding=(lifeline,))


def _poll_again(settings: Settings, newsroom: Newsroom) -> None:
    """What `veille ingest` does, some hours later: it goes on with what the DAG has left."""
    with (
        Runtime(replace(settings, clock_offset=newsroom.offset)) as runtime,
        show.progress(f"some hours later: veille ingest ({show.when(newsroom.now)})"),
    ):
        run = runs.fresh("command", polls=True, reason="the run is for now", now=runtime.now())
        steps.ingest(runtime, run, watch=lambda *_: contextlib.nullcontext())


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
