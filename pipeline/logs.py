"""Logs: one line per event, with run, host and entry where there are any; never page text or secrets.

The settings choose: `text` or `json` on standard error; by default a file in the home, so that the terminal
stays quiet. Does not log anything itself.
"""

import contextlib
import io
import logging
import sys
from datetime import UTC, datetime
from logging.handlers import WatchedFileHandler
from pathlib import Path

import orjson

from pipeline.settings import Settings

LOG_BYTES = 20 << 20  # about a month of 300 feeds; one older file is kept

_STANDARD = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}


class _Text(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        extras = " ".join(f"{key}={value}" for key, value in _extras(record).items())
        head = f"{_time(record)} {record.levelname.lower()} {record.name}"
        line = f"{head} {record.getMessage()} {extras}".rstrip()
        return f"{line}\n{self.formatException(record.exc_info)}" if record.exc_info else line


class _Json(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        fields = {
            "time": _time(record),
            "level": record.levelname.lower(),
            "logger": record.name,
            "event": record.getMessage(),
        } | _extras(record)
        if record.exc_info:
            fields["traceback"] = self.formatException(record.exc_info)
        return orjson.dumps(fields, default=str).decode()


class _HomeLog(WatchedFileHandler):
    """A file in the home, where there is one: neither a command that only looks nor one that fails leaves a
    home behind. Where it cannot be written, events are lost, not the command: who needs the home says why.
    """

    def __init__(self, path: Path) -> None:
        # A file name that is no UTF-8 may stand in a message.
        super().__init__(path, encoding="utf-8", errors="backslashreplace", delay=True)

    def emit(self, record: logging.LogRecord) -> None:
        with contextlib.suppress(OSError):
            super().emit(record)

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802  its name in logging
        if not isinstance(sys.exc_info()[1], OSError):
            super().handleError(record)

    def _open(self) -> io.TextIOWrapper:
        turn(Path(self.baseFilename))
        return super()._open()


def configure(settings: Settings) -> None:
    """Send Veille's events where the settings say. Calling it again replaces the first choice."""
    handler = logging.StreamHandler(sys.stderr) if settings.log else _HomeLog(file_of(settings))
    handler.setFormatter(_Json() if settings.log == "json" else _Text())
    logger = logging.getLogger("pipeline")
    for old in logger.handlers:
        old.close()
    logger.handlers = [handler]
    logger.setLevel(settings.log_level.upper())
    logger.propagate = False


def file_of(settings: Settings) -> Path:
    """The file where events go unless VEILLE_LOG sends them to standard error."""
    return settings.home / "veille.log"


def turn(path: Path) -> None:
    """Begin a new file where the old one is long; other processes go on in the new one as well."""
    with contextlib.suppress(FileNotFoundError):
        if path.stat().st_size > LOG_BYTES:
            path.replace(path.with_suffix(".log.1"))


def _extras(record: logging.LogRecord) -> dict[str, object]:
    return {key: value for key, value in vars(record).items() if key not in _STANDARD}


def _time(record: logging.LogRecord) -> str:
    return datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds")
