"""Where a home's parts lie: chosen once, written into `place.json`, the same ever after.

Starts nothing, and makes no data.
"""

import json
import os
import pwd
import re
import time
import zlib
from dataclasses import dataclass
from pathlib import Path

from pipeline.errors import ConfigError
from pipeline.store.embedded import files
from pipeline.store.embedded.locks import locked
from pipeline.store.embedded.trouble import ELSEWHERE, explained

PORT = 5432  # only part of the socket's name: nothing listens on TCP
CHOICE_SECONDS = 120.0  # to write a small file; a full or distant disk may take long
SOCKET_BYTES = 103  # the limit is 107 on Linux, 103 on macOS
STATE = Path("/var/lib")  # not cleaned by age, unlike /tmp and /var/tmp
SHORT = Path("/tmp")  # noqa: S108 — the shortest there is; a folder in it is verified before it is used


@dataclass(frozen=True, slots=True)
class Place:
    """What lies where. `home` is the folder that was asked for, `root` the one with the server's files."""

    home: Path
    root: Path
    id: str

    @property
    def record(self) -> Path:
        """The file that says so."""
        return record(self.home)

    @property
    def data(self) -> Path:
        return self.root / "data"

    @property
    def log(self) -> Path:
        """The server's and the supervisor's messages; owned by the home's owner, never by `nobody`."""
        return self.root / "server.log"

    @property
    def stop_request(self) -> Path:
        """A file whose existence asks the supervisor to stop the server and to end."""
        return self.root / "stop"

    @property
    def socket(self) -> Path:
        """The socket's folder: in the root, or a short one if that path is too long or needs quoting."""
        inside = self.root / "socket"
        if (
            re.fullmatch(r"[A-Za-z0-9_./-]+", str(inside))
            and len(f"{inside}/.s.PGSQL.{PORT}") <= SOCKET_BYTES
        ):
            return inside
        copy = zlib.crc32(os.fsencode(self.root))  # a copied home gets its own
        return SHORT / f"veille-{self.id}-{copy:08x}"

    def lock(self, name: str) -> Path:
        return self.root / f"{name}.lock"

    def is_there(self) -> bool:
        """Whether the home still names this place; not so once it was deleted, or made anew."""
        try:
            return self.id in self.record.read_text()
        except (FileNotFoundError, NotADirectoryError):
            return False


def settle(folder: Path) -> Place:
    """The place of `folder`, chosen at the first call and the same ever after.

    Raises ConfigError if the folder cannot be written, belongs to somebody else, holds something else, or
    if the server's files that it names are gone; Transient if the disk is full.
    """
    home = folder.expanduser().resolve()
    with explained(f"the database folder {home}"):
        home.mkdir(mode=0o700, parents=True, exist_ok=True)
        if home.stat().st_uid != os.geteuid():
            raise ConfigError(
                f"the database folder {home} belongs to user {home.stat().st_uid}, not to {os.geteuid()}",
                hint="run as its owner, or set VEILLE_HOME to a folder of yours",
            )
        if not record(home).exists():
            with locked(home / "start.lock", time.monotonic() + CHOICE_SECONDS):
                if not record(home).exists():
                    _choose(home)
        return read(home)


def read(home: Path) -> Place:
    """The place that was chosen for `home`. Raises ConfigError if it is gone, or none was chosen."""
    file = record(home)
    try:
        found = json.loads(file.read_text())
        place = Place(home, (home / found["server_folder"]).resolve(), found["id"])
    except FileNotFoundError as error:
        raise ConfigError(
            f"there is no database in {home}", hint="it was deleted; run the command again"
        ) from error
    except (ValueError, KeyError, TypeError) as error:
        raise ConfigError(f"{file} is damaged: {error!r}", hint="restore it from a backup") from error
    if not place.root.is_dir():
        raise ConfigError(
            f"the database of {home} lay in {place.root}, which is gone",
            hint=f"restore that folder, or delete {file} to begin with an empty database",
        )
    return place


def record(home: Path) -> Path:
    """The file in which the place of `home` is written."""
    return home / "place.json"


def _choose(home: Path) -> None:
    strangers = {path.name for path in home.iterdir()} - {"start.lock", "place.new", "lost+found"}
    if strangers:
        raise ConfigError(
            f"{home} holds something that is not a database of Veille: {', '.join(sorted(strangers)[:3])}",
            hint="move it away, or set VEILLE_HOME to another folder",
        )
    user, identity = account(), os.urandom(8).hex()
    note = f"PostgreSQL runs as {user.pw_name}; data, log and locks lie in server_folder, relative to here."
    root = home
    if not files.can_enter(home, user):
        root = STATE / f"veille-{identity}"
        STATE.mkdir(parents=True, exist_ok=True)
        root.mkdir(mode=0o700)
        files.write(root / "home", f"{home}\n")
        note += (
            " It is apart because that account cannot reach this folder. Keep both: neither is whole alone."
        )
    root.chmod(0o700 if user.pw_uid == os.geteuid() else 0o711)
    where = "." if root == home else str(root)
    found = {"note": note, "server_folder": where, "id": identity}
    files.write(record(home), json.dumps(found, indent=1) + "\n")


def account() -> pwd.struct_passwd:
    """The account that runs the server: our own, or `nobody` for root."""
    own = os.geteuid()
    try:
        return pwd.getpwnam("nobody") if own == 0 else pwd.getpwuid(own)
    except KeyError as error:
        lack = "account nobody, which PostgreSQL needs under root" if own == 0 else f"entry for user {own}"
        raise ConfigError(f"this machine has no {lack}", hint=ELSEWHERE) from error
