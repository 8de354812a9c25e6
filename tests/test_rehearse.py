"""`make rehearse`: the services of docker-compose.yml, really started, in their order, and stopped again."""

import os
import re
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

import psutil
import pytest
from conftest import ROOT, missing
from waiting import eventually

pytestmark = [pytest.mark.elasticsearch, pytest.mark.airflow, pytest.mark.slow, pytest.mark.timeout(1500)]

LACKING = 3  # the exit code of a rehearsal on a machine without a JDK or Maven
ORDER = [
    *("passwords", "postgres", "elasticsearch", "setup", "kibana", "airflow-apiserver"),
    *("kibana-setup", "airflow-dag-processor", "airflow-triggerer", "airflow-scheduler"),
]


class Rehearsal:
    """One rehearsal, in a session of its own, all of whose folders lie in `folder`."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.output = folder / "output"
        environment = {k: v for k, v in os.environ.items() if not k.startswith(("VEILLE_", "AIRFLOW"))}
        with self.output.open("wb") as output:
            self.process = subprocess.Popen(
                [sys.executable, str(ROOT / "tests" / "rehearsal")],
                env=environment | {"TMPDIR": str(folder)},
                cwd=ROOT,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    @property
    def said(self) -> str:
        return self.output.read_text()

    def left(self) -> list[str]:
        """Processes that name the folder, and files in it."""
        found = []
        for process in psutil.process_iter():
            try:
                words = [*process.cmdline(), *process.environ().values(), process.cwd()]
            except psutil.Error:
                continue
            if process.pid != self.process.pid and any(str(self.folder) in word for word in words):
                found.append(" ".join(process.cmdline()))
        return found + [str(path) for path in self.folder.iterdir() if path != self.output]


@pytest.fixture
def rehearsal():
    """A rehearsal that has just been started; nothing of it stays, whatever becomes of it."""
    folder = Path(tempfile.mkdtemp(prefix="veille-test-", dir="/tmp"))
    folder.chmod(0o711)
    played = Rehearsal(folder)
    yield played
    played.process.kill()
    played.process.wait()
    for process in psutil.process_iter():
        try:
            if any(str(folder) in word for word in process.cmdline()):
                process.kill()
        except psutil.Error:
            continue
    subprocess.run(["rm", "-rf", str(folder)], check=True)


def test_all_services_start_in_order_and_do_their_part(rehearsal):
    """Set-up, one news_daily by Airflow's own scheduler, a search, and all of it again on the same data.

    No secret in a log, no more memory than the limits, no file where the image is read-only; nothing stays.
    """
    code = rehearsal.process.wait()
    if code == LACKING:
        missing("elasticsearch", rehearsal.said)

    assert code == 0, rehearsal.said
    assert re.findall(r"s  ([a-z-]+): service_", rehearsal.said) == ORDER * 2
    assert "objects in Kibana: 7" in rehearsal.said
    assert "state of news_daily: success" in rehearsal.said
    assert int(re.search(r"articles found: (\d+)", rehearsal.said)[1]) > 0
    assert rehearsal.left() == []


def test_interrupted_it_stops_everything(rehearsal):
    """Ctrl-C while the set-up runs, with both stores up."""
    assert eventually(
        lambda: "elasticsearch: service_healthy" in rehearsal.said or rehearsal.process.poll() is not None,
        600,
    )
    if rehearsal.process.poll() == LACKING:
        missing("elasticsearch", rehearsal.said)
    assert rehearsal.process.poll() is None, rehearsal.said
    assert len(rehearsal.left()) > 3
    rehearsal.process.send_signal(signal.SIGINT)

    assert rehearsal.process.wait(120) == 130, rehearsal.said
    assert "all services were stopped" in rehearsal.said
    assert rehearsal.left() == []
