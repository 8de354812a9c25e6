"""Named points at which a test may kill this process, to show that no moment is a bad one.

Costs one dictionary look-up where VEILLE_FAILPOINT is unset. Does nothing but die.
"""

import os
import signal
import threading

_ARMED, _, _COUNT = os.environ.get("VEILLE_FAILPOINT", "").partition("#")
_remaining = int(_COUNT or 1)
_lock = threading.Lock()


def armed(name: str) -> bool:
    """Whether the process is to die here, now: the point is named and its count has run down."""
    global _remaining  # noqa: PLW0603  a process has one fate
    if name != _ARMED:
        return False
    with _lock:
        _remaining -= 1
        return _remaining == 0


def reach(name: str) -> None:
    """Die by SIGKILL, as in a crash, if this is the armed point (`VEILLE_FAILPOINT=name#count`)."""
    if armed(name):
        os.kill(os.getpid(), signal.SIGKILL)
