"""The library: its database, index and archive, the clock by which it goes, the feeds that fill it.

Makes no library where there is none, and changes none, unless it is asked to bring a schema up to date.
"""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from shlex import quote
from urllib.parse import urlsplit

from pipeline import metrics
from pipeline.archive import Pointer
from pipeline.checkup.check import Check, as_bad, gigabytes, listed
from pipeline.errors import NotFound, Unparsable
from pipeline.runtime import Runtime
from pipeline.store import health
from pipeline.store.health import Health
from pipeline.wording import counted, short

SKEW = timedelta(seconds=5)  # between two clocks; what is due may be so much too early or late
AHEAD = timedelta(minutes=1)


@dataclass(frozen=True, slots=True)
class Stored:
    """What the database says, asked once for all lines that need it."""

    health: Health
    before: datetime  # by our clock: when it was asked, and when it had answered
    after: datetime


def look(runtime: Runtime, *, migrate: bool = False) -> Stored | None:
    """Ask the database; None if there is no library yet. Raises as `Runtime.store` does."""
    if migrate and (runtime.settings.database_url or runtime.embedded_root):
        runtime.migrate()
    if not runtime.has_library():
        return None
    with runtime.store.transaction("doctor") as tx:
        before = datetime.now(UTC)
        return Stored(health.of(tx), before, datetime.now(UTC))


def database(runtime: Runtime, stored: Stored | None) -> Check:
    """Which it is, where, and how large."""
    if stored is None:
        where = (
            "on the server"
            if runtime.settings.database_url
            else f"in {short(runtime.settings.home, Path.cwd())}"
        )
        return Check("database", "warning", f"there is no library {where} yet", "veille ingest")
    its = stored.health
    where = f"PostgreSQL {its.version} at {its.host}"
    if root := runtime.embedded_root:
        where = f"embedded PostgreSQL {its.version} in {root}"
    found = f"{where}, {gigabytes(its.size)}, schema {runtime.store.schema_version()}"
    if its.encoding != "UTF8":
        said = f"{found}; its encoding {its.encoding} lacks letters that articles have"
        return Check(
            "database",
            "failed",
            said,
            "createdb -E UTF8 -T template0 veille, for VEILLE_DATABASE_URL to name",
        )
    return Check("database", "ok", found)


def index(runtime: Runtime) -> Check:
    """Whether it holds as many documents as the store."""
    from pipeline.stages import index as indexing

    try:
        figures = indexing.figures(runtime)
    except NotFound as error:
        return Check("index", "warning", str(error), "veille index rebuild")
    found = counted(figures.held, "document")
    if figures.refused:
        found += f", {figures.refused} refused"
    if figures.waiting:
        found += f", {figures.waiting} waiting, the oldest for {_span(timedelta(seconds=figures.oldest))}"
    if figures.broken_off:
        found += ", a rebuild that was broken off"
    if not figures.explained:
        return Check("index", "failed", f"{found}; the store has {figures.stored}", "veille index reconcile")
    if figures.refused:
        return Check("index", "failed", found, "veille index check")
    if figures.waiting or figures.broken_off:
        return Check("index", "warning", found, "veille ingest")
    return Check("index", "ok", f"{found}, as many as in the store")


def archive(runtime: Runtime, stored: Stored | None) -> Check:
    """How large it is, and whether the last page that the database knows lies in it and can be read."""
    folder = runtime.settings.archive
    files = [path for path in folder.rglob("*.warc.gz") if path.is_file()] if folder.is_dir() else []
    size = sum(path.stat().st_size for path in files)
    found = f"{counted(len(files), 'file')}, {gigabytes(size)} in {short(folder, Path.cwd())}"
    if folder.exists() and not os.access(folder, os.W_OK | os.X_OK):
        return Check("archive", "failed", f"{found}, which cannot be written", f"ls -ld {folder}")
    last = stored.health.last_page if stored else None
    return as_bad(Check("archive", "ok", found), *([_last_record(runtime, last)] if last else []))


