"""How much memory this process may still take: of the machine, and of the control groups that count it.

Judges nothing: `machine` does.
"""

from collections.abc import Iterator
from pathlib import Path

# The file with the limit, the one with what is used, and what of it the kernel gives back when it has to.
_FILES = {
    2: ("memory.max", "memory.current", "inactive_file"),
    1: ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file"),
}


def of_machine() -> tuple[int, int]:
    """Bytes that are available without swapping, and bytes that there are."""
    import psutil  # type: ignore[import-untyped]  # it has no stubs

    found = psutil.virtual_memory()
    return int(found.available), int(found.total)


def of_groups(root: Path = Path("/")) -> tuple[int, int] | None:
    """Bytes that the tightest control group still lets this process take, and its limit; None without any.

    Both versions are read: on a machine with either, in a container, and in a part of one.
    """
    found = [room for version, folder in _groups(root) if (room := _room(version, folder))]
    return min(found, default=None)


def _groups(root: Path) -> Iterator[tuple[int, Path]]:
    """Every group that may limit this process: its own and those around it, as far as they can be seen."""
    try:
        lines = (root / "proc/self/cgroup").read_text().splitlines()
    except OSError:  # another system has no such thing
        return
    for line in lines:
        _, controllers, path = line.split(":", 2)
        if controllers and "memory" not in controllers.split(","):
            continue
        mount = root / "sys/fs/cgroup" / ("memory" if controllers else "")
        own = mount / path.lstrip("/")
        for folder in (own, *own.parents):
            if folder.is_relative_to(mount):
                yield 1 if controllers else 2, folder


def _room(version: int, folder: Path) -> tuple[int, int] | None:
    limit, used, cache = _FILES[version]
    try:
        most = int((folder / limit).read_text())
        taken = int((folder / used).read_text())
        lines = (line.split() for line in (folder / "memory.stat").read_text().splitlines())
        spare = next((int(size) for name, size in lines if name == cache), 0)
    except (OSError, ValueError):  # no such group here, or "max": it has no limit
        return None
    return most - taken + spare, most
