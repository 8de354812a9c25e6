"""The rehearsal: every service of docker-compose.yml in its order, then a day of news, a search, and the end.

Does not change a command, a variable or a health check of the file; `world` translates them.
"""

import contextlib
import json
import shutil
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Self

from conftest import ROOT
from kibana_server import Kibana
from searchserver import parts
from searchserver.parts import Lacking

from pipeline.deployment import passwords
from pipeline.newsroom.server import Newsroom
from rehearsal import compose, services, stores
from rehearsal.compose import COMPLETED, HEALTHY, ComposeError, Service
from rehearsal.services import Failed, Running
from rehearsal.world import World

ONCE_SECONDS = 300.0
RUN_SECONDS = 600.0
DAG = "/api/v2/dags/news_daily"
QUERY = "garanties de sécurité"
DONE = {"success", "failed"}

Say = Callable[[str], None]


class Stage:
    """A rehearsal in `folder`, which must be empty and open to the accounts that run the stores."""

    def __init__(self, folder: Path, say: Say) -> None:
        self.folder = folder
        self._say = say
        self._running: dict[str, Running] = {}
        self._asking: dict[str, dict[str, str]] = {}  # the environments of their health checks
        self._fit: dict[str, str] = {}  # what others may wait for: that it has ended well, or is healthy
        self._open = contextlib.ExitStack()
        self._peaks: dict[str, int] = {}  # bytes of memory that services took which were stopped since
        self.kibana: Kibana | None = None

    def __enter__(self) -> Self:
        if lacking := [program for program in ("bash", "curl") if not shutil.which(program)]:
            raise Lacking(f"no rehearsal: commands of docker-compose.yml need {' and '.join(lacking)}")
        parts.jdk()
        services.adopt_orphans()
        (self.folder / "logs").mkdir()
        self.values = passwords.make(self.folder / ".env") | self._newsroom()
        self.services = compose.load(ROOT / "docker-compose.yml", self.values)
        self.world = World(self.folder, self.services)
        self._began, self._at_first = time.time(), set(ROOT.iterdir())
        return self

    def __exit__(self, *exc: object) -> None:
        for number in (signal.SIGINT, signal.SIGTERM):  # who is impatient now would leave services behind
            signal.signal(number, signal.SIG_IGN)
        for running in reversed(self._running.values()):
            running.stop()
        self._open.close()
        if left := services.end_orphans():
            self._say(f"killed what was left behind: {'; '.join(left)}")

    def start(self) -> None:
        """Start every service as soon as those it depends on are fit. Raises Failed or ComposeError."""
        waiting = dict(self.services)
        while waiting:
            ready = [service for service in waiting.values() if self._may_start(service)]
            if not ready:
                raise Failed(f"these wait for what does not come: {', '.join(waiting)}")
            began = time.monotonic()
            for service in ready:
                self._launch(service)
            for service in ready:
                self._fit[service.name] = self._await(service)
                self._say(f"{time.monotonic() - began:6.1f} s  {service.name}: {self._fit[service.name]}")
                del waiting[service.name]

    def start_again(self) -> None:
        """Stop all, forget what lay in memory, and start all on the data of before, as after a night's rest.

        Those that end by themselves are started again, too. The stand-in for Kibana goes on.
        """
        for running in reversed(self._running.values()):
            running.stop()
        self._peaks = self._taken()
        self._running.clear()
        self._fit.clear()
        shutil.rmtree(self.folder / "tmpfs")
        self.start()

    def over_limits(self) -> list[str]:
        """The services that took more memory than their containers would let them."""
        limits = {name: compose.size(service.raw["mem_limit"]) for name, service in self.services.items()}
        return [
            f"{name}: {taken >> 20} MB of {limits[name] >> 20}"
            for name, taken in self._taken().items()
            if taken > limits[name]
        ]

    def written(self) -> list[str]:
        """The files of our image that were changed, and those made beside them: there, nobody may write."""
        folders = [*(ROOT / name for name in ("config", "dags", "pipeline")), Path(sys.prefix)]
        changed = (
            path
            for folder in folders
            for path in folder.rglob("*")
            if "__pycache__" not in path.parts and path.is_file() and path.stat().st_ctime > self._began
        )
        return [str(path) for path in (*changed, *(set(ROOT.iterdir()) - self._at_first))]

    def run_dag(self) -> str:
        """Switch news_daily on, as people do: the scheduler starts the last day; the state of its run."""
        login = {"username": "admin", "password": self.values["AIRFLOW_ADMIN_PASSWORD"]}
        token = self._api("POST", "/auth/token", login)["access_token"]
        headers = {"Authorization": f"Bearer {token}"}
        self._await_dag(headers)
        self._api("PATCH", DAG, {"is_paused": False}, headers)
        deadline = time.monotonic() + RUN_SECONDS
        while True:
            runs = self._api("GET", f"{DAG}/dagRuns", headers=headers)["dag_runs"]
            states = {run["state"] for run in runs}
            if (runs and states <= DONE) or time.monotonic() > deadline:
                return " and ".join(sorted(states)) or "none"
            for running in self._running.values():
                running.weigh()
            time.sleep(1)

    def veille(self, *arguments: str) -> Any:
        """What `docker compose exec airflow-scheduler veille … --json` would say."""
        service = self.services["airflow-scheduler"]
        done = subprocess.run(
            ["veille", *arguments, "--json"],
            env=self.world.environment(service),
            cwd=ROOT,
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            raise Failed(f"veille {' '.join(arguments)} ended with {done.returncode}: {done.stderr[-2000:]}")
        return json.loads(done.stdout)

    def leaks(self) -> list[str]:
        """The secrets that stand in a log (of a service, a task, Veille) or in a database, and where.

        Airflow's database holds what it shows of tasks: XComs, rendered fields, events.
        """
        folders = [self.folder / "logs", self.folder / "volumes" / "logs", self.folder / "volumes" / "veille"]
        logs = [path for folder in folders for path in folder.rglob("*.log*") if path.is_file()]
        found = {str(path.relative_to(self.folder)): path.read_bytes() for path in logs}
        for database in ("airflow", "veille"):
            password = self.values[f"{database.upper()}_DATABASE_PASSWORD"]
            found[f"database {database}"] = stores.dump(self.world, database, password)
        return [
            f"{name} in {place}"
            for place, content in found.items()
            for name in passwords.NAMES
            if self.values[name].encode() in content
        ]

    def _taken(self) -> dict[str, int]:
        """The most memory that each service was seen to take."""
        now = {name: running.peak for name, running in self._running.items()}
        return {name: max(now.get(name, 0), self._peaks.get(name, 0)) for name in now | self._peaks}

    def _newsroom(self) -> dict[str, str]:
        """Serve the newsroom; its publishers replace those of the configuration that is mounted."""
        newsroom = self._open.enter_context(Newsroom(self.folder / "newsroom"))
        shutil.copytree(ROOT / "config", self.folder / "config")
        newsroom.write_config(self.folder / "config")
        return {"VEILLE_ALLOW_HOSTS": ",".join(newsroom.hosts), "VEILLE_HOST_GAP_SECONDS": "0.05"}

    def _may_start(self, service: Service) -> bool:
        return all(self._fit.get(other) == condition for other, condition in service.depends_on.items())

    def _launch(self, service: Service) -> None:
        adapter = self.world.adapter(service)
        if adapter == "checking server":
            self._stand_in()
        elif adapter:
            self._running[service.name], self._asking[service.name] = getattr(stores, adapter)(
                service, self.world
            )
        else:
            self._running[service.name], self._asking[service.name] = self._own(service)

    def _await(self, service: Service) -> str:
        """Wait until it has ended well or is healthy; returns which."""
        if service.name not in self._running:
            return HEALTHY  # the stand-in for Kibana, which listens already
        running = self._running[service.name]
        if service.is_once:
            running.await_end(ONCE_SECONDS)
            return COMPLETED
        if not service.health:
            raise ComposeError(f"{service.name} has no health check")
        running.await_health(service.health, self._health_command(service), self._asking[service.name])
        return HEALTHY

    def _own(self, service: Service) -> tuple[Running, dict[str, str]]:
        self.world.make_folders(service)
        environment = self.world.environment(service)
        command = [self.world.text(word, service) for word in service.command]
        log = self.folder / "logs" / f"{service.name}.log"
        return Running(service.name, command, environment, log, folder=ROOT), environment

    def _stand_in(self) -> None:
        """Kibana is not here: the server that checks what is imported listens on its port, once for all."""
        if self.kibana:
            return
        importing = self.services["kibana-setup"].environment
        user, password = importing["VEILLE_KIBANA_USER"], importing["VEILLE_KIBANA_PASSWORD"]
        self.kibana = self._open.enter_context(Kibana(user, password, self.world.port("5601")))

    def _health_command(self, service: Service) -> list[str]:
        assert service.health
        kind, *words = (self.world.text(word, service) for word in service.health.test)
        return ["/bin/sh", "-c", *words] if kind == "CMD-SHELL" else words

    def _await_dag(self, headers: dict[str, str]) -> None:
        """Wait until the DAG processor has read the file."""
        deadline = time.monotonic() + ONCE_SECONDS
        while True:
            try:
                self._api("GET", DAG, headers=headers)
            except urllib.error.HTTPError as error:
                if error.code != 404 or time.monotonic() > deadline:
                    raise
                time.sleep(1)
            else:
                return

    def _api(
        self, method: str, path: str, body: object = None, headers: dict[str, str] | None = None
    ) -> dict[str, Any]:
        request = urllib.request.Request(
            f"http://127.0.0.1:{self.world.port('8080')}{path}",
            data=None if body is None else json.dumps(body).encode(),
            headers={"Content-Type": "application/json", **(headers or {})},
            method=method,
        )
        with urllib.request.urlopen(request, timeout=60) as answer:
            return json.load(answer)


def rehearse(folder: Path, say: Say) -> Iterator[tuple[str, object]]:
    """Play all of it; gives each thing that was found, by name."""
    with Stage(folder, say) as stage:
        stage.start()
        yield "objects in Kibana", len(stage.kibana.imported)
        yield "state of news_daily", stage.run_dag()
        found = stage.veille("search", QUERY)["total"]
        yield "articles found", found
        yield "differences between index and store", sum(map(len, _kinds(stage.veille("index", "check"))))
        stage.start_again()
        yield "imports into Kibana", len(stage.kibana.requests)
        yield "articles lost by a second start", found - stage.veille("search", QUERY)["total"]
        yield "secrets in logs and databases", stage.leaks()
        yield "services above their memory limit", stage.over_limits()
        yield "files written outside volumes", stage.written()


def _kinds(found: dict[str, Any]) -> list[list[str]]:
    return [value for value in found.values() if isinstance(value, list)]
