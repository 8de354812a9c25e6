"""docker-compose.yml as values: interpolated as compose does it, with the order in which services start.

Knows the part of the compose specification that our file uses, and refuses the rest. Starts nothing.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

COMPLETED, HEALTHY = "service_completed_successfully", "service_healthy"
UNITS = {"s": 1, "m": 60, "h": 3600}
SIZES = {"k": 1 << 10, "m": 1 << 20, "g": 1 << 30}
_VARIABLE = re.compile(
    r"\$(?:(?P<escaped>\$)|\{(?P<name>\w+)(?:(?P<kind>:[-?])(?P<text>[^}]*))?\}|(?P<odd>.|$))"
)


class ComposeError(Exception):
    """The file holds what compose, or this reader, does not take."""


@dataclass(frozen=True)
class Health:
    """A health check, its command as it stands in the file."""

    test: tuple[str, ...]
    interval: float
    timeout: float
    retries: int
    start_period: float


@dataclass(frozen=True)
class Mount:
    """A named volume or a folder of the host, at a place in the container."""

    source: str
    target: str
    read_only: bool

    @property
    def is_named(self) -> bool:
        return not self.source.startswith((".", "/"))


@dataclass(frozen=True)
class Service:
    """One service. `raw` is all that the file says of it, interpolated."""

    name: str
    image: str
    command: tuple[str, ...]
    environment: Mapping[str, str]
    depends_on: Mapping[str, str]
    health: Health | None
    mounts: tuple[Mount, ...]
    tmpfs: tuple[str, ...]
    raw: Mapping[str, Any]

    @property
    def is_once(self) -> bool:
        """Whether it ends by itself."""
        return self.raw["restart"] == "no"


def load(path: Path, values: Mapping[str, str]) -> dict[str, Service]:
    """The services, each after those that it waits for. Raises ComposeError."""
    raw = _interpolated(yaml.safe_load(path.read_text(encoding="utf-8")), values)
    services = {name: _service(name, found) for name, found in raw["services"].items()}
    return {service.name: service for service in _in_order(services)}


def variables(path: Path) -> set[str]:
    """The names of all variables that the file takes from `.env`."""
    without_remarks = re.sub(r"(?m)^\s*#.*$", "", path.read_text(encoding="utf-8"))
    return {match["name"] for match in _VARIABLE.finditer(without_remarks) if match["name"]}


def interpolate(text: str, values: Mapping[str, str]) -> str:
    """A string with its variables replaced. Raises ComposeError for one that is required and empty."""

    def value(match: re.Match[str]) -> str:
        if match["escaped"]:
            return "$"
        if match["odd"] is not None:
            raise ComposeError(f"{match[0]!r} in {text!r} is neither $$ nor a variable in braces")
        found = values.get(match["name"], "")
        if not found and match["kind"] == ":?":
            raise ComposeError(f"{match['name']} is missing: {match['text']}")
        return found or (match["text"] if match["kind"] == ":-" else "")

    return _VARIABLE.sub(value, text)


def size(text: str) -> int:
    """Bytes of « 512m »."""
    return int(text[:-1]) * SIZES[text[-1].lower()]


def _interpolated(found: Any, values: Mapping[str, str]) -> Any:
    if isinstance(found, dict):
        return {name: _interpolated(value, values) for name, value in found.items()}
    if isinstance(found, list):
        return [_interpolated(value, values) for value in found]
    return interpolate(found, values) if isinstance(found, str) else found


def _service(name: str, raw: dict[str, Any]) -> Service:
    command, environment = raw.get("command", []), raw.get("environment", {})
    if not isinstance(command, list) or not isinstance(environment, dict):
        raise ComposeError(f"{name}: a list is expected as command, a mapping as environment")
    if odd := [key for key, value in environment.items() if not isinstance(value, str)]:
        raise ComposeError(f"{name}: quotes are missing round the value of {', '.join(odd)}")
    return Service(
        name=name,
        image=raw["image"],
        command=tuple(map(str, command)),
        environment=environment,
        depends_on={other: how["condition"] for other, how in raw.get("depends_on", {}).items()},
        health=_health(raw["healthcheck"]) if "healthcheck" in raw else None,
        mounts=tuple(map(_mount, raw.get("volumes", []))),
        tmpfs=tuple(_tmpfs(text, raw["user"]) for text in raw.get("tmpfs", [])),
        raw=raw,
    )


def _health(raw: dict[str, Any]) -> Health:
    times = {name: _seconds(raw[name]) for name in ("interval", "timeout", "start_period")}
    return Health(tuple(raw["test"]), retries=raw["retries"], **times)


def _mount(text: str) -> Mount:
    source, target, *options = text.split(":")
    if options not in ([], ["ro"]):
        raise ComposeError(f"volume {text!r} has options that are not known here")
    return Mount(source, target, read_only=bool(options))


def _tmpfs(text: str, user: str) -> str:
    """Its path. Without its owner, docker leaves it to root from the second start of a container on."""
    path, _, options = text.partition(":")
    uid, _, gid = user.partition(":")
    if options != f"uid={uid},gid={gid},mode=0700":
        raise ComposeError(f"tmpfs {text!r} must belong to the service's user {user}, and to nobody else")
    return path


def _seconds(text: str) -> float:
    return int(text[:-1]) * UNITS[text[-1]]


def _in_order(services: dict[str, Service]) -> Iterator[Service]:
    """In the file's order, except that a service comes after those it depends on."""
    left, done = dict(services), set[str]()
    while left:
        ready = next((one for one in left.values() if set(one.depends_on) <= done), None)
        if ready is None:
            raise ComposeError(f"these wait for each other, or for what is not there: {', '.join(left)}")
        done.add(ready.name)
        yield left.pop(ready.name)
