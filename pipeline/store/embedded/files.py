"""Files and folders of known owners and modes, written durably.

Knows nothing of what is in them.
"""

import contextlib
import os
import pwd
import stat
from pathlib import Path
from typing import BinaryIO

from pipeline.disk import sync_names
from pipeline.errors import ConfigError


def may(path: Path, account: pwd.struct_passwd, bit: int) -> bool:
    """Whether the mode of `path` grants `bit` (4 read, 1 enter) to `account`."""
    found = path.stat()
    shift = 6 if found.st_uid == account.pw_uid else 3 if found.st_gid == account.pw_gid else 0
    return bool(found.st_mode >> shift & bit)


def can_enter(folder: Path, account: pwd.struct_passwd) -> bool:
    """Whether `account` gets as far as to `folder`."""
    return account.pw_uid == os.geteuid() or all(may(parent, account, 1) for parent in folder.parents)


def write(path: Path, text: str) -> None:
    """Write whole and durably, or not at all."""
    new = path.with_suffix(".new")
    with _open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC) as file:
        file.write(text.encode(errors="surrogateescape"))
        file.flush()
        os.fsync(file.fileno())
    new.replace(path)
    sync_names(path.parent)


def append(log: Path) -> BinaryIO:
    """Open a log, which is made if need be."""
    return _open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND)


def _open(path: Path, flags: int) -> BinaryIO:
    """Open a file of the home's owner, whatever the umask; a link is not followed."""
    return os.fdopen(os.open(path, flags | os.O_NOFOLLOW, 0o600), "wb")


def give(folder: Path, account: pwd.struct_passwd) -> None:
    """Make `folder` with mode 0700 for `account`, or verify that it is such a one."""
    with contextlib.suppress(FileExistsError):
        folder.mkdir(mode=0o700)
    check_private(folder, account)
    if os.geteuid() != account.pw_uid:
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
        os.fchown(descriptor, account.pw_uid, account.pw_gid)
        os.close(descriptor)


def check_private(folder: Path, account: pwd.struct_passwd) -> None:
    """Nobody but us and `account` can have put anything there. Raises ConfigError if not so."""
    found = folder.lstat()
    ours = stat.S_ISDIR(found.st_mode) and found.st_uid in {account.pw_uid, os.geteuid()}
    if not ours or found.st_mode & 0o077:
        raise ConfigError(f"{folder} is not a private folder of ours", hint="look who made it, and remove it")
