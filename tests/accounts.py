"""An account without rights, and a Python that it can run: for root to test what must work without root."""

import os
import pwd
import shutil
import sys
from pathlib import Path

from conftest import ROOT

from pipeline.store.embedded.files import can_enter

IS_ROOT = os.geteuid() == 0
NOBODY = pwd.getpwnam("nobody")
# The environment's Python may lie under /root; one of the system with the same version reads its packages.
REACHABLE = can_enter(Path(sys.executable).resolve(), NOBODY)
SYSTEM_PYTHON = shutil.which(f"python3.{sys.version_info.minor}", path="/usr/local/bin:/usr/bin")


def python_of(account: pwd.struct_passwd | None) -> str | None:
    """A Python that `account` (None: our own) can run with the packages of ours; None if there is none."""
    if account is None:
        return sys.executable
    if not can_enter(ROOT / "pipeline", account):
        return None
    return sys.executable if REACHABLE else SYSTEM_PYTHON


def python_path() -> str:
    """PYTHONPATH for such a Python."""
    return os.pathsep.join([str(ROOT), *filter(os.path.isdir, sys.path)])
