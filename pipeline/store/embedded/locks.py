"""Locks between processes: flocks, which the kernel drops when their holder dies, however it dies.

Knows nothing of what they guard.
"""

import contextlib
import fcntl
import os
import time
from collections.abc import Iterator
from pathlib import Path

from pipeline.errors import Busy

SHARED, EXCLUSIVE = fcntl.LOCK_SH, fcntl.LOCK_EX


def try_lock(path: Path, how: int, *, make: bool = True) -> int | None:
    """A descriptor that holds the lock, or None while another process holds one that excludes it.

    The descriptor closes on exec. A lock on a file that was replaced or deleted meanwhile does not count.
    Raises FileNotFoundError if there is no such file and it is not to be made.
    """
    descriptor = os.open(path, os.O_RDWR | (os.O_CREAT if make else 0) | os.O_NOFOLLOW, 0o600)
    try:
        fcntl.flock(descriptor, how | fcntl.LOCK_NB)
        if is_at(descriptor, path):
            return descriptor
    except BlockingIOError:
        pass
    except BaseException:
        os.close(descriptor)
        raise
    os.close(descriptor)
    return None


def is_at(descriptor: int, path: Path) -> bool:
    """Whether the open file still lies at `path`."""
    try:
        return os.path.samestat(os.fstat(descriptor), path.stat())
    except FileNotFoundError:
        return False


def lock(path: Path, how: int, deadline: float) -> int:
    """A descriptor that holds the lock. Raises Busy if there is none until `deadline` (monotonic)."""
    while (descriptor := try_lock(path, how)) is None:
        if time.monotonic() > deadline:
            raise Busy(f"{path} is held by another process", hint=f"fuser {path} names it")
        time.sleep(0.02)
    return descriptor


@contextlib.contextmanager
def locked(path: Path, deadline: float) -> Iterator[None]:
    """Hold the lock alone. Raises as `lock` does."""
    descriptor = lock(path, EXCLUSIVE, deadline)
    try:
        yield
    finally:
        os.close(descriptor)


def is_locked(path: Path) -> bool:
    """Whether a process holds the lock alone. Makes no file: the folder may be on its way out."""
    try:
        descriptor = try_lock(path, SHARED, make=False)
    except FileNotFoundError:
        return False
    if descriptor is not None:
        os.close(descriptor)
    return descriptor is None
