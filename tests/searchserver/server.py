"""One Elasticsearch in a folder: made, started, stopped or killed.

Listens on loopback alone, with security on and one superuser. Does not outlive whoever calls `stop`; who
shares it is for `sharing` to know.
"""

import base64
import contextlib
import hashlib
import os
import secrets
import shutil
import signal
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote, urlsplit

from searchserver import parts

USER = "admin"
HEAP = "512m"
STOP_SECONDS = 30.0
_NOBODY = 65534  # the server refuses to run as root
_ITERATIONS = 10_000


@dataclass(frozen=True)
class Address:
    """Where a server listens, and as whom everything may be done there."""

    url: str
    user: str
    password: str


def given(url: str) -> Address:
    """The server at `http://user:password@host:port`."""
    parts = urlsplit(url)
    where = parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl()
    return Address(where, unquote(parts.username or ""), unquote(parts.password or ""))


class Server:
    """A server whose program, settings and data lie in `folder`, which must be one that anybody may enter."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.password = secrets.token_urlsafe(18)
        self._home = folder / f"elasticsearch-{parts.VERSION}"
        self._java: Path | None = None
        self._port = 0  # any free one, until the first start has found it

    @property
    def address(self) -> Address:
        return Address(f"http://127.0.0.1:{self._port}", USER, self.password)

    @property
    def log(self) -> str:
        """What the server has said so far."""
        return "\n".join(path.read_text() for path in sorted((self.folder / "logs").glob("veille-tests.log")))

    def make(self) -> None:
        """Lay program and settings into the folder. Raises Lacking."""
        self._java = parts.jdk()
        parts.unpack(self.folder, self._java)
        config = self._home / "config"
        (config / "jvm.options.d" / "heap.options").write_text(f"-Xms{HEAP}\n-Xmx{HEAP}\n")
        (config / "users").write_text(f"{USER}:{_hashed(self.password)}\n")
        (config / "users_roles").write_text(f"superuser:{USER}\n")
        for name in ("data", "logs", "tmp"):
            (self.folder / name).mkdir()
        if os.geteuid() == 0:
            for path in (self.folder, *self.folder.rglob("*")):
                os.chown(path, _NOBODY, _NOBODY)

    def start(self) -> None:
        """Start it, on the same port as before, and wait until it answers."""
        settings = self._home / "config" / "elasticsearch.yml"
        settings.write_text(_SETTINGS.format(folder=self.folder, port=self._port))
        ports = self.folder / "logs" / "http.ports"
        ports.unlink(missing_ok=True)
        self._pid_file.unlink(missing_ok=True)
        started = subprocess.run(
            [*_unprivileged(), self._home / "bin" / "elasticsearch", "-d", "-p", self._pid_file],
            env={
                "PATH": os.environ["PATH"],
                "HOME": str(self.folder),
                "ES_JAVA_HOME": str(self._java),
                "ES_PATH_CONF": str(self._home / "config"),
                "ES_TMPDIR": str(self.folder / "tmp"),
            },
            cwd=self.folder,
            capture_output=True,
            text=True,
            check=False,
        )
        if started.returncode:
            raise RuntimeError(f"Elasticsearch did not start: {started.stdout}{started.stderr}\n{self.log}")
        listening = next(line for line in ports.read_text().splitlines() if line.startswith("127.0.0.1:"))
        self._port = int(listening.rpartition(":")[2])

    def stop(self) -> None:
        """Stop it and wait for its end."""
        self._signal(signal.SIGTERM)
        if not self._ended(STOP_SECONDS):
            self.kill()

    def kill(self) -> None:
        """End it as a crash would."""
        self._signal(signal.SIGKILL)
        self._ended(STOP_SECONDS)

    def remove(self) -> None:
        """Leave nothing of it."""
        shutil.rmtree(self.folder, ignore_errors=True)

    @property
    def _pid_file(self) -> Path:
        return self.folder / "pid"

    def _pid(self) -> int | None:
        """The server's pid, if the process that has it now is ours: it runs from the folder."""
        with contextlib.suppress(FileNotFoundError, ValueError, ProcessLookupError, PermissionError):
            pid = int(self._pid_file.read_text())
            if str(self._home).encode() in Path(f"/proc/{pid}/cmdline").read_bytes():
                return pid
        return None

    def _signal(self, number: int) -> None:
        pid = self._pid()
        if pid is not None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, number)

    def _ended(self, seconds: float) -> bool:
        deadline = time.monotonic() + seconds
        while self._pid() is not None:
            if time.monotonic() > deadline:
                return False
            time.sleep(0.1)
        return True


_SETTINGS = """\
cluster.name: veille-tests
discovery.type: single-node
network.host: 127.0.0.1
http.port: {port}
transport.port: 0
node.portsfile: true
path.data: {folder}/data
path.logs: {folder}/logs
xpack.security.enabled: true
cluster.routing.allocation.disk.threshold_enabled: false
"""


def _unprivileged() -> list[str]:
    if os.geteuid() != 0:
        return []
    return ["setpriv", f"--reuid={_NOBODY}", f"--regid={_NOBODY}", "--clear-groups"]


def _hashed(password: str) -> str:
    """The password as the server's file of users has it; asking the server's own tool costs a JVM."""
    salt = secrets.token_bytes(32)
    key = hashlib.pbkdf2_hmac("sha512", password.encode(), salt, _ITERATIONS, 32)
    return f"{{PBKDF2}}{_ITERATIONS}${base64.b64encode(salt).decode()}${base64.b64encode(key).decode()}"
