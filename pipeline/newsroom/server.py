"""The newsroom as a whole: its state between two starts, its server, its entry in Veille's sources.

Does not fetch anything and listens on loopback only (`web`). What it serves is `site`'s business.
"""

import errno
import fcntl
import hashlib
import os
import secrets
import threading
import time
from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any, Self

from pipeline.errors import Busy, ConfigError
from pipeline.newsroom import access, states
from pipeline.newsroom.clock import Clock
from pipeline.newsroom.content import Publisher
from pipeline.newsroom.loading import HERE, load
from pipeline.newsroom.printing import EDITIONS, Printing, moments
from pipeline.newsroom.site import Resource, Site, build
from pipeline.newsroom.states import State
from pipeline.newsroom.web import ADDRESS, Server

# Below the ephemeral ports of Linux (from 32768) and macOS (from 49152): no outgoing connection can
# take the newsroom's port between two of its starts.
PORTS = range(20_000, 30_000)
# What the system says of a home that is no folder, or none of ours.
NO_HOME = (errno.EEXIST, errno.ENOTDIR, errno.EACCES, errno.EPERM, errno.EROFS, errno.ENAMETOOLONG)
FASTEST = 1e6  # seconds a second: eleven days; much faster, it would soon have no year to be in


class Newsroom:
    """The sample newsroom, kept in `home`. A context manager that serves while it is open.

    Its first start writes `home/newsroom.json`; later ones take instant, port and clock from there, so that
    addresses, dates and texts stay. Each request leaves a line in `home/access.log` (`access`).

    `now` and `tick` set its clock when it starts: by default the first start is in the present, and later
    ones find the clock where it has come to meanwhile. The articles are dated over the five days before the
    first start, and a day after it. `publishers` are all by default. `port` is for moving it; 0 keeps the
    port, or chooses one. `patience` is for how many seconds to wait until another process serves it no more.
    Another process may set the clock while it serves: the file is read for every request.
    """

    def __init__(
        self,
        home: Path,
        *,
        publishers: tuple[Publisher, ...] | None = None,
        port: int = 0,
        now: datetime | None = None,
        tick: float | None = None,
        patience: float = 0.0,
    ) -> None:
        self.home = home
        self.publishers = load() if publishers is None else publishers
        self._asked = now, _checked(tick)
        self._asked_port = port
        self._patience = patience
        self._front = (HERE / "templates" / "front.html").read_text("utf-8")
        self._moments: tuple[datetime, list[datetime]] | None = None  # of an epoch
        self._built: tuple[tuple[datetime, int, int], Site] | None = None
        self._server: Server | None = None
        self._thread: threading.Thread | None = None
        self._lock: int | None = None

    def start(self) -> Self:
        """Serve, in a thread. Raises Busy if the home is being served already or its port is taken,
        ConfigError if it is no folder that can be written.
        """
        try:
            self.home.mkdir(parents=True, exist_ok=True)
            self._lock = self._take_lock()
        except OSError as error:
            if error.errno not in NO_HOME:
                raise
            raise ConfigError(
                f"the newsroom cannot be kept in {self.home}: {error.strerror}",
                hint="veille newsroom --home FOLDER, one of yours",
            ) from error
        try:
            access.turn(self.access_log)
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
    def now(self) -> datetime:
        """The moment that it believes it is."""
        return self._state().clock.at(datetime.now(UTC))

    @property
    def offset(self) -> float:
        """How many seconds its clock is ahead: what VEILLE_CLOCK_OFFSET has to be, for now."""
        return self._state().clock.offset(datetime.now(UTC))

    def set_clock(self, to: datetime | None = None, *, tick: float | None = None) -> None:
        """Believe from now on that it is `to` (with zone), and count `tick` seconds for each real one.

        What is left out stays as it is. Holds after a restart too. Raises ConfigError for a tick below 0.
        """
        state = self._state()
        clock = state.clock.moved(datetime.now(UTC), to=to, tick=_checked(tick))
        self._write(replace(state, clock=clock))

    @property
    def tick(self) -> float:
        """How many seconds pass in it for each real one."""
        return self._state().clock.tick

    @property
    def printing(self) -> Printing:
        """What is out now."""
        state = self._state()
        return state.printing(state.clock.at(datetime.now(UTC)))

    @property
    def edition(self) -> int:
        """How many of the moments that demonstrations look in at have come, see `printing.EDITIONS`."""
        return sum(self._moment(hours) <= self.now for hours in EDITIONS)

    def publish_edition(self, number: int) -> None:
        """Set the clock to the moment of that edition, forth or back."""
        if not 1 <= number <= len(EDITIONS):
            raise ConfigError(f"there is no edition {number}: they are 1 to {len(EDITIONS)}")
        self.set_clock(self._moment(EDITIONS[number - 1]))

    @property
    def span(self) -> tuple[datetime, datetime]:
        """When it has its first news, and its last."""
        found = moments(self.publishers, self.printing)
        return found[0], found[-1]

    @property
    def access_log(self) -> Path:
        return self.home / "access.log"

    @property
    def hosts(self) -> tuple[str, ...]:
        """The publishers as name:port, for VEILLE_ALLOW_HOSTS."""
        return tuple(f"{publisher.host}:{self.port}" for publisher in self.publishers)

    def sources(self) -> dict[str, Any]:
        """The content of sources.yaml for these publishers."""
        home = self.printing.home
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

        text = safe_dump(self.sources(), allow_unicode=True, sort_keys=False, width=100)
        folder.mkdir(parents=True, exist_ok=True)
        states.replace_file(folder / "sources.yaml", text)
        return folder / "sources.yaml"

    def answer(self, host: str, path: str) -> tuple[Resource, str] | None:
        """What is served there at this moment, with its entity tag: weak, it also stands for gzip."""
        state = self._state()
        resource = self._site(state).get((host, path))
        if resource is None:
            return None
        digest = hashlib.sha256(state.salt.encode() + resource.body).hexdigest()
        return resource, f'W/"{digest[:24]}"'

    def _site(self, state: State) -> Site:
        """Built anew only when something has changed meanwhile."""
        now = state.clock.at(datetime.now(UTC))
        printing, known = state.printing(now), self._moments
        if known is None or known[0] != state.epoch:
            self._moments = known = state.epoch, moments(self.publishers, printing)
        wanted = state.epoch, state.port, bisect_right(known[1], now)
        built = self._built
        if built is None or built[0] != wanted:
            self._built = built = wanted, build(self.publishers, self._front, printing)
        return built[1]

    def _moment(self, hours: float) -> datetime:
        return self.epoch + timedelta(hours=hours)

    @property
    def _file(self) -> Path:
        return self.home / "newsroom.json"

    def _state(self) -> State:
        return states.read(self._file)

    def _write(self, state: State) -> None:
        states.write(self._file, state)

    def _bind(self) -> Server:
        kept = self._state() if self._file.exists() else None
        server = self._listen(self._asked_port or (kept.port if kept else 0))
        port, real = server.server_address[1], datetime.now(UTC)
        now, tick = self._asked
        if kept:
            asked = now is not None or tick is not None
            clock = kept.clock.moved(real, to=now, tick=tick) if asked else kept.clock
            state = replace(kept, port=port, clock=clock)
        else:
            clock = Clock(real, now or real, 1.0 if tick is None else tick)
            state = State(clock.shown, port, secrets.token_hex(8), clock)
        if state != kept:
            self._write(state)
        return server

    def _listen(self, port: int) -> Server:
        for candidate in [port] if port else _some_ports():
            try:
                return Server(candidate, self.answer, partial(access.note, self.access_log))
            except OSError as error:
                if not port and error.errno == errno.EADDRINUSE:
                    continue
                raise Busy(
                    f"the newsroom cannot listen on {ADDRESS}:{candidate}: {error.strerror}",
                    hint=f"stop the program that has the port, or move the newsroom (its addresses change): "
                    f"veille newsroom --home {self.home} --port N",
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


def _checked(tick: float | None) -> float | None:
    if tick is not None and not 0 <= tick <= FASTEST:
        raise ConfigError(
            f"the clock cannot go {tick:g} seconds a second; 0 to {FASTEST:g} are expected",
            hint="--tick 1 goes as yours, --tick 0 stands still",
        )
    return tick


def _some_ports() -> Iterator[int]:
    return (secrets.choice(PORTS) for _ in range(100))
