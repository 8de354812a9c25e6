"""What the system, initdb or the server complain of, as errors of Veille with the next command.

Repairs nothing.
"""

import contextlib
import errno
import os
from collections.abc import Iterator

from pipeline.errors import ConfigError, Permanent, Transient, VeilleError

ELSEWHERE = "set VEILLE_HOME to a folder of yours on a local disk, or VEILLE_DATABASE_URL to a server"


@contextlib.contextmanager
def explained(what: str) -> Iterator[None]:
    """Turn an OSError into the error that `explain` makes of it."""
    try:
        yield
    except OSError as error:
        raise explain(what, str(error)) from error


def explain(what: str, text: str) -> VeilleError:
    """The error for a message of the system, of initdb or of the server."""

    def says(*codes: int) -> bool:
        return any(os.strerror(code) in text for code in codes)

    if says(errno.ENOSPC, errno.EDQUOT) or "wrote only" in text:  # PostgreSQL's word for a write cut short
        return Transient(
            f"{what}: the disk is full ({text})", hint="free some space and run the command again"
        )
    if says(errno.ENOMEM, errno.EMFILE, errno.ENFILE, errno.EAGAIN):
        return Transient(f"{what}: {text}", hint="free some memory and run the command again")
    if says(errno.EROFS, errno.EACCES, errno.EPERM, errno.ENOTDIR, errno.EEXIST, errno.ENAMETOOLONG):
        return ConfigError(f"{what}: {text}", hint=ELSEWHERE)
    return Permanent(f"{what}: {text}", hint=f"restore the folder from a backup, or {ELSEWHERE}")
