"""Where the containers' world lies on this machine: addresses, ports and paths, by `table.yaml`.

Starts nothing. A port or path that the table does not know is an error: nothing may leave loopback and the
rehearsal's folder.
"""

import re
import shlex
import socket
import sys
from collections.abc import Iterable, Mapping
from contextlib import ExitStack
from pathlib import Path

import yaml
from conftest import ROOT

from rehearsal.compose import ComposeError, Service

TABLE = Path(__file__).with_name("table.yaml")


class World:
    """The translation for the services of one rehearsal, whose files lie in `folder`."""

    def __init__(self, folder: Path, services: Iterable[str]) -> None:
        table = yaml.safe_load(TABLE.read_text(encoding="utf-8"))
        places = {"repository": ROOT, "venv": Path(sys.prefix), "folder": folder}
        self.folder = folder
        self.images: Mapping[str, str] = table["images"]
        self.ports = dict(zip(map(str, table["ports"]), _free_ports(len(table["ports"])), strict=True))
        self._port_variables = set(table["port_variables"])
        self._listening = dict.fromkeys(table["listening_variables"], table["listens_on"])
        self._paths = {path: Path(here.format(**places)) for path, here in table["paths"].items()}
        names = "|".join(map(re.escape, ["localhost", "127.0.0.1", *services]))
        # « postgres:0Xy…@ » is a user and his password, no address.
        self._address = re.compile(rf"(?<![\w.-])(?:{names}):(\d+)(?![\w@])")

    def adapter(self, service: Service) -> str:
        """What stands in for the service's image; empty where it is ours."""
        return self.images.get(service.image.partition(":")[0], "")

    def port(self, port: str) -> int:
        """The port of this machine for one of a container. Raises ComposeError."""
        if port not in self.ports:
            raise ComposeError(f"port {port} is not in {TABLE.name}")
        return self.ports[port]

    def text(self, text: str, service: Service) -> str:
        """A string of the service's, with the addresses and paths of this machine."""
        here = self._address.sub(lambda match: f"127.0.0.1:{self.port(match[1])}", text)
        paths = self.folders(service)
        known = "|".join(map(re.escape, sorted(paths, key=len, reverse=True)))
        if not known:
            return here
        return re.sub(rf"(?<![\w./])(?:{known})(?![\w.-])", lambda match: str(paths[match[0]]), here)

    def environment(self, service: Service) -> dict[str, str]:
        """The service's environment, after that of our image."""
        both = {**_of_our_image(), **service.environment}
        return {name: self._value(name, value, service) for name, value in both.items()}

    def folders(self, service: Service) -> dict[str, Path]:
        """Where the paths of the service's container lie; volumes are shared, tmpfs are its own."""
        found = dict(self._paths)
        for mount in service.mounts:
            own = self.folder / "volumes" / mount.source
            found[mount.target] = own if mount.is_named else self._paths[mount.source]
        return found | {
            path: self.folder / "tmpfs" / service.name / path.lstrip("/") for path in service.tmpfs
        }

    def make_folders(self, service: Service) -> None:
        """Make what the service's container would find mounted."""
        for path in self.folders(service).values():
            if path.is_relative_to(self.folder):
                path.mkdir(parents=True, exist_ok=True)

    def _value(self, name: str, value: str, service: Service) -> str:
        if name in self._port_variables:
            return str(self.port(value))
        return self._listening.get(name) or self.text(value, service)


def _of_our_image() -> dict[str, str]:
    """What ENV says in the last stage of our Dockerfile."""
    stage = (ROOT / "Dockerfile").read_text(encoding="utf-8").rpartition("\nFROM ")[2]
    lines = stage.replace("\\\n", " ").splitlines()
    words = [word for line in lines if line.startswith("ENV ") for word in shlex.split(line)[1:]]
    return dict(word.split("=", 1) for word in words)


def _free_ports(count: int) -> list[int]:
    """Ports that nobody has now. Others may take one before it is used: then that service says so."""
    with ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for one in sockets:
            one.bind(("127.0.0.1", 0))
        return [one.getsockname()[1] for one in sockets]
