"""A service as a process: its own command, its own health check, stopped as docker stops it.

Does not know what a service does, or in which order services start.
"""

import contextlib
import ctypes
import os
import signal
import subprocess
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

import psutil

from rehearsal.compose import Health

STOP_SECONDS = 30.0  # after which it is killed
LOOK_EVERY = 0.5
TAIL = 30  # lines of its log, in an error
_PR_SET_PDEATHSIG, _PR_SET_CHILD_SUBREAPER = 1, 36  # linux/prctl.h
_libc = ctypes.CDLL(None)


class Failed(Exception):
    """A service ended, or did not become healthy; the end of its log is in the message."""


def adopt_orphans() -> None:
    """Become the parent of all that our processes leave behind, so that it can be found and ended."""
    _libc.prctl(_PR_SET_CHILD_SUBREAPER, 1)


class Running:
    """A process in a session of its own: Ctrl-C is for the rehearsal, which then stops it."""

    def __init__(
        self,
        name: str,
        command: Sequence[str | Path],
        environment: Mapping[str, str],
        log: Path,
        *,
        folder: Path,
        user: int | None = None,
        stop_signal: int = signal.SIGTERM,
    ) -> None:
        self.name = name
        self.peak = 0  # bytes of memory that it and all that it started were seen to take
        self._log = log
        self._stop_signal = stop_signal
        self._environment, self._folder = environment, folder
        with log.open("ab") as output:
            self._process = subprocess.Popen(
                command,
                env=dict(environment),
                cwd=folder,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                user=user,
                group=user,
                extra_groups=None if user is None else [],
                # It ends, too, if the rehearsal is killed. Set in the child, after it has become `user`.
                preexec_fn=lambda: _libc.prctl(_PR_SET_PDEATHSIG, stop_signal),  # noqa: PLW1509  before any thread
            )

    def await_end(self, seconds: float) -> None:
        """Wait until it has ended well. Raises Failed."""
        deadline = time.monotonic() + seconds
        while self._process.poll() is None:
            if time.monotonic() > deadline:
                raise Failed(f"{self.name} does not end in {seconds:.0f} s{self._tail()}")
            self.weigh()
            time.sleep(LOOK_EVERY)
        if self._process.returncode:
            raise Failed(f"{self.name} ended with {self._process.returncode}{self._tail()}")

    def await_health(self, health: Health, command: Sequence[str], environment: Mapping[str, str]) -> None:
        """Ask until it is healthy, as long as docker would. Raises Failed."""
        deadline = time.monotonic() + health.start_period + health.interval * health.retries
        while not self._is_healthy(command, health.timeout, environment):
            if self._process.poll() is not None:
                raise Failed(f"{self.name} ended with {self._process.returncode}{self._tail()}")
            if time.monotonic() > deadline:
                raise Failed(f"{self.name} does not become healthy{self._tail()}")
            self.weigh()
            time.sleep(LOOK_EVERY)

    def weigh(self) -> None:
        """Note how much memory it takes now; what processes share counts once, as it does for a container."""
        total = 0
        for process in self._family():
            with contextlib.suppress(psutil.Error):
                total += process.memory_full_info().pss
        self.peak = max(self.peak, total)

    def stop(self) -> None:
        """Ask it to stop, then kill it, and whatever it has started."""
        family = self._family()
        if self._process.poll() is None:
            self._process.send_signal(self._stop_signal)
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(STOP_SECONDS)
        for process in {*family, *self._family()}:
            with contextlib.suppress(psutil.NoSuchProcess):
                process.kill()
        self._process.wait()

    def _family(self) -> set[psutil.Process]:
        if self._process.returncode is not None:  # its number may be somebody else's by now
            return set()
        with contextlib.suppress(psutil.NoSuchProcess):
            own = psutil.Process(self._process.pid)
            return {own, *own.children(recursive=True)}
        return set()

    def _is_healthy(self, command: Sequence[str], seconds: float, environment: Mapping[str, str]) -> bool:
        try:
            asked = subprocess.run(
                command,
                env=dict(environment),
                cwd=self._folder,
                capture_output=True,
                timeout=seconds,
                check=False,
            )
        except subprocess.TimeoutExpired:
            return False
        return asked.returncode == 0

    def _tail(self) -> str:
        lines = self._log.read_text(errors="replace").splitlines()[-TAIL:]
        return "".join(f"\n    {line}" for line in lines)


def end_orphans() -> list[str]:
    """Kill what the services have left behind, and say what it was."""
    found = []
    while left := psutil.Process().children(recursive=True):
        for process in left:
            with contextlib.suppress(psutil.NoSuchProcess):
                if process.status() != psutil.STATUS_ZOMBIE:
                    found.append(" ".join(process.cmdline())[:120])
                process.kill()
        psutil.wait_procs(left, timeout=5)
    with contextlib.suppress(ChildProcessError):
        while os.waitpid(-1, os.WNOHANG) != (0, 0):
            pass
    return found
