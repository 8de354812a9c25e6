"""HTTP content codings undone in bounded steps: never more than the cap is held. *Pure.*

Knows gzip and deflate, one at a time; reads no header but Content-Encoding and no byte by itself.
"""

import zlib
from collections.abc import Iterable

from pipeline.errors import TooLarge, Unparsable

_STEP = 64 * 1024  # a 10 GB bomb is refused at the cap and not one step later
_MEMBERS = 1_000  # of one gzip file; a 15 MB feed written by bgzip has 240, a flood of empty ones 750 000
_GZIP = 31  # zlib's wbits for gzip, zlib and bare deflate
_ZLIB = 15
_BARE = -15
_NONE = frozenset({"", "identity", "none", "utf-8"})  # the last two are no codings, but are sent
_GZIP_MAGIC = 0x1F


def coding(values: Iterable[str]) -> str:
    """The one content coding that the Content-Encoding `values` name; empty for none.

    Raises Unparsable for several (nobody needs them but bombs) and for unknown ones (only gzip is asked for).
    """
    names = [name.strip().lower() for value in values for name in value.split(",")]
    found = [name.removeprefix("x-") for name in names if name not in _NONE]
    if len(found) > 1:
        raise Unparsable(f"the body is coded {len(found)} times over ({', '.join(found)[:60]})")
    if found and found[0] not in {"gzip", "deflate"}:
        raise Unparsable(f"the body is coded as {found[0][:40]!r}, which was not asked for")
    return found[0] if found else ""


class Decoder:
    """Takes the body of a response chunk by chunk and holds what it says, up to `cap` bytes."""

    def __init__(self, coding: str, cap: int) -> None:
        self._coding = coding
        self._cap = cap
        self._held = bytearray()
        self._size = 0
        self._members = 0
        self._inflater: zlib._Decompress | None = None
        self._padding = False

    def feed(self, chunk: bytes) -> None:
        """Decode one more chunk. Raises TooLarge beyond the cap, Unparsable for what does not decode."""
        if not self._coding:
            self._add(chunk)
            return
        try:
            while chunk and not self._padding:
                chunk = self._inflate(chunk)
        except zlib.error as error:
            raise Unparsable(f"the body says it is {self._coding} and is not: {error}") from error

    def body(self) -> bytes:
        """What has been decoded so far, never more than the cap."""
        return bytes(self._held)

    def clear(self) -> None:
        """Hold nothing any more."""
        self._held.clear()

    def complete(self) -> bool:
        """Whether the coded stream came to its end; an empty body did."""
        return self._inflater is None or self._inflater.eof

    def one_member(self) -> bool:
        """Whether what was fed is one whole gzip member, and nothing more: any reader undoes that."""
        once = self._coding == "gzip" and self._members == 1 and self.complete()
        return once and not self._padding and self._size <= self._cap

    def _inflate(self, chunk: bytes) -> bytes:
        """Decode `chunk` up to the end of the gzip member in it, and give back what comes after."""
        inflater = self._inflater
        if inflater is None or inflater.eof:
            if inflater and (self._coding != "gzip" or chunk[0] != _GZIP_MAGIC):
                self._padding = True  # every browser ignores what follows the last member
                return b""
            inflater = self._inflater = self._start(chunk[0])
        while True:
            data = inflater.decompress(chunk, _STEP)
            self._add(data)
            if inflater.eof:
                return inflater.unused_data
            if len(data) < _STEP:
                return b""
            chunk = inflater.unconsumed_tail

    def _start(self, first: int) -> "zlib._Decompress":
        self._members += 1
        if self._members > _MEMBERS:
            raise TooLarge(f"the body has more than {_MEMBERS:,} gzip members")
        # "deflate" means zlib's format, but some servers send the bare stream (RFC 9110, 8.4.1.2)
        wbits = _GZIP if self._coding == "gzip" else _ZLIB if first & 15 == zlib.DEFLATED else _BARE
        return zlib.decompressobj(wbits)

    def _add(self, data: bytes) -> None:
        if data:
            self._held += data[: self._cap - self._size]
            self._size += len(data)
        if self._size > self._cap:
            raise TooLarge(f"the body is larger than {self._cap:,} bytes")
