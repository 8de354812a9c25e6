"""The machine that Veille runs on: Python with its libraries, memory, disks, ports, the locale.

Needs no library, and looks into none.
"""

import os
import shutil
import sys
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from shlex import quote

from pipeline.checkup import memory as room
from pipeline.checkup.check import Check, as_bad, gigabytes, listed
from pipeline.errors import VeilleError
from pipeline.installation import repair
from pipeline.runtime import Runtime

LOW_DISK = 2 << 30  # bytes: some weeks of pages of 200 feeds
LOW_FILES = 10_000  # a library of 100 000 articles has some 2 000 files; Airflow's logs have many more
BESIDE = 400 << 20  # bytes: PostgreSQL's shared memory (128 MB), the index's writer, this process


def python() -> Check:
    """The version, the libraries that Veille was made with, and the certificates that https needs."""
    import ssl

    found = f"{sys.version.split()[0]} in {sys.prefix}"
    if wrong := list(_unmet()):
        said = f"{found}; {listed(wrong)}"
        return Check("Python", "failed", said, repair())
    places = ssl.get_default_verify_paths()
    if not places.cafile and not places.capath:
        said = f"{found}; it has no certificates, so no https address can be read"
        return Check("Python", "warning", said, "apt install ca-certificates")
    return Check("Python", "ok", found)


def _unmet() -> Iterator[str]:
    """The requirements of Veille that this environment does not meet: others may have changed it since."""
    from importlib import metadata

    from packaging.requirements import Requirement

    try:
        requirements = [Requirement(line) for line in metadata.requires("veille") or ()]
    except metadata.PackageNotFoundError:  # run from its folder, without having been installed
        return
    for wanted in requirements:
        if wanted.marker and not wanted.marker.evaluate({"extra": ""}):
            continue
        try:
            version = metadata.version(wanted.name)
        except metadata.PackageNotFoundError:
            yield f"{wanted.name} is missing"
            continue
        if not wanted.specifier.contains(version, prereleases=True):
            yield f"{wanted.name} is {version}, {wanted.specifier} is needed"


def memory(runtime: Runtime) -> Check:
    """What the reading processes need beside the rest, and what is there, of the machine and its groups."""
    free, total = room.of_machine()
    found = f"{gigabytes(free)} free of {gigabytes(total)}"
    group = room.of_groups()
    if group and group[0] < free:
        free = group[0]
        found = f"{gigabytes(free)} free below the limit of its control group, {gigabytes(group[1])}"
    return judged(free, found, runtime.workers.count)


def judged(free: int, found: str, count: int) -> Check:
    """Whether so many bytes are enough for so many reading processes."""
    from pipeline.workers import RESIDENT

    need = count * RESIDENT + BESIDE
    readers = f"{count} reading processes" if count > 1 else "one reading process"
    found += f"; Veille with {readers} takes {gigabytes(need)}"
    if free >= need:
        return Check("memory", "ok", found)
    if free >= RESIDENT + BESIDE:
        return Check("memory", "warning", found, "taskset -c 0 veille ingest")
    found += f", with one {gigabytes(RESIDENT + BESIDE)}" if count > 1 else ""
    return Check("memory", "failed", found, "ps -eo rss,pid,args --sort -rss | head shows what to close")


def disk(runtime: Runtime) -> Check:
    """The file systems of the home, the archive and the embedded database: can they be written, is there
    space, are there files left.
    """
    settings = runtime.settings
    folders = {"the home": settings.home, "the archive": settings.archive}
    if root := _root_of_database(runtime):
        folders["the database"] = root
    together: dict[int, list[str]] = defaultdict(list)
    existing: dict[int, Path] = {}
    for name, folder in folders.items():
        here = next(path for path in (folder, *folder.parents) if path.exists())
        if not here.is_dir() or not os.access(here, os.W_OK | os.X_OK):
            variable = "VEILLE_ARCHIVE" if name == "the archive" else "VEILLE_HOME"
            said = f"{here}, for {name}, cannot be written"
            return Check("disk", "failed", said, f"set {variable} to a folder of yours")
        device = here.stat().st_dev
        together[device].append(name)
        existing.setdefault(device, here)
    return as_bad(*(_file_system(existing[device], names) for device, names in together.items()))


def _root_of_database(runtime: Runtime) -> Path | None:
    """Where the embedded database lies, if there is one and it can be told."""
    try:
        return runtime.embedded_root
    except VeilleError:  # the line of the database says why
        return None


def _file_system(here: Path, names: list[str]) -> Check:
    free, files = shutil.disk_usage(here).free, os.statvfs(here)
    found = f"{gigabytes(free)} free for {' and '.join(names)}, in {here}"
    if free < LOW_DISK:
        return Check("disk", "warning", found, f"du -xh --max-depth 2 {quote(str(here))} | sort -h")
    if files.f_files and files.f_favail < LOW_FILES:  # some file systems do not count them
        found += f"; it takes only {files.f_favail} more files"
        found += ", and old logs of Airflow are many small ones"
        return Check("disk", "warning", found, f"du -x --inodes --max-depth 2 {quote(str(here))} | sort -n")
    return Check("disk", "ok", found)


def locale() -> Check:
    """How output is encoded: what the encoding lacks is shown as « ? »."""
    encoding = (sys.stdout.encoding or "none").lower()
    named = next((name for name in ("LC_ALL", "LC_CTYPE", "LANG") if os.environ.get(name)), "")
    found = f"output in {encoding}, {f'{named}={os.environ[named]}' if named else 'no locale is set'}"
    if encoding.replace("-", "") != "utf8":
        return Check("locale", "warning", f"{found}: what it lacks is shown as ?", "export LC_ALL=C.UTF-8")
    if sys.flags.utf8_mode and os.environ.get("PYTHONUTF8") != "1":  # PEP 540
        found += ", which Python takes for UTF-8"
    return Check("locale", "ok", found)
