"""Answers that no reader should wait for or swallow whole: a slow page, an endless one, a gzip bomb.

Does not decide which address is a hazard; the data files do (`hazard:`).
"""

import time
import zlib
from collections.abc import Callable, Iterator

from pipeline.newsroom.content import GONE

SLOW_SECONDS = 3.0  # well within what a reader allows a page, and long enough to be noticed
SLOW_PIECES = 30
BOMB_BYTES = 128 << 20  # unfolded, 0.6 MB on the wire; a reader's cap for a page is near 10 MB
BLOCK = 1 << 16
GZIP = 31  # zlib's name for deflate with the head and tail of gzip


def slow(body: bytes) -> Iterator[bytes]:
    """The whole body, in drops."""
    size = -(-len(body) // SLOW_PIECES)
    for start in range(0, len(body), size):
        time.sleep(SLOW_SECONDS / SLOW_PIECES)
        yield body[start : start + size]


def endless(body: bytes) -> Iterator[bytes]:
    """The body, and paragraphs after it for as long as anybody reads."""
    yield body
    paragraph = b"<p>Et la visite continue : une image encore, puis une autre.</p>\n"
    block = paragraph * (BLOCK // len(paragraph))
    while True:
        yield block


def bomb(body: bytes) -> Iterator[bytes]:
    """The body and blank space after it, as gzip that unfolds two hundredfold. Made while it is read."""
    packer = zlib.compressobj(1, zlib.DEFLATED, GZIP)
    yield packer.compress(body)
    blank = b" " * BLOCK
    for _ in range(BOMB_BYTES // BLOCK):
        if packed := packer.compress(blank):
            yield packed
    yield packer.flush()


POURED: dict[str, Callable[[bytes], Iterator[bytes]]] = {"slow": slow, "endless": endless, "bomb": bomb}
EXACT = frozenset({"slow"})  # the answer is as long as the body, and says so
CODING = {"bomb": "gzip"}  # what its Content-Encoding says, whether or not it was asked for
KNOWN = frozenset({*POURED, GONE})
