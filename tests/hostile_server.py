"""A loopback server that answers whatever a test tells it to, byte by byte.

Each connection gets a thread; `behaviour(conversation)` decides what is sent. Nothing is parsed that a test
does not look at, so that every rule of HTTP can be broken.
"""

import contextlib
import functools
import socket
import threading
import zlib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Self

CRLF = "\r\n"


@dataclass
class Conversation:
    """One connection: the head of its request, and the means to answer."""

    connection: socket.socket
    stop: threading.Event
    head: str = ""
    sent: int = 0

    @property
    def path(self) -> str:
        return self.head.split(" ")[1]

    def headers(self) -> dict[str, str]:
        lines = self.head.split(CRLF)[1:]
        return {name.lower(): value for name, _, value in (line.partition(": ") for line in lines)}

    def send(self, data: bytes | str) -> None:
        data = data.encode("latin-1") if isinstance(data, str) else data
        self.connection.sendall(data)
        self.sent += len(data)

    def answer(self, status: str = "200 OK", body: bytes = b"", *headers: str) -> None:
        """A well-formed answer."""
        length = f"Content-Length: {len(body)}"
        self.send(CRLF.join([f"HTTP/1.1 {status}", *headers, length, "", ""]))
        self.send(body)

    def head_only(self, *headers: str, status: str = "200 OK") -> None:
        self.send(CRLF.join([f"HTTP/1.1 {status}", *headers, "", ""]))

    def drip(self, data: Iterable[bytes], every: float) -> None:
        """One piece at a time, until the other side or the test has had enough."""
        for piece in data:
            self.send(piece)
            if self.stop.wait(every):
                return

    def flood(self, pieces: Iterable[bytes]) -> None:
        for piece in pieces:
            if self.stop.is_set():
                return
            self.send(piece)

    def reset(self) -> None:
        """Hang up with a RST instead of a FIN."""
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")


Behaviour = Callable[[Conversation], None]


@dataclass
class Server:
    """Listens on a free loopback port until the end of its `with` block."""

    behaviour: Behaviour = lambda conversation: conversation.answer()
    host: str = "127.0.0.1"
    wrap: Callable[[socket.socket], socket.socket] = lambda connection: connection  # TLS
    conversations: list[Conversation] = field(default_factory=list)
    connections: int = 0
    port: int = 0

    def __enter__(self) -> Self:
        family = socket.AF_INET6 if ":" in self.host else socket.AF_INET
        self._listener = socket.create_server((self.host, 0), family=family, backlog=256)
        self.port = self._listener.getsockname()[1]
        self._stop = threading.Event()
        self._threads = [threading.Thread(target=self._listen)]
        self._threads[0].start()
        return self

    def __exit__(self, *exc: object) -> None:
        self._stop.set()
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)  # wakes accept()
        self._threads[0].join()
        self._listener.close()
        for conversation in list(self.conversations):
            with contextlib.suppress(OSError):
                conversation.connection.shutdown(socket.SHUT_RDWR)
        for thread in self._threads[1:]:
            thread.join()

    def at(self, name: str = "press.localhost") -> frozenset[tuple[str, int]]:
        """This server, as a list of allowed hosts."""
        return frozenset({(name, self.port)})

    def url(self, path: str = "/", name: str = "press.localhost") -> str:
        return f"http://{name}:{self.port}{path}"

    @property
    def heads(self) -> list[str]:
        return [conversation.head for conversation in self.conversations if conversation.head]

    def _listen(self) -> None:
        while not self._stop.is_set():
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            self.connections += 1
            thread = threading.Thread(target=self._converse, args=[connection])
            self._threads.append(thread)
            thread.start()

    def _converse(self, connection: socket.socket) -> None:
        with contextlib.suppress(OSError), self.wrap(connection) as wrapped:
            conversation = Conversation(wrapped, self._stop)
            self.conversations.append(conversation)
            wrapped.settimeout(30)
            received = b""
            while b"\r\n\r\n" not in received:
                piece = wrapped.recv(65536)
                if not piece:
                    return
                received += piece
            conversation.head = received.partition(b"\r\n\r\n")[0].decode("latin-1")
            self.behaviour(conversation)
        connection.close()


def routes(table: dict[str, Behaviour]) -> Behaviour:
    """One behaviour per path."""
    return lambda conversation: table[conversation.path](conversation)


def bomb(size: int, coding: str = "gzip") -> Iterator[bytes]:
    """A gzip or deflate stream of `size` zero bytes (a multiple of 10 MB), without ever holding them."""
    first, again = _blocks(coding)
    yield first
    for _ in range(size // _BLOCK - 1):
        yield again


_BLOCK = 10_000_000


@functools.cache
def _blocks(coding: str) -> tuple[bytes, bytes]:
    """The first block, with the stream's header, and any other: after a full flush all compress alike."""
    packer = zlib.compressobj(9, zlib.DEFLATED, 31 if coding == "gzip" else 15)
    first, again = (packer.compress(bytes(_BLOCK)) + packer.flush(zlib.Z_FULL_FLUSH) for _ in range(2))
    return first, again
