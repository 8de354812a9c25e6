"""Other projects that read news pages, each installed into an environment of its own, once.

They cannot share ours: news-please needs an lxml below 6, trafilatura one above. Does not measure.
"""

import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Peer:
    """A project at the version that it is compared at."""

    name: str  # in `readers` as well
    needs: tuple[str, ...]


PEERS = (
    Peer("newspaper4k", ("newspaper4k==0.9.6",)),
    Peer("news-please", ("news-please==1.6.16",)),
)


class Absent(Exception):
    """The peer cannot be had; says why."""


def python(peer: Peer, folder: Path) -> Path:
    """The interpreter of the peer's environment below `folder`, made if need be. Raises Absent."""
    place = folder / f"{peer.needs[0]}-py{sys.version_info.major}{sys.version_info.minor}"
    found, ready = place / "bin" / "python", place / "ready"
    if not ready.exists():
        _uv("venv", "--quiet", "--clear", "--python", sys.executable, place)
        _uv("pip", "install", "--quiet", "--python", found, *peer.needs)
        ready.touch()  # last: what an interruption leaves half made is made anew
    return found


def _uv(*arguments: object) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "uv", *map(str, arguments)],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        said = [line.strip(" ×├╰▶─") for line in done.stderr.splitlines() if line.strip()]
        raise Absent(f"it could not be installed: {said[0] if said else f'exit code {done.returncode}'}")
