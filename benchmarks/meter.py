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
    cpu, wall = _spent(others), time.perf_counter()
    yield cost
    cost.cpu, cost.wall = _spent(others) - cpu, time.perf_counter() - wall


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


def machine() -> dict[str, object]:
    """What was measured on."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return {
        "cores": cores,
        "memory_gb": round(psutil.virtual_memory().total / 2**30, 1),
        "load_before": round(psutil.getloadavg()[0], 2),
    }


def _spent(others: Others) -> float:
    mine = psutil.Process()
    return sum(map(_of, {mine, *mine.children(recursive=True), *others()}))


def _of(process: psutil.Process) -> float:
    """A process's own time, and that of its children which have ended: no second is counted twice."""
    with contextlib.suppress(psutil.NoSuchProcess):
        times = process.cpu_times()
        return float(times.user + times.system + times.children_user + times.children_system)
    return 0.0
