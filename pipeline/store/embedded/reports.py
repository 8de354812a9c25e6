"""The pipe on which a new supervisor tells the process that started it why there will be no server.

It is the supervisor's standard output; the other end reads until it is closed. Does not explain
errors: `trouble` does.
"""

import contextlib
import json
import os
import sys

from pipeline import errors
from pipeline.errors import VeilleError


def receive(reader: int) -> None:
    """Read until the supervisor closes the pipe; raise the error that it sent, if it sent one."""
    with os.fdopen(os.dup(reader), "rb") as pipe:
        text = pipe.read()
    if text:
        found = json.loads(text)
        raise getattr(errors, found["error"])(found["message"], hint=found["hint"])


def close() -> None:
    """Close the pipe: there will be no error."""
    null = os.open(os.devnull, os.O_WRONLY)
    os.dup2(null, sys.stdout.fileno())
    os.close(null)


def send(error: Exception) -> None:
    """Tell the process that started us, if it still listens, and the log."""
    known = isinstance(error, VeilleError)
    found = {
        "error": type(error).__name__ if known else "VeilleError",
        "message": str(error) if known else f"the supervisor of PostgreSQL failed: {error!r}",
        "hint": getattr(error, "hint", ""),
    }
    with contextlib.suppress(OSError):
        os.write(sys.stdout.fileno(), json.dumps(found).encode())
    with contextlib.suppress(OSError):
        sys.stderr.write("supervisor: {error}: {message}\n".format_map(found))
