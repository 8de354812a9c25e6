"""The errors of Veille, split by what the caller does about them. *Pure.*

    VeilleError
    ├── Transient            try again later
    │   ├── TimedOut
    │   ├── Unreachable
    │   ├── Busy             somebody else holds what is needed
    │   └── Conflict         two transactions stood in each other's way
    └── Permanent            record it, never retry
        ├── BlockedAddress
        ├── TooLarge
        ├── Unparsable
        ├── TooManyRedirects
        ├── ConfigError
        └── NotFound

Driver errors are translated at the edge with `from error`; bugs pass untouched.
"""


class VeilleError(Exception):
    """The root. `str(error)` names the cause; `hint` names the next command, where there is one."""

    code = "error"

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


class Busy(Transient):
    code = "busy"


class Conflict(Transient):
    """The transaction was undone and may start again at once."""

    code = "conflict"


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
