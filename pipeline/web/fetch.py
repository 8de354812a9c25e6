"""The only place of outgoing HTTP: vetted addresses, bounded time and size, redirects one by one.

Many threads may call one Fetcher at once. `http.client` reads the answers, from a connection of our own.
Does not wait for a host's turn, read robots.txt, retry, keep cookies, log in or log: its callers decide.
"""

import re
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from time import monotonic
from typing import TYPE_CHECKING, Any, Self, cast

from pipeline.errors import (
    CutOff,
    TimedOut,
    TooLarge,
    TooManyRedirects,
    Unparsable,
    Unreachable,
    VeilleError,
)
from pipeline.web.addresses import Target, shown, target
from pipeline.web.codings import Decoder, coding
from pipeline.web.responses import Fetched, Headers, Response
from pipeline.web.wire import RECEIVE, Lookup, Wire, getaddrinfo

if TYPE_CHECKING:  # importing them costs 60 ms: most commands never fetch
    from http.client import HTTPResponse
    from ssl import SSLContext

ACCEPT = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"

_HEAD = 256 * 1024  # bytes for all headers; http.client has limits of its own: 100 of them, 64 KiB for one
_RESOLVERS = 64  # threads for getaddrinfo, so that a few dead name servers do not hold up everybody
_BODILESS = frozenset({204, 304})  # their Content-Length speaks of a body that does not come
_FIRST_FINAL = 200  # what is below announces another answer, or another protocol
_VALIDATOR = re.compile(r"[\x20-\x7e]{1,1000}")
_LENGTH = re.compile(r"[0-9]{1,18}[ \t]*")
_FOLD = re.compile(r"\r?\n(?=[ \t])")


