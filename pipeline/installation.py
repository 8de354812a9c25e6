"""How Veille was installed here, and the command that mends it. Needs no library, and installs nothing."""

import shlex
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


def repair() -> str:
    """The command that installs all libraries anew: into the environment of `make` or somebody's own."""
    own = ROOT / ".venv"
    if Path(sys.prefix) == own:  # the file says that all is there: `make install` alone would believe it
        return f"rm -f {shlex.quote(str(own / 'installed'))}; make -C {shlex.quote(str(ROOT))} install"
    source = str(ROOT) if (ROOT / "pyproject.toml").exists() else "veille"
    return f"{shlex.quote(sys.executable)} -m pip install --force-reinstall {shlex.quote(source)}"
