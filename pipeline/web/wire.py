"""The connection under one HTTP exchange: every peer vetted, every byte counted, every wait bounded.

Speaks no HTTP: `fetch` says what is sent, and what the received bytes mean.
"""

import errno
import os
import socket
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, wait
from contextlib import suppress
from ipaddress import ip_address
from selectors import EVENT_WRITE, BaseSelector, PollSelector
from threading import Lock, Thread
from time import monotonic
from typing import TYPE_CHECKING, Any, Self

from pipeline.errors import TooLarge, Unreachable
from pipeline.web.addresses import Address, Target

if TYPE_CHECKING:  # importing ssl costs 15 ms: most commands never fetch
    from ssl import SSLContext

Lookup = Callable[[str, int], Sequence[Address]]

RECEIVE = 32 * 1024  # bytes taken from a socket at once, so that no more than this comes beyond a cap

_STAGGER = 0.25  # seconds until the next address is dialled as well: RFC 8305, 8, "Connection Attempt Delay"
_UNDER_WAY = frozenset({0, errno.EINPROGRESS})
_DIALLED = 8  # addresses of a name at most: one answer can hold 4 000, each a socket


def getaddrinfo(host: str, port: int) -> list[Address]:
    """All addresses that the system's resolver knows for `host`. Raises Unreachable if there are none."""
    try:
        answers = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (socket.gaierror, UnicodeError) as error:
        raise Unreachable(f"no address is known for {host}: {error}") from error
    return [ip_address(address[0]) for *_, address in answers]


class Wire:
    """One connection, made by `connect`. A context manager; belongs to one thread, but for `cut`.

    All waits together last `seconds`, then TimeoutError is raised. Receiving beyond `budget` bytes, framing
    included, raises TooLarge: that ends floods of headers and of tiny chunks.
    """

    def __init__(self, place: Target, *, seconds: float, budget: int) -> None:
        self.budget = budget
        self.peer = ("", 0)
        self.broken = False  # the connection failed after it was made
        self._place = place
        self._deadline = monotonic() + seconds
        self._cut: Future[None] = Future()
        self._lock = Lock()  # between `cut` and whatever opens and closes sockets
        self._sockets: list[socket.socket] = []  # while dialling several, then the one that is connected

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self._keep(None)

    def connect(self, lookup: Lookup, tls: "SSLContext | None") -> None:
        """Find the target's addresses, once, vet them together, and connect to the first that answers.

        Raises BlockedAddress, Unreachable, OSError.
        """
        addresses = list(dict.fromkeys(self._addresses(lookup)))
        self._place.vet(addresses)
        if not addresses:
            raise Unreachable(f"no address is known for {self._place.host}")
        connected = self._dial(addresses[:_DIALLED])
        self.peer = connected.getpeername()[:2]
        self._place.vet([ip_address(self.peer[0])])  # nobody may stand between what was vetted and the peer
        if tls:
            self._secure(connected, tls)

    def send(self, data: bytes) -> None:
        """Send all of `data`. Raises OSError."""
        self._ready().sendall(data)

    def receive(self) -> bytes:
        """Some bytes; none at the end of the stream. Raises OSError, TooLarge."""
        connected = self._ready()
        try:
            data = connected.recv(RECEIVE)
        except OSError:
            self.broken = True
            raise
        self.budget -= len(data)
        if self.budget < 0:
            raise TooLarge("it sends more than its page can need")
        return data

    def cut(self) -> None:
        """End it from another thread: its own comes back from whatever it waits for."""
        with self._lock:
            if not self._cut.done():
                self._cut.set_result(None)
            for opened in self._sockets:
                with suppress(OSError):  # one that refused is no longer connected
                    # Not TLS's own shutdown, which takes from the other thread what it reads with.
                    socket.socket.shutdown(opened, socket.SHUT_RDWR)

    @property
    def was_cut(self) -> bool:
        return self._cut.done()

    def _addresses(self, lookup: Lookup) -> Sequence[Address]:
        """Look the name up in a thread that nobody waits for longer than there is time, not even at exit."""
        place = self._place
        if place.address:
            return [place.address]
        found: Future[Sequence[Address]] = Future()
        Thread(target=_tell, args=(found, lookup, place), name="resolve", daemon=True).start()
        either: list[Future[Any]] = [found, self._cut]
        wait(either, timeout=self._left(), return_when=FIRST_COMPLETED)
        return found.result(timeout=0)

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
                        self._keep(opened)
                        return opened
                    dialled.unregister(opened)
        raise ConnectionError(os.strerror(number))  # not by its number: the kernel's time-out is not ours

    def _begin(self, address: Address, dialled: BaseSelector) -> int:
        """Dial an address without waiting for it; the error's number if that fails at once."""
        family = socket.AF_INET6 if address.version == 6 else socket.AF_INET  # noqa: PLR2004  # IP's own numbers
        try:
            opened = socket.socket(family, socket.SOCK_STREAM)
        except OSError as error:  # a kernel without IPv6
            return error.errno or errno.EAFNOSUPPORT
        opened.settimeout(0)
        with self._lock:
            self._sockets.append(opened)
        self._left()  # whoever cut it before could not see this socket
        number = opened.connect_ex((str(address), self._place.port))
        if number in _UNDER_WAY:
            dialled.register(opened, EVENT_WRITE, opened)
            return 0
        return number

    def _secure(self, connected: socket.socket, tls: "SSLContext") -> None:
        secured = tls.wrap_socket(
            connected,
            server_hostname=self._place.host,
            do_handshake_on_connect=False,  # but where `cut` reaches it
            suppress_ragged_eofs=False,  # a reset would look like an end
        )
        self._keep(secured)
        self._ready()
        secured.do_handshake()

    def _keep(self, connected: socket.socket | None) -> None:
        """Go on with this one alone, or with none."""
        with self._lock:
            for opened in self._sockets:
                if opened is not connected:
                    opened.close()
            self._sockets = [connected] if connected else []

    def _ready(self) -> socket.socket:
        """The connection, told how long it may wait."""
        (connected,) = self._sockets
        connected.settimeout(self._left())
        return connected

    def _left(self) -> float:
        """Seconds left for all waits to come. Raises TimeoutError; at once when it was cut."""
        left = self._deadline - monotonic()
        if left <= 0 or self.was_cut:
            raise TimeoutError
        return left


def _tell(found: "Future[Sequence[Address]]", lookup: Lookup, place: Target) -> None:
    try:
        found.set_result(lookup(place.host, place.port))
    except BaseException as error:  # noqa: BLE001  raised where it is waited for
        found.set_exception(error)
