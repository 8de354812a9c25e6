"""Logs: one line per event, with run, host and entry where there are any; never page text or secrets.

VEILLE_LOG chooses: `text` or `json` on standard error; by default a file in the home, so that the terminal
stays quiet. Does not log anything itself.
"""

import logging
import os
import sys
from datetime import UTC, datetime
from logging.handlers import WatchedFileHandler
from pathlib import Path

import orjson

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


def configure(home: Path) -> None:
    """Send Veille's events where VEILLE_LOG says. Calling it again replaces the first choice."""
    choice = os.environ.get("VEILLE_LOG", "")
    handler: logging.Handler = logging.StreamHandler(sys.stderr)
    if choice not in ("text", "json"):
        try:
            home.mkdir(parents=True, exist_ok=True)
            handler = WatchedFileHandler(home / "veille.log", encoding="utf-8")
        except OSError:  # a home that cannot be written is reported by whoever needs it
            handler = logging.NullHandler()
    handler.setFormatter(_Json() if choice == "json" else _Text())
    logger = logging.getLogger("pipeline")
    for old in logger.handlers:
        old.close()
    logger.handlers = [handler]
    logger.setLevel(os.environ.get("VEILLE_LOG_LEVEL", "INFO").upper())
    logger.propagate = False


def _extras(record: logging.LogRecord) -> dict[str, object]:
    return {key: value for key, value in vars(record).items() if key not in _STANDARD}


def _time(record: logging.LogRecord) -> str:
    return datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds")