class Fetcher:
    """Fetches URLs. A context manager; `close` ends what is still under way.

    `total_seconds` bounds name look-up, connection, headers and body of a `get`, and of all hops of a
    `follow` together. `allow_hosts` are the only ones that may have private addresses, or ports other than
    80 and 443. `lookup` finds the addresses of a name.
    """

    def __init__(
        self,
        *,
        allow_hosts: frozenset[tuple[str, int]],
        user_agent: str,
        total_seconds: float = 20.0,
        lookup: Lookup = getaddrinfo,
    ) -> None:
        import http.client  # noqa: F401  # here, so that its import is not on the first fetch's clock

        self._allow_hosts = allow_hosts
        self._user_agent = user_agent
        self._seconds = total_seconds
        self._lookup = lookup
        self._resolvers = ThreadPoolExecutor(_RESOLVERS, thread_name_prefix="resolve")
        self._wires: set[Wire] = set()
        self._closed = False

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def close(self) -> None:
        """End all fetches, as `interrupt` does; later ones end at once. Closing twice is harmless."""
        self._closed = True
        self.interrupt()
        self._resolvers.shutdown(wait=False)

    def interrupt(self) -> None:
        """Cut off all requests that are under way: they raise CutOff."""
        for wire in tuple(self._wires):
            wire.cut()

    def get(
        self,
        url: str,
        *,
        cap: int,
        etag: str = "",
        last_modified: str = "",
        accept: str = ACCEPT,
        cut: bool = False,
    ) -> Response:
        """Request `url` once; a redirect is an answer like any other.

        A decoded body beyond `cap` bytes raises TooLarge; with `cut` it is cut there and marked truncated
        (of a robots.txt, RFC 9309 wants the first 500 KiB read). Also raises BlockedAddress (before it
        connects), TimedOut, Unreachable (no such name, refused, reset, TLS), Unparsable (broken HTTP).
        """
        place = target(url, self._allow_hosts)
        headers = self._headers(accept, etag, last_modified)
        return self._exchange(place, headers, cap=cap, cut=cut, seconds=self._seconds)

    def follow(
        self,
        url: str,
        *,
        cap: int,
        admit: Callable[[str], None],
        etag: str = "",
        last_modified: str = "",
        accept: str = ACCEPT,
        cut: bool = False,
        max_redirects: int = 5,
    ) -> Fetched:
        """Request `url` and go where it redirects, each URL vetted like the first.

        `admit` is called with every URL before it is requested: there the caller waits for the host's turn,
        asks robots.txt, or raises. Validators go to the first URL only. https may lead to http: nothing
        secret is ever sent, and proxies that forget their scheme are common. Raises what `get` raises, and
        TooManyRedirects for a circle or more than `max_redirects`.
        """
        hops: list[Response] = []
        seconds = self._seconds
        headers = self._headers(accept, etag, last_modified)
        while True:
            with _telling(hops):
                place = target(url, self._allow_hosts)
                _check_chain(place.url, hops, max_redirects)
            admit(place.url)
            with _telling(hops):
                response = self._exchange(place, headers, cap=cap, cut=cut, seconds=seconds)
            url = response.location
            if not url:
                return Fetched(response.url, response, tuple(hops))
            hops.append(response)
            seconds -= response.elapsed
            headers = self._headers(accept)

    def _headers(self, accept: str, etag: str = "", last_modified: str = "") -> dict[str, str]:
        headers = {
            "User-Agent": self._user_agent,
            "Accept": accept,
            "Accept-Encoding": "gzip",
            "Accept-Language": "fr,en;q=0.5",
            "Connection": "close",
        }
        if _VALIDATOR.fullmatch(etag):
            headers["If-None-Match"] = etag
        if _VALIDATOR.fullmatch(last_modified):
            headers["If-Modified-Since"] = last_modified
        return headers

    def _exchange(
        self, place: Target, headers: dict[str, str], *, cap: int, cut: bool, seconds: float
    ) -> Response:
        """One request and its answer on a connection of their own, with all errors translated."""
        started_at, started = datetime.now(UTC), monotonic()
        headers = {"Host": place.authority, **headers}
        with self._translating(place), self._wire(place, seconds) as wire:
            wire.connect(self._lookup, self._resolvers, self._tls if place.scheme == "https" else None)
            wire.send(_request(place, headers))
            answer = _answer(wire)
            wire.budget += cap + cap // 4  # chunk sizes and TLS records add some 2 % to an honest body
            received = _body(answer, cap=cap, cut=cut)
        return Response(
            url=place.url,
            status=answer.status,
            reason=answer.reason,
            version=f"{answer.version // 10}.{answer.version % 10}",
            headers=_headers(answer),
            body=received.body,
            raw_body=received.raw,
            request_headers=tuple(headers.items()),
            started_at=started_at,
            elapsed=monotonic() - started,
            peer=wire.peer,
            truncated=received.truncated or wire.broken,
            one_member=received.one_member,
        )

    @contextmanager
    def _wire(self, place: Target, seconds: float) -> Iterator[Wire]:
        """A connection that `interrupt` can cut off. Then it raises CutOff, whatever came of it."""
        with Wire(place, seconds=seconds, budget=_HEAD) as wire:
            self._wires.add(wire)
            try:
                if self._closed:
                    wire.cut()
                yield wire
            finally:
                self._wires.discard(wire)
                if wire.was_cut:
                    raise CutOff("the request was cut off, as the work was interrupted")

    @contextmanager
    def _translating(self, place: Target) -> Iterator[None]:
        """Say in our own errors what went wrong, and where."""
        from http.client import HTTPException

        try:
            yield
        except TimeoutError as error:
            late = f"{shown(place.url)} did not come within {self._seconds:g} s"
            raise TimedOut(late, hint="try again later") from error
        except OSError as error:
            raise Unreachable(
                f"{shown(place.url)} cannot be reached: {str(error) or type(error).__name__}",
                hint="look whether the address is right and the network up, then try again",
            ) from error
        except HTTPException as error:
            reason = str(error).partition("\n")[0].strip()[:100]
            raise Unparsable(f"{shown(place.url)} answers in broken HTTP: {reason}") from error
        except (TooLarge, Unparsable) as error:
            raise type(error)(f"{shown(place.url)}: {error}") from error

    @cached_property
    def _tls(self) -> "SSLContext":
        """Verifies against the system's certificates."""
        import ssl

        context = ssl.create_default_context()
        context.set_alpn_protocols(["http/1.1"])
        return context


def _request(place: Target, headers: dict[str, str]) -> bytes:
    lines = [f"GET {place.path} HTTP/1.1", *(f"{name}: {value}" for name, value in headers.items())]
    return "\r\n".join([*lines, "", ""]).encode("ascii")


