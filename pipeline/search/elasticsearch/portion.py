"""How much goes into one request to the server. *Pure.*

Does not send anything: it is told what became of each request.
"""

from collections.abc import Sequence
from itertools import islice
from typing import Final, Protocol, TypeVar

MOST: Final = 500  # operations
# One core of a server reads two megabytes of French in about 4 s, before the writer gives the request up.
# With 1 MB the writer had .85 of the speed of the client's own helpers, with 2 MB .95.
MOST_BYTES: Final = 2_000_000
_GROWTH: Final = 1.25  # faster, every second request to a slow server would be too much


class Sized(Protocol):
    """What has a size."""

    @property
    def size(self) -> int:
        """In bytes."""


_Part = TypeVar("_Part", bound=Sized)


class Portion:
    """A full request at first; half of one that failed, and more again after each that did not.

    What makes a request fail, too large or too slow, is so found alone in the end.
    """

    def __init__(self) -> None:
        self._most: float = MOST
        self._bytes: float = MOST_BYTES

    def of(self, parts: Sequence[_Part], start: int) -> Sequence[_Part]:
        """Those from `start` on that go together; one may be of any size."""
        count = size = 0
        for part in islice(parts, start, start + int(self._most)):
            size += part.size
            if count and size > self._bytes:
                break
            count += 1
        return parts[start : start + count]

    def was_too_much(self, parts: Sequence[_Part]) -> None:
        """A request of these failed."""
        self._most = max(len(parts) / 2, 1)
        self._bytes = sum(part.size for part in parts) / 2

    def was_right(self) -> None:
        """A request did not fail."""
        self._most = min(self._most * _GROWTH, MOST)
        self._bytes = min(self._bytes * _GROWTH, MOST_BYTES)
