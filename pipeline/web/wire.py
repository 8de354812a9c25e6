"""The connection under one HTTP exchange: every peer vetted, every byte counted, every wait bounded.

Speaks no HTTP. `fetch` sends a request over it and has `http.client` read the answer from it.
"""

import errno
import io
import os
import socket
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import FIRST_COMPLETED, Executor, Future, wait
from contextlib import suppress
from ipaddress import ip_address
from selectors import EVENT_WRITE, BaseSelector, PollSelector
from threading import Lock
from time import monotonic
from typing import TYPE_CHECKING, Any

from pipeline.errors import TooLarge, Unreachable
from pipeline.web.addresses import Address, Target

if TYPE_CHECKING:  # importing ssl costs 15 ms: most commands never fetch
    from ssl import SSLContext

    from _typeshed import WriteableBuffer

Lookup = Callable[[str, int], Sequence[Address]]

RECEIVE = 32 * 1024  # bytes taken from a socket at once, so that no more than this comes beyond a cap

_STAGGER = 0.25  # seconds until the next address is dialled as well: RFC 8305, 8, "Connection Attempt Delay"
_UNDER_WAY = frozenset({0, errno.EINPROGRESS})


def getaddrinfo(host: str, port: int) -> list[Address]:
    """All addresses that the system's resolver knows for `host`. Raises Unreachable if there are none."""
    try:
        answers = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (socket.gaierror, UnicodeError) as error:
        raise Unreachable(f"no address is known for {host}: {error}") from error
    return [ip_address(address[0]) for *_, address in answers]


class Wire(io.RawIOBase):
    """One connection, made by `connect`. A context manager; belongs to one thread, but for `cut`.

    All waits together last `seconds`, then TimeoutError is raised. Reading beyond `budget` bytes, framing
    included, raises TooLarge: that ends floods of headers and of tiny chunks.
    """

    def __init__(self, place: Target, *, seconds: float, budget: int) -> None:
        super().__init__()
        self.budget = budget
        self.peer = ("", 0)
        self.ended = False  # the other side has sent its last byte
        self.broken = False  # the connection failed after it was made
        self._place = place
        self._deadline = monotonic() + seconds
        self._cut: Future[None] = Future()
        self._lock = Lock()  # between `cut` and what opens and closes sockets
        self._sockets: list[socket.socket] = []

    def connect(self, lookup: Lookup, resolvers: Executor, tls: "SSLContext | None") -> None:
        """Find the target's addresses, once, vet them together, and connect to the first that answers.

        Raises BlockedAddress, Unreachable, OSError.
        """
        addresses = self._addresses(lookup, resolvers)
        self._place.vet(addresses)
        if not addresses:
            raise Unreachable(f"no address is known for {self._place.host}")
        connected = self._dial(dict.fromkeys(addresses))
        self.peer = connected.getpeername()[:2]
        self._place.vet([ip_address(self.peer[0])])  # nobody may stand between what was vetted and the peer
        if tls:
            self._secure(connected, tls)

    def send(self, data: bytes) -> None:
        """Send all of `data`. Raises OSError."""
        self._connected().sendall(data)

    def makefile(self, _mode: str) -> io.BufferedReader:
        """What `http.client` reads from."""
        return io.BufferedReader(self, RECEIVE)

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: "WriteableBuffer") -> int:
        """Receive some bytes; none at the end of the stream. Raises OSError, TooLarge."""
        connected = self._connected()
        try:
            count = connected.recv_into(buffer, min(memoryview(buffer).nbytes, RECEIVE))
        except OSError:
            self.broken = True
            raise
        self.ended = not count
        self.budget -= count
        if self.budget < 0:
            raise TooLarge("it sends more than its page can need")
        return count

    def close(self) -> None:
        """Hang up. Closing twice is harmless."""
        super().close()
        with self._lock:
            for opened in self._sockets:
                opened.close()
            self._sockets.clear()

    def cut(self) -> None:
        """End it from another thread: its own comes back from whatever it waits for."""
        with self._lock, suppress(OSError):
            if not self._cut.done():
                self._cut.set_result(None)
            for opened in self._sockets:
                socket.socket.shutdown(opened, socket.SHUT_RDWR)  # under TLS too, whose own is not for others

    @property
    def was_cut(self) -> bool:
        return self._cut.done()

    def _addresses(self, lookup: Lookup, resolvers: Executor) -> Sequence[Address]:
        place = self._place
        if place.address:
            return [place.address]
        asked = resolvers.submit(lookup, place.host, place.port)
        either: list[Future[Any]] = [asked, self._cut]
        wait(either, timeout=self._left(), return_when=FIRST_COMPLETED)
        return asked.result(timeout=0)

    def _dial(self, addresses: Iterable[Address]) -> socket.socket:
        """Connect to the first that answers: the next is dialled when one fails, or lets wait (RFC 8305)."""
        waiting, number = deque(addresses), 0
        with PollSelector() as dialled:
            while waiting or dialled.get_map():
                left = self._left()
                if waiting and (refused := self._begin(waiting.popleft(), dialled)):
                    number = refused
                    continue
                for key, _ in dialled.select(min(left, _STAGGER) if waiting else left):
                    opened: socket.socket = key.data
                    number = opened.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
                    if not number:
                        return self._keep(opened)
                    dialled.unregister(opened)
        raise OSError(number, os.strerror(number))

    def _begin(self, address: Address, dialled: BaseSelector) -> int:
        """Dial an address without waiting for it; the error number if that fails at once."""
        family = socket.AF_INET6 if address.version == 6 else socket.AF_INET  # noqa: PLR2004  # IP's own numbers
        opened = socket.socket(family, socket.SOCK_STREAM)
        opened.settimeout(0)
        with self._lock:
            self._sockets.append(opened)
        number = opened.connect_ex((str(address), self._place.port))
        if number in _UNDER_WAY:
            dialled.register(opened, EVENT_WRITE, opened)
            return 0
        return number

    def _secure(self, connected: socket.socket, tls: "SSLContext") -> None:
        name = self._place.host
        secured = tls.wrap_socket(connected, server_hostname=name, do_handshake_on_connect=False)
        self._keep(secured)
        self._connected()
        secured.do_handshake()

    def _keep(self, connected: socket.socket) -> socket.socket:
        """Go on with this one alone."""
        with self._lock:
            for opened in self._sockets:
                if opened is not connected:
                    opened.close()
            self._sockets = [connected]
        return connected

    def _connected(self) -> socket.socket:
        """The connection, to be waited for as long as there is time."""
        (connected,) = self._sockets
        connected.settimeout(self._left())
        return connected

    def _left(self) -> float:
        """Seconds left for all waits to come. Raises TimeoutError; at once when it was cut."""
        left = self._deadline - monotonic()
        if left <= 0 or self.was_cut:
            raise TimeoutError
        return left