def _answer(wire: Wire) -> "HTTPResponse":
    """The head of the answer, its body still to be read. Raises Unparsable, HTTPException, OSError."""
    from http.client import HTTPResponse

    answer = HTTPResponse(cast("Any", wire), method="GET")
    answer.begin()
    if wire.ended:  # before the empty line, or no more would have been asked for
        raise ConnectionError("the connection ended within the headers")
    if fault := _fault(answer):
        raise Unparsable(fault)
    return answer


def _fault(answer: "HTTPResponse") -> str:
    """What is wrong with the head of an answer, so that no body can be told from it; empty for nothing."""
    from email.errors import (
        FirstHeaderLineIsContinuationDefect,
        InvalidHeaderDefect,
        MissingHeaderBodySeparatorDefect,
    )

    unreadable = FirstHeaderLineIsContinuationDefect, InvalidHeaderDefect, MissingHeaderBodySeparatorDefect
    headers = answer.headers
    lengths = headers.get_all("Content-Length", [])
    codings = headers.get_all("Transfer-Encoding", [])
    faults = {
        f"the server answers {answer.status}, which ends nothing": answer.status < _FIRST_FINAL,
        "a line among the headers is none": any(isinstance(fault, unreadable) for fault in headers.defects),
        "there is a NUL in a header": any("\0" in value for value in headers.values()),
        "the body has two lengths": len(lengths) + len(codings) > 1,
        "the length of the body is no number": not all(map(_LENGTH.fullmatch, lengths)),
        "the body has a transfer coding that was not asked for": bool(
            {*map(str.lower, codings)} - {"chunked"}
        ),
    }
    return next((fault for fault, found in faults.items() if found), "")


def _headers(answer: "HTTPResponse") -> Headers:
    """As received, but folded ones on one line, lest a second be smuggled in (RFC 9112, 5.2)."""
    return tuple((name, _FOLD.sub("", value).strip(" \t")) for name, value in answer.getheaders())


@dataclass(frozen=True, slots=True)
class _Body:
    """A body decoded and as received, whether something is missing, and whether it is one gzip member."""

    body: bytes = b""
    raw: bytes = b""
    truncated: bool = False
    one_member: bool = False


def _body(answer: "HTTPResponse", *, cap: int, cut: bool) -> _Body:
    """Receive and decode the body."""
    if answer.status in _BODILESS:
        return _Body()
    if (answer.length or 0) > cap and not cut:
        raise TooLarge(f"the body is announced with {answer.length:,} bytes, {cap:,} are the most")
    name = coding(answer.headers.get_all("Content-Encoding", []))
    decoder = Decoder(name, cap)
    received: list[bytes] = []
    try:
        truncated = not _receive(answer, decoder, received, cut=cut)
        body = decoder.body()
        raw = b"".join(received) if name else body
        return _Body(body, raw, truncated or not decoder.complete(), decoder.one_member())
    finally:  # an error keeps the frames that it passed, with all that they hold
        decoder.clear()
        received.clear()


def _receive(answer: "HTTPResponse", decoder: Decoder, received: list[bytes], *, cut: bool) -> bool:
    """Take the chunks as they come; whether they came to their end."""
    from http.client import HTTPException
    from ssl import SSLError

    try:
        while chunk := answer.read1(RECEIVE):
            received.append(chunk)
            decoder.feed(chunk)
    except TooLarge:
        if not cut:
            raise
        return False
    except (ConnectionError, HTTPException, SSLError):
        return False  # the connection ended before the body, or its chunks do not add up
    return not answer.length


@contextmanager
def _telling(hops: list[Response]) -> Iterator[None]:
    """Add to an error through which redirects it was met."""
    try:
        yield
    except VeilleError as error:
        if not hops:
            raise
        chain = " → ".join(shown(hop.url) for hop in hops)
        told = type(error)(f"{error} (redirected from {chain})", hint=error.hint)
        told.redirected = True
        raise told from error


def _check_chain(url: str, hops: list[Response], most: int) -> None:
    if any(url == hop.url for hop in hops):
        raise TooManyRedirects(f"{shown(url)} redirects in a circle")
    if len(hops) > most:
        raise TooManyRedirects(f"{shown(hops[0].url)} redirects more than {most} times")
