"""One server for all processes of a test run: who comes first has it started, and it ends with the last.

A process is known as a user by a lock that it holds, which the kernel frees however the process ends. The
server belongs to a supervisor of its own, so that a run that is killed leaves nothing behind. Does not start
or stop a server itself.
"""

import contextlib
import fcntl
import json
import os
import subprocess
import sys
import tempfile
import time
import traceback
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path

from searchserver.parts import Lacking
from searchserver.server import Address, Server

IDLE_SECONDS = 2.0
_TICK = 0.25


@contextlib.contextmanager
def shared(run: str) -> Iterator[Address]:
    """The server of this run, up for as long as somebody uses it. Raises Lacking."""
    folder = Path(tempfile.gettempdir()) / f"veille-elasticsearch-{run}"
    users = _joined(folder)
    try:
        with (folder / "starting").open("a") as turn:
            fcntl.flock(turn, fcntl.LOCK_EX)
            if not (folder / "outcome").exists():
                _start_supervisor(folder)
        outcome = json.loads((folder / "outcome").read_text())
        if "lacking" in outcome:
            raise Lacking(outcome["lacking"])
        if "failed" in outcome:
            raise RuntimeError(outcome["failed"])
        yield Address(**outcome)
    finally:
        os.close(users)


def _joined(folder: Path) -> int:
    """Become a user; one that comes while the last server is cleared away waits for its end."""
    while True:
        folder.mkdir(exist_ok=True)
        folder.chmod(0o755)
        try:
            users = os.open(folder / "users", os.O_RDWR | os.O_CREAT, 0o600)
        except FileNotFoundError:
            continue
        fcntl.flock(users, fcntl.LOCK_SH)
        if os.fstat(users).st_nlink:
            return users
        os.close(users)


def _start_supervisor(folder: Path) -> None:
    with (folder / "supervisor.log").open("w") as log:
        subprocess.run(
            [sys.executable, "-m", "searchserver.sharing", str(folder)],
            cwd=Path(__file__).parent.parent,
            start_new_session=True,  # Ctrl-C is for the tests; the supervisor ends when they have
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            check=False,
        )
    if not (folder / "outcome").exists():
        raise RuntimeError(f"the server did not start: {(folder / 'supervisor.log').read_text()}")


def _detach(folder: Path) -> None:
    """Supervise in a child, and return when there is an outcome or no child any more.

    With this process ended, init, and not whoever started us, is to wait for the supervisor's end.
    """
    supervisor = os.fork()
    if not supervisor:
        _supervise(folder)
        return
    while not (folder / "outcome").exists() and os.waitpid(supervisor, os.WNOHANG) == (0, 0):
        time.sleep(_TICK)


def _supervise(folder: Path) -> None:
    """Run a server until it has had no user for a while."""
    server = Server(folder)
    try:
        try:
            server.make()
            server.start()
            _tell(folder, asdict(server.address))
        except Lacking as error:
            _tell(folder, {"lacking": str(error)})
        except Exception:  # noqa: BLE001  told to whoever waits
            _tell(folder, {"failed": traceback.format_exc()})
        last = _alone(folder)
    finally:
        server.stop()
        server.remove()
    os.close(last)


def _tell(folder: Path, outcome: dict[str, str]) -> None:
    new = folder / "outcome.new"
    new.touch(0o600)
    new.write_text(json.dumps(outcome))
    new.replace(folder / "outcome")


def _alone(folder: Path) -> int:
    """Wait until nobody has used the server for a while; the lock that is returned keeps others waiting."""
    free_since = None
    while True:
        users = os.open(folder / "users", os.O_RDWR)
        try:
            fcntl.flock(users, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            free_since = None
        else:
            free_since = free_since or time.monotonic()
            if time.monotonic() - free_since >= IDLE_SECONDS:
                return users
        os.close(users)
        time.sleep(_TICK)


if __name__ == "__main__":
    _detach(Path(sys.argv[1]))
