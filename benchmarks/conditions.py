"""What was measured under: the machine and its load, and the versions of all that has a share in the figures.

Does not measure.
"""

import os
import platform
import subprocess
from importlib.metadata import version

import psutil  # type: ignore[import-untyped]  # it has no stubs
import psycopg

from benchmarks.children import ROOT
from benchmarks.peers import PEERS

LIBRARIES = ("trafilatura", "lxml", "htmldate", "resiliparse", "feedparser", "tantivy", "psycopg", "numpy")


def machine() -> dict[str, object]:
    """To be asked before anything is measured: later the load is our own."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return {
        "cores": cores,
        "memory": f"{psutil.virtual_memory().total / 2**30:.1f} GB",
        "load before": round(psutil.getloadavg()[0], 2),
    }


def versions(database_url: str) -> dict[str, str]:
    """Of Veille, what it runs on, and those that it is compared with."""
    with psycopg.connect(database_url) as connection:
        server = str(connection.info.parameter_status("server_version"))
    return {
        "commit": _commit(),
        "Python": platform.python_version(),
        "PostgreSQL": server,
        **{name: version(name) for name in LIBRARIES},
        **dict(need.split("==") for peer in PEERS for need in peer.needs),
    }


def _commit() -> str:
    """What git calls the code, with a mark where it was changed since; without git, nothing."""
    command = ["git", "-C", str(ROOT), "describe", "--always", "--dirty", "--exclude=*"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return "unknown"
    return done.stdout.strip()
