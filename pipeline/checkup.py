"""What Veille stands on, checked line by line: for `veille doctor`.

Changes nothing, except that it may be asked to bring a server's schema up to date.
"""

import os
import shutil
import sys
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

from pipeline.errors import VeilleError
from pipeline.runtime import Runtime

LOW_DISK = 2 << 30  # bytes: some weeks of pages of 200 feeds


@dataclass(frozen=True, slots=True)
class Check:
    """One line: what was looked at, its state (ok, warning, failed), what was found, and what to do."""

    what: str
    state: str
    found: str
    hint: str = ""


def all_checks(runtime: Runtime, *, migrate: bool = False) -> list[Check]:
    """Look at everything; a check that cannot be made is a failed one, not an error."""
    checks: dict[str, Callable[[Runtime], Check]] = {
        "Python": _python,
        "disk": _disk,
        "configuration": _configuration,
        "topics": _topics,
        "database": _migrated if migrate else _database,
        "archive": _archive,
        "index": _index,
    }
    return [_made(what, check, runtime) for what, check in checks.items()]


def _made(what: str, check: Callable[[Runtime], Check], runtime: Runtime) -> Check:
    try:
        return check(runtime)
    except VeilleError as error:
        return Check(what, "failed", str(error), error.hint)


def _python(_: Runtime) -> Check:
    return Check("Python", "ok", sys.version.split()[0])


def _disk(runtime: Runtime) -> Check:
    home = runtime.settings.home
    existing = next(path for path in (home, *home.parents) if path.exists())
    free = shutil.disk_usage(existing).free
    found = f"{free / (1 << 30):.1f} GB free in {existing}"
    if not os.access(existing, os.W_OK):
        return Check(
            "disk", "failed", f"{existing} cannot be written", "set VEILLE_HOME to a folder of yours"
        )
    if free < LOW_DISK:
        return Check("disk", "warning", found, "free some space, or set VEILLE_HOME to a larger disk")
    return Check("disk", "ok", found)


def _configuration(runtime: Runtime) -> Check:
    catalogue = runtime.catalogue
    found = (
        f"{len(catalogue.publishers)} publishers, {len(catalogue.feeds())} feeds in {runtime.settings.config}"
    )
    return Check("configuration", "ok", found)


def _topics(runtime: Runtime) -> Check:
    return Check("topics", "ok", f"{len(runtime.rules)} topics, their examples hold")


def _database(runtime: Runtime) -> Check:
    where = "server" if runtime.settings.database_url else "embedded PostgreSQL"
    return Check("database", "ok", f"{where}, schema {runtime.store.schema_version()}")


def _migrated(runtime: Runtime) -> Check:
    runtime.migrate()
    return _database(runtime)


def _archive(runtime: Runtime) -> Check:
    folder = runtime.settings.archive
    files = [path for path in folder.rglob("*.warc.gz") if path.is_file()] if folder.is_dir() else []
    size = sum(path.stat().st_size for path in files)
    return Check("archive", "ok", f"{len(files)} files, {size / (1 << 20):.1f} MB in {_short(folder)}")


def _index(runtime: Runtime) -> Check:
    from pipeline.errors import NotFound
    from pipeline.stages import index

    try:
        figures = index.figures(runtime)
    except NotFound as error:
        return Check("index", "warning", str(error), "veille ingest makes it, or veille index rebuild")
    found = f"{figures.held} documents"
    if figures.refused:
        found += f", {figures.refused} refused"
    if figures.waiting:
        found += f", {figures.waiting} waiting, the oldest for {timedelta(seconds=round(figures.oldest))}"
    if not figures.explained:
        return Check("index", "failed", f"{found}; the store has {figures.stored}", "veille index rebuild")
    if figures.refused:
        return Check("index", "failed", found, "veille index check names them")
    if figures.waiting:
        return Check("index", "warning", found, "veille ingest")
    return Check("index", "ok", f"{found}, as many as in the store")


def _short(path: Path) -> str:
    try:
        return str(path.relative_to(Path.cwd()))
    except ValueError:
        return str(path)