def _last_record(runtime: Runtime, last: Pointer) -> Check:
    try:
        runtime.archive.read(last)
    except NotFound as error:
        hint = "export VEILLE_ARCHIVE=FOLDER, the one that has it, or restore that file from a backup"
        return Check("archive", "failed", f"its last page is not there: {error}", hint)
    except Unparsable as error:
        hint = "restore that file from a backup; until then its pages are read from what feeds say"
        return Check("archive", "failed", f"its last page cannot be read: {error}", hint)
    return Check("archive", "ok", "its last page can be read")


def clock(runtime: Runtime, stored: Stored | None) -> Check:
    """Whether it is shifted, differs from the database's, or has gone back behind what was written."""
    return as_bad(*_clock(runtime, stored))


def _clock(runtime: Runtime, stored: Stored | None) -> Iterator[Check]:
    now, offset = runtime.now(), runtime.settings.clock_offset
    newsroom = (runtime.settings.home / "newsroom.json").exists()
    yield Check("clock", "ok", f"it is {now:%Y-%m-%d %H:%M:%S} UTC")
    if offset:
        side = "ahead" if offset > 0 else "back"
        said = f"shifted {side} by {_span(timedelta(seconds=abs(offset)))}"
        if newsroom:
            yield Check("clock", "ok", f"{said}, as the newsroom's is")
        else:
            yield Check(
                "clock", "warning", f"{said}, and this is no demonstration", "unset VEILLE_CLOCK_OFFSET"
            )
    if stored is None:
        return
    theirs = stored.health.now
    behind, ahead = theirs - stored.after, stored.before - theirs
    if max(behind, ahead) > SKEW:
        side = "behind" if behind > ahead else "ahead of"
        said = f"{_span(max(behind, ahead))} {side} the database's"
        yield Check("clock", "warning", said, "timedatectl set-ntp true, here and where the database is")
    newest = stored.health.newest
    if newest and newest > now + AHEAD:
        said = f"it went back: the newest record is of {newest:%Y-%m-%d %H:%M} UTC, what it left waits"
        yield Check("clock", "warning", said, _set_right(runtime.settings.home, of_newsroom=newsroom))


def _set_right(home: Path, *, of_newsroom: bool) -> str:
    """A newsroom's clock is Veille's only with the settings that it says; others go by the network's."""
    if of_newsroom:
        return f'eval "$(veille newsroom --home {quote(str(home))} --settings)"'
    return "timedatectl set-ntp true"


def feeds(runtime: Runtime) -> Check:
    """Which of them fail, are late or have long said nothing new."""
    with runtime.store.transaction("doctor") as tx:
        found, silent = metrics.watched(tx, runtime.catalogue, runtime.now())
    if not found.catalogue:
        return Check(
            "feeds",
            "warning",
            "the catalogue has none",
            f"add some to {runtime.settings.config / 'sources.yaml'}",
        )
    said = f"{found.catalogue} in the catalogue, {found.failing} failing, {found.late} late"
    if found.late == found.catalogue:
        said += f": none was asked within {_hours(metrics.LATE_AFTER)}, as if no scheduler were up"
        return Check("feeds", "warning", said, "veille ingest")
    if not silent:
        return Check("feeds", "warning" if found.late else "ok", said, "veille ingest" if found.late else "")
    names = listed(_told(row) for row in silent)
    return Check("feeds", "warning", f"{said}; failing or silent: {names}", "veille status")


def _told(row: dict[str, object]) -> str:
    place = urlsplit(str(row["url"]))
    return f"{place.netloc}{place.path} ({row['error'] or 'nothing new for a week'})"


def _hours(span: timedelta) -> str:
    return f"{span / timedelta(hours=1):.0f} hours"


def _span(time: timedelta) -> str:
    return str(timedelta(seconds=round(time.total_seconds())))
