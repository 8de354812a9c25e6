"""The errors of Veille, split by what the caller does about them. *Pure.*

    VeilleError
    ├── Transient            try again later
    │   ├── TimedOut
    │   ├── Unreachable
    │   ├── CutOff           a request that we ended ourselves
    │   ├── Busy             somebody else holds what is needed
    │   ├── Conflict         two transactions stood in each other's way
    │   └── EngineTrouble    the search server is away, or takes nothing for now
    └── Permanent            record it, never retry
        ├── BlockedAddress
        ├── TooLarge
        ├── Unparsable
        ├── TooManyRedirects
        ├── ConfigError
        ├── NotFound
        └── Defect           a bug, ours or a library's, that one page, feed or text brings up

Driver errors are translated at the edge with `from error`; other bugs pass untouched. Nothing here
decides what is tried again: callers do.
"""

import traceback
from pathlib import PurePath


class VeilleError(Exception):
    """The root. `str(error)` names the cause; `hint` names the next command, where there is one."""

    code = "error"
    redirected = False  # whether it was met behind a redirect

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message)
        self.hint = hint


class Transient(VeilleError):
    """May succeed later. `retry_after` is in seconds, where the other side named one."""

    code = "transient"

    def __init__(self, message: str, *, hint: str = "", retry_after: float | None = None) -> None:
        super().__init__(message, hint=hint)
        self.retry_after = retry_after


class TimedOut(Transient):
    code = "timed_out"


class Unreachable(Transient):
    code = "unreachable"


class CutOff(Transient):
    """We ended a request ourselves: nothing is known of the other side."""

    code = "cut_off"


class Busy(Transient):
    code = "busy"


class Conflict(Transient):
    """The transaction was undone and may start again at once."""

    code = "conflict"


class EngineTrouble(Transient):
    """The search server is away, overloaded or out of disk: whoever writes waits for it.

    `slow` if it took too long: it may manage a smaller batch.
    """

    code = "engine"

    def __init__(self, message: str, *, hint: str = "", slow: bool = False) -> None:
        super().__init__(message, hint=hint)
        self.slow = slow


class Permanent(VeilleError):
    """Will fail again in the same way."""

    code = "permanent"


class BlockedAddress(Permanent):
    """The URL leads to an address, port or scheme that must not be contacted."""

    code = "blocked_address"


class TooLarge(Permanent):
    code = "too_large"


class Unparsable(Permanent):
    code = "unparsable"


class TooManyRedirects(Permanent):
    """A chain of redirects that is too long, or a circle."""

    code = "too_many_redirects"


class ConfigError(Permanent):
    """A configuration file or setting is wrong; the message names file, line and field."""

    code = "config"


class NotFound(Permanent):
    code = "not_found"


class Defect(Permanent):
    """A bug, ours or a library's, that one page, feed or text brings up: it must not stop the others."""

    code = "defect"


def place_of(error: Exception) -> str:
    """A bug's kind and place. Its message stays out: it may quote the page."""
    last = traceback.extract_tb(error.__traceback__)[-1]
    return f"a bug: {type(error).__name__} in {PurePath(last.filename).name}, line {last.lineno}"


def lines_of(error: Exception) -> str:
    """The way to a bug, line by line, without the values, which may quote the page."""
    return "".join(traceback.format_tb(error.__traceback__))
