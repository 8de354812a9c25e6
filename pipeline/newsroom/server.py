"""The newsroom as a whole: its state between two starts, its server, its entry in Veille's sources.

Does not fetch anything and listens on loopback only (`web`). What it serves is `site`'s business.
"""

import errno
import fcntl
import hashlib
import json
import os
import secrets
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Self

from pipeline.errors import Busy, ConfigError, NotFound
from pipeline.newsroom.content import HERE, load
from pipeline.newsroom.printing import Printing
from pipeline.newsroom.site import Resource, Site, build
from pipeline.newsroom.web import ADDRESS, Server

# Below the ephemeral ports of Linux (from 32768) and macOS (from 49152): no outgoing connection can
# take the newsroom's port between two of its starts.
PORTS = range(20_000, 30_000)


@dataclass(frozen=True, slots=True)
class State:
    """What a newsroom keeps between two starts."""

    epoch: datetime  # of its first start
    port: int
    salt: str  # makes the ETags of two newsrooms differ, even on one port
    edition: int = 1
    turned: datetime | None = None  # when the edition was last changed

    @property
    def printing(self) -> Printing:
        return Printing(self.epoch, self.port, self.edition, self.turned)


class Newsroom:
    """The sample newsroom, kept in `home`. A context manager that serves while it is open.

    Its first start writes `home/newsroom.json`; later ones take instant, port and edition from there, so
    that addresses, dates and texts stay. `port` is for moving it; 0 keeps the port, or chooses one.
    `patience` is for how many seconds to wait until another process serves it no more.
    Another process may turn the edition while it serves: the file is read for every request.
    """

    def __init__(self, home: Path, *, port: int = 0, patience: float = 0.0) -> None:
        self.home = home
        self.publishers = load()
        self._asked_port = port
        self._patience = patience
        self._front = (HERE / "templates" / "front.html").read_text("utf-8")
        self._built: tuple[Printing, Site] | None = None
        self._server: Server | None = None
        self._thread: threading.Thread | None = None
        self._lock: int | None = None

    def start(self) -> Self:
        """Serve, in a thread. Raises Busy if the home is being served already or its port is taken."""
        self.home.mkdir(parents=True, exist_ok=True)
        self._lock = self._take_lock()
        try:
            self._server = self._bind()
        except BaseException:
            self._drop_lock()
            raise
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.1,), daemon=True)
        self._thread.start()
        return self

    def stop(self) -> None:
        """Close the port and every open connection. Harmless if it does not serve."""
        if self._server and self._thread:
            self._server.shutdown()
            self._thread.join()
            self._server.disconnect()
            self._server.server_close()
        self._server = self._thread = None
        self._drop_lock()

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()

    @property
    def epoch(self) -> datetime:
        return self._state().epoch

    @property
    def port(self) -> int:
        return self._state().port

    @property
    def edition(self) -> int:
        return self._state().edition

    @edition.setter
    def edition(self, number: int) -> None:
        self.publish_edition(number)

    def publish_edition(self, number: int) -> None:
        """Serve edition `number` from now on, also after a restart. 2 revises one article."""
        if number < 1:
            raise ConfigError(f"there is no edition {number}: the first is 1")
        state = self._state()
        if number != state.edition:
            turned = datetime.now(UTC) if number > 1 else None
            self._write(replace(state, edition=number, turned=turned))

    @property
    def hosts(self) -> tuple[str, ...]:
        """The publishers as name:port, for VEILLE_ALLOW_HOSTS."""
        return tuple(f"{publisher.host}:{self.port}" for publisher in self.publishers)

    def sources(self) -> dict[str, Any]:
        """The content of sources.yaml for these publishers."""
        home = self._state().printing.home
        return {
            "publishers": [
                {
                    "id": publisher.id,
                    "name": publisher.name,
                    "family": publisher.family,
                    "country": publisher.country,
                    "domains": [publisher.host],
                    **({"article_id": publisher.article_id} if publisher.article_id else {}),
                    "languages": ["fr"],
                    "feeds": [
                        {"url": home(publisher) + feed.path, "section": feed.section}
                        for feed in publisher.feeds
                    ],
                }
                for publisher in self.publishers
            ]
        }

    def write_config(self, folder: Path) -> Path:
        """Write sources.yaml into `folder`, for VEILLE_CONFIG. Topics are not the newsroom's."""
        from yaml import safe_dump

        folder.mkdir(parents=True, exist_ok=True)
        text = safe_dump(self.sources(), allow_unicode=True, sort_keys=False, width=100)
        _replace(folder / "sources.yaml", text)
        return folder / "sources.yaml"

    def answer(self, host: str, path: str) -> tuple[Resource, str] | None:
        """What is served there in the present edition, with its entity tag: weak, it also stands for gzip."""
        state = self._state()
        built = self._built
        if built is None or built[0] != state.printing:
            site = build(self.publishers, self._front, state.printing)
            self._built = built = state.printing, site
        resource = built[1].get((host, path))
        if resource is None:
            return None
        digest = hashlib.sha256(state.salt.encode() + resource.body).hexdigest()
        return resource, f'W/"{digest[:24]}"'

    @property
    def _file(self) -> Path:
        return self.home / "newsroom.json"

    def _state(self) -> State:
        try:
            kept = json.loads(self._file.read_text("utf-8"))
            turned = datetime.fromisoformat(kept["turned"]) if kept["turned"] else None
            epoch = datetime.fromisoformat(kept["epoch"])
            return State(epoch, int(kept["port"]), str(kept["salt"]), int(kept["edition"]), turned)
        except FileNotFoundError as error:
            raise NotFound(
                f"the newsroom in {self.home} has never been started",
                hint=f"python -m pipeline.newsroom --home {self.home}",
            ) from error
        except (ValueError, KeyError, TypeError) as error:
            raise ConfigError(
                f"{self._file} is damaged: {error!r}",
                hint=f"rm {self._file} (the newsroom then starts afresh)",
            ) from error

    def _write(self, state: State) -> None:
        values = {
            "epoch": state.epoch.isoformat(),
            "port": state.port,
            "salt": state.salt,
            "edition": state.edition,
            "turned": state.turned.isoformat() if state.turned else None,
        }
        _replace(self._file, json.dumps(values, indent=2) + "\n")

    def _bind(self) -> Server:
        kept = self._state() if self._file.exists() else None
        server = self._listen(self._asked_port or (kept.port if kept else 0))
        port = server.server_address[1]
        if kept is None:
            self._write(State(datetime.now(UTC), port, secrets.token_hex(8)))
        elif kept.port != port:
            self._write(replace(kept, port=port))
        return server

    def _listen(self, port: int) -> Server:
        for candidate in [port] if port else _some_ports():
            try:
                return Server(candidate, self.answer)
            except OSError as error:
                if not port and error.errno == errno.EADDRINUSE:
                    continue
                raise Busy(
                    f"the newsroom cannot listen on {ADDRESS}:{candidate}: {error.strerror}",
                    hint=f"stop the program that has the port, or move the newsroom (its addresses change): "
                    f"python -m pipeline.newsroom --home {self.home} --port N",
                ) from error
        raise Busy(
            f"no free port among 100 of {PORTS.start} to {PORTS.stop - 1}", hint="give one with --port"
        )

    def _take_lock(self) -> int:
        descriptor = os.open(self.home / "newsroom.lock", os.O_RDWR | os.O_CREAT, 0o600)
        deadline = time.monotonic() + self._patience
        while True:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError as error:
                if time.monotonic() < deadline:
                    time.sleep(0.05)
                    continue
                os.close(descriptor)
                raise Busy(
                    f"the newsroom in {self.home} is being served by another process",
                    hint="stop that one, or choose another --home",
                ) from error
            return descriptor

    def _drop_lock(self) -> None:
        if self._lock is not None:
            os.close(self._lock)
        self._lock = None


def _some_ports() -> Iterator[int]:
    return (secrets.choice(PORTS) for _ in range(100))


def _replace(file: Path, text: str) -> None:
    """Whole or not at all: a reader never sees half a file."""
    draft = file.with_name(f".{file.name}.{os.getpid()}.{threading.get_ident()}")
    draft.write_text(text, "utf-8")
    draft.replace(file)
