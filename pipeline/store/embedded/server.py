"""The PostgreSQL processes of a place: started, watched, stopped.

Does not know who uses them; the supervisor does.
"""

import contextlib
import os
import shutil
import signal
import time
from pathlib import Path
from typing import Any

from pipeline.errors import Busy
from pipeline.store.embedded import cluster, programs
from pipeline.store.embedded.files import append
from pipeline.store.embedded.locks import EXCLUSIVE, is_locked, try_lock
from pipeline.store.embedded.place import Place, account
from pipeline.store.embedded.trouble import explain

END_SECONDS = 120.0  # for what an earlier server has left; it is killed, so only a hung disk takes so long
STOP_SECONDS = 4.0  # a fast stop takes 0.2 s; with the supervisor's patience it stays below 15 s


class Server:
    """The server of a place. Only the holder of supervisor.lock may use it."""

    def __init__(self, place: Place) -> None:
        self._place = place
        self._account = account()
        self._process: Any = None  # psutil.Process, which knows a reused pid by its time of creation
        self._code: int | None = None  # with which a server of ours ended; negative for a signal
        self._was_ready = True
        self._log_start = 0

    def tend(self, *, wanted: bool) -> bool:
        """Start it if it is wanted and not alive. Returns whether it became ready since the last call.

        Raises what `explain` makes of its last words if it gave up (was not killed) before it was ready.
        """
        if not self._is_alive():
            if not self._was_ready and self._code not in {None, 0, -signal.SIGKILL}:
                raise explain(f"PostgreSQL in {self._place.root} did not start", self._last_words())
            if wanted:
                self._start()
        elif self._status() == "stopping":  # somebody asked it to stop once its clients have gone. It lets
            self._signal(signal.SIGINT)  # nobody in meanwhile, so it had better stop now and start again
        elif self._status() == "ready" and not self._was_ready:
            self._was_ready = True
            return True
        return False

    def stop(self) -> None:
        """A fast stop, then an immediate one, then the kill of whatever is left."""
        self._process = self._process or self._postmaster()
        if self._process is not None:
            self._signal(signal.SIGINT, STOP_SECONDS)
            self._signal(signal.SIGQUIT, 0.5)
            self._signal(signal.SIGKILL, 0.25)
        deadline = time.monotonic() + STOP_SECONDS
        while is_locked(self._place.lock("server")) and time.monotonic() < deadline:
            self._kill_rest()
            time.sleep(0.05)
        if self._place.socket.parent != self._place.root:
            shutil.rmtree(self._place.socket, ignore_errors=True)

    def kill(self) -> None:
        """Kill it without a look at the folder, which may be another's by now."""
        import psutil  # type: ignore[import-untyped]  # it has no stubs

        if self._process is not None:
            with contextlib.suppress(psutil.NoSuchProcess):
                for process in [self._process, *self._process.children(recursive=True)]:
                    process.kill()

    def _start(self) -> None:
        """Start the server, or take over the one that a supervisor which was killed has left."""
        lock = self._own()
        if lock is None:
            return
        try:
            engine = programs.engine(self._place.root, self._account)
            if not self._place.data.exists():
                cluster.make(self._place, self._account, engine, lock)
            cluster.check_version(self._place.data)
            options = cluster.configure(self._place, self._account)
            for path in (self._place.data / "postmaster.pid", *self._place.socket.glob(".s.PGSQL.*")):
                path.unlink(
                    missing_ok=True
                )  # left behind: none of the processes that they could mean is alive
            self._launch([engine / "postgres", "-D", self._place.data, *options], lock)
            self._was_ready = False
        finally:
            os.close(lock)  # from here on only the server's processes hold it

    def _own(self) -> int | None:
        """server.lock, once nothing is left of an earlier server; None if a whole one was found instead."""
        path, deadline = self._place.lock("server"), time.monotonic() + END_SECONDS
        while (lock := try_lock(path, EXCLUSIVE)) is None:
            self._process = self._postmaster()
            if self._process is not None:
                return None
            self._kill_rest()
            if time.monotonic() > deadline:
                raise Busy(
                    f"an earlier PostgreSQL in {path.parent} does not end", hint=f"fuser {path} names it"
                )
            time.sleep(0.05)
        return lock

    def _postmaster(self) -> Any:
        import psutil

        try:
            process = psutil.Process(int(self._pid_file()[0]))
            ours = process.name() == "postgres" and Path(process.cwd()) == self._place.data
        except (IndexError, ValueError, OSError, psutil.Error):
            return None
        return process if ours else None

    def _pid_file(self) -> list[str]:
        return (self._place.data / "postmaster.pid").read_text().splitlines()

    def _kill_rest(self) -> None:
        """Kill what a dead postmaster or supervisor left: as safe as its own crash, and none may live on."""
        import psutil

        for process in psutil.process_iter():
            with contextlib.suppress(psutil.Error, OSError):
                ours = Path(process.cwd()).is_relative_to(self._place.root)
                if ours and process.name() in {"postgres", "initdb"}:
                    process.kill()

    def _launch(self, command: list[str | Path], lock: int) -> None:
        import psutil

        with append(self._place.log) as log:
            self._log_start = log.seek(0, os.SEEK_END)
            process = programs.start(command, self._account, self._place.data, log, lock)
        self._process = psutil.Process(process.pid)
        process.returncode = 0  # psutil waits for it; Popen must not warn that nobody did

    def _is_alive(self) -> bool:
        import psutil

        if self._process is None:
            return False
        try:
            self._code = self._process.wait(0)
        except psutil.TimeoutExpired:
            with contextlib.suppress(psutil.NoSuchProcess):  # a zombie that is not ours is for init to bury
                return bool(self._process.status() != psutil.STATUS_ZOMBIE)
        return False

    def _status(self) -> str:
        """The last word of postmaster.pid: starting, ready, stopping; empty if there is none yet."""
        try:
            return self._pid_file()[7].strip()
        except (IndexError, OSError):
            return ""

    def _last_words(self) -> str:
        with self._place.log.open("rb") as log:
            log.seek(self._log_start)
            return programs.messages(log.read())

    def _signal(self, number: int, seconds: float = 0) -> None:
        """Send a signal and wait for the end, at most so long."""
        import psutil

        with contextlib.suppress(psutil.NoSuchProcess, psutil.TimeoutExpired):
            self._process.send_signal(number)
            self._process.wait(seconds)
