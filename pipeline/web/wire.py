"""The sockets and addresses under one HTTP exchange: every peer vetted, every byte counted.

Speaks no HTTP. `fetch` hands these to aiohttp, which connects through them.
"""

import errno
import socket
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from ipaddress import ip_address
from typing import TYPE_CHECKING, Any

from pipeline.errors import BlockedAddress, TooLarge, Unreachable, VeilleError
from pipeline.web.addresses import Address, Target, shown

if TYPE_CHECKING:  # importing aiohttp costs 0.6 s
    from _typeshed import WriteableBuffer
    from aiohttp.abc import ResolveResult

Lookup = Callable[[str, int], Awaitable[Sequence[Address]]]

RECEIVE = 32 * 1024  # bytes taken from a socket at once; with as much waiting unread: cap + 64 KiB in all


async def getaddrinfo(host: str, port: int) -> list[Address]:
    """All addresses that the system's resolver knows for `host`. Raises Unreachable if there are none."""
    import asyncio

    try:
        answers = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (socket.gaierror, UnicodeError) as error:
        raise Unreachable(f"no address is known for {host}: {error}") from error
    return [ip_address(address[0]) for *_, address in answers]


@dataclass(frozen=True, slots=True)
class Resolver:
    """Answers aiohttp's question for the addresses of one target."""

    place: Target
    lookup: Lookup

    async def resolve(self, _host: str, port: int = 0, _family: int = 0, **_: int) -> "list[ResolveResult]":
        """Look the target's host up, once, and vet its addresses together: one private address among them
        and the host is refused. Raises BlockedAddress, Unreachable.
        """
        known = self.place.address
        addresses = [known] if known else await self.lookup(self.place.host, port)
        self.place.vet(addresses)
        if not addresses:
            raise Unreachable(f"no address is known for {self.place.host}")
        return [_answer(self.place.host, address, port) for address in dict.fromkeys(addresses)]

    async def close(self) -> None:
        """Holds nothing; aiohttp closes its resolvers."""


@dataclass(slots=True)
class Wire:
    """What holds for all sockets of one exchange, and what came of them.

    There may be several: aiohttp tries the addresses of a host side by side (RFC 8305) and keeps one.
    """

    place: Target
    budget: int  # bytes still to be received, framing included: ends floods of headers and of tiny chunks
    peer: tuple[str, int] = ("", 0)
    failure: VeilleError | None = None  # why we ended it ourselves
    broken: bool = False  # the other side ended it by a reset

    def socket(self, info: tuple[Any, ...]) -> socket.socket:
        """A new socket for one of the addresses."""
        family, kind, protocol, *_ = info
        return _Socket(self, family, kind, protocol)

    def vet(self, address: str) -> None:
        """Refuse a peer that slipped past the resolver. Raises OSError and keeps the reason."""
        try:
            self.place.vet([ip_address(address)])
        except BlockedAddress as error:
            self.failure = error
            raise PermissionError(errno.EACCES, str(error)) from error

    def spend(self, received: int) -> None:
        """Count received bytes. Raises OSError and keeps the reason when the budget is spent."""
        self.budget -= received
        if self.budget < 0:
            self.failure = TooLarge(f"{shown(self.place.url)} sends more than its page can need")
            raise OSError(errno.EFBIG, str(self.failure))


class _Socket(socket.socket):
    """A socket that asks its wire before it connects, and tells it what it received.

    Inherits because asyncio calls these very methods, and nothing else stands between it and the kernel.
    """

    def __init__(self, wire: Wire, family: int, kind: int, protocol: int) -> None:
        super().__init__(family, kind, protocol)
        self._wire = wire
        self._peer = ("", 0)

    def connect(self, address: Any) -> None:
        self._wire.vet(address[0])
        self._peer = address[:2]
        super().connect(address)

    def recv(self, size: int, flags: int = 0) -> bytes:
        try:
            data = super().recv(min(size, RECEIVE), flags)
        except (ConnectionError, TimeoutError):
            self._wire.broken = True
            raise
        self._note(len(data))
        return data

    def recv_into(self, buffer: "WriteableBuffer", size: int = 0, flags: int = 0) -> int:
        """What asyncio calls under TLS."""
        try:
            count = super().recv_into(buffer, min(size or memoryview(buffer).nbytes, RECEIVE), flags)
        except (ConnectionError, TimeoutError):
            self._wire.broken = True
            raise
        self._note(count)
        return count

    def _note(self, received: int) -> None:
        self._wire.peer = self._peer
        self._wire.spend(received)


def _answer(host: str, address: Address, port: int) -> "ResolveResult":
    family = socket.AF_INET6 if address.version == 6 else socket.AF_INET  # noqa: PLR2004  # IP's own numbers
    return {
        "hostname": host,
        "host": str(address),
        "port": port,
        "family": family,
        "proto": socket.IPPROTO_TCP,
        "flags": socket.AI_NUMERICHOST | socket.AI_NUMERICSERV,
    }
