"""What a server answered: one response, or a chain of redirects with its end. *Pure.*

Reads headers, never bodies; contacts nobody.
"""

import re
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from urllib.parse import quote, urljoin

Headers = tuple[tuple[str, str], ...]

_SHOWN = 80  # characters of a reason; some servers put a whole page there
_RETRY_AFTER = 24 * 3600.0  # longest wait that a server can ask for
_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_PERMANENT_REDIRECTS = frozenset({301, 308})
_ASCII = "".join(map(chr, range(0x21, 0x7F)))
_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:")
_SECONDS = re.compile(r"[0-9]{1,100}")


@dataclass(frozen=True, slots=True)
class Response:
    """One answer to one request. Reason and headers are Latin-1: `encode("latin-1")` gives the bytes back."""

    url: str
    status: int
    reason: str
    version: str  # of HTTP: "1.1"
    headers: Headers = field(repr=False)  # as received: order, case and repetitions
    body: bytes = field(repr=False)  # without content coding
    raw_body: bytes = field(repr=False)  # as received, content coding included, transfer coding undone
    request_headers: Headers = field(repr=False)  # as sent
    started_at: datetime
    elapsed: float  # seconds, name look-up included
    peer: tuple[str, int]
    truncated: bool = False  # the body is not whole: never take it for the page
    one_member: bool = False  # the body as received is one gzip member, and nothing more

    def header(self, name: str) -> str:
        """The first header of that name; empty if there is none."""
        return next(iter(self.header_values(name)), "")

    def header_values(self, name: str) -> list[str]:
        return [value for key, value in self.headers if key.lower() == name.lower()]

    @property
    def location(self) -> str:
        """Where a redirect leads, absolute but not vetted; empty if this is none."""
        place = quote(self.header("location").strip().encode("latin-1"), safe=_ASCII)
        if self.status not in _REDIRECTS or not place:
            return ""
        # urljoin takes "http:/127.0.0.1/" for a path on the same host, other programs for another host
        if _SCHEME.match(place):
            return place
        try:
            return urljoin(self.url, place)
        except ValueError:  # "//[::1": left as it is, to be refused like any other that is no URL
            return place

    @property
    def said(self) -> str:
        """Status and reason as they may stand in a message or a row: one short, printable line."""
        reason = "".join(filter(str.isprintable, self.reason[:_SHOWN]))
        return f"the server answered {self.status} {reason}".rstrip()

    @property
    def etag(self) -> str:
        """The validator, to be sent back to the letter."""
        return self.header("etag")

    @property
    def last_modified(self) -> str:
        return self.header("last-modified")

    @property
    def content_type(self) -> str:
        """As sent, with its parameters."""
        return self.header("content-type")

    @property
    def retry_after(self) -> float | None:
        """Seconds that the server asks us to wait, at most a day; None if it says nothing of sense."""
        value = self.header("retry-after").strip()
        if _SECONDS.fullmatch(value):
            return min(float(value), _RETRY_AFTER)
        until = _http_date(value)
        now = _http_date(self.header("date")) or self.started_at + timedelta(seconds=self.elapsed)
        return min(max((until - now).total_seconds(), 0.0), _RETRY_AFTER) if until else None


@dataclass(frozen=True, slots=True)
class Fetched:
    """The end of a chain of redirects."""

    url: str
    response: Response
    hops: tuple[Response, ...] = ()  # the redirects that led here

    @property
    def validators(self) -> tuple[str, str]:
        """ETag and Last-Modified to ask the first URL again with; none if they are another URL's."""
        return ("", "") if self.hops else (self.response.etag, self.response.last_modified)

    @property
    def moved_to(self) -> str:
        """Where the first URL has moved for good, by 301 and 308 alone; empty if it has not moved."""
        moved = ""
        for hop, following in pairwise((*self.hops, self.response)):
            if hop.status not in _PERMANENT_REDIRECTS:
                break
            moved = following.url
        return moved


def _http_date(text: str) -> datetime | None:
    """One of the three date formats of RFC 9110, 5.6.7."""
    from email.utils import parsedate_to_datetime  # 20 ms to import, and rarely needed

    try:
        date = parsedate_to_datetime(text[:64])
    except (ValueError, OverflowError):
        return None
    return date if date.tzinfo else date.replace(tzinfo=UTC)
