"""What work costs: CPU seconds of this process, of all that it starts and of others; memory; disk.

Does not know what is measured.
"""

import contextlib
import os
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import psutil  # type: ignore[import-untyped]  # it has no stubs

Others = Callable[[], list[psutil.Process]]


@dataclass(slots=True)
class Cost:
    """Seconds of CPU and of the clock; zero until the block that is measured has ended."""

    cpu: float = 0.0
    wall: float = 0.0


@contextlib.contextmanager
def measured(others: Others = list) -> Iterator[Cost]:
    """The cost of a block: of this process, all that it starts, and `others` that work for it."""
    cost = Cost()
    cpu, wall = _of_all(others) + _own(), time.perf_counter()
    yield cost
    cost.wall = time.perf_counter() - wall
    cost.cpu = _own() + _of_all(others) - cpu  # in this order: looking for processes takes time as well


def server(postmaster: int) -> list[psutil.Process]:
    """The processes of an embedded PostgreSQL: its supervisor, itself, and one for each connection."""
    main = psutil.Process(postmaster)
    return [main.parent(), main, *main.children()]


def peak(process: psutil.Process) -> int:
    """The most bytes that a process has held; where the system keeps no account, what it holds now."""
    with contextlib.suppress(OSError):
        for line in Path(f"/proc/{process.pid}/status").read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024
    return int(process.memory_info().rss)


def disk(folder: Path) -> int:
    """Bytes that the files in a folder take."""
    return sum(file.stat().st_blocks * 512 for file in folder.rglob("*") if file.is_file())


def _own() -> float:
    """Of this process and of its children that have ended; its own to the microsecond."""
    times = os.times()
    return time.process_time() + times.children_user + times.children_system


def _of_all(others: Others) -> float:
    """Of all other processes, to a hundredth of a second each."""
    return sum(map(_of, {*psutil.Process().children(recursive=True), *others()}))


def _of(process: psutil.Process) -> float:
    """A process's own time, and that of its children which have ended: no second is counted twice."""
    with contextlib.suppress(psutil.NoSuchProcess):
        times = process.cpu_times()
        return float(times.user + times.system + times.children_user + times.children_system)
    return 0.0
