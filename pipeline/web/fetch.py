"""The only place of outgoing HTTP: vetted addresses, bounded time and size, redirects one by one.

Many threads may call one Fetcher at once. h11 says what the bytes of a connection mean, which is ours.
Does not wait for a host's turn, read robots.txt, retry, keep cookies, log in or log: its callers decide.
"""

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from time import monotonic
from typing import TYPE_CHECKING, Any, Self

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
from pipeline.web.wire import Lookup, Wire, getaddrinfo

if TYPE_CHECKING:  # importing them costs 40 ms: most commands never fetch
    from ssl import SSLContext

    import h11

ACCEPT = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"

_HEAD = 256 * 1024  # bytes of a head; no browser takes more
_BODILESS = frozenset({204, 304})  # their Content-Length speaks of a body that does not come
_VALIDATOR = re.compile(r"[\x20-\x7e]{1,1000}")


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
        import h11  # noqa: F401  # here, so that its import is not on the first fetch's clock

        self._allow_hosts = allow_hosts
        self._user_agent = user_agent
        self._seconds = total_seconds
        self._lookup = lookup
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
            wire.connect(self._lookup, self._tls if place.scheme == "https" else None)
            talk = _Talk(wire)
            head = talk.ask(place.path, headers)
            wire.budget += cap + cap // 4  # the sizes of its chunks add some 2 % to an honest body
            received = _body(talk, head, cap=cap, cut=cut)
        return Response(
            url=place.url,
            status=head.status_code,
            reason=head.reason.decode("latin-1"),
            version=head.http_version.decode("ascii"),
            headers=_received(head),
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
        cut_off = CutOff("the request was cut off, as the work was interrupted")
        with Wire(place, seconds=seconds, budget=2 * _HEAD) as wire:
            self._wires.add(wire)
            try:
                if self._closed:
                    wire.cut()
                yield wire
            except Exception as error:
                if wire.was_cut:
                    raise cut_off from error
                raise
            finally:
                self._wires.discard(wire)
        if wire.was_cut:  # a body without a length ends where its connection does
            raise cut_off

    @contextmanager
    def _translating(self, place: Target) -> Iterator[None]:
        """Say in our own errors what went wrong, and where."""
        from h11 import ProtocolError

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
        except ProtocolError as error:
            reason = "".join(filter(str.isprintable, str(error)))[:100]
            raise Unparsable(f"{shown(place.url)} answers in broken HTTP: {reason}") from error
        except (TooLarge, Unparsable) as error:
            raise type(error)(f"{shown(place.url)}: {error}") from error

    @cached_property
    def _tls(self) -> "SSLContext":
        """Verifies against the system's certificates."""
        import ssl

        context = ssl.create_default_context()
        context.set_alpn_protocols(["http/1.1"])
        # Many servers hang up without saying so in TLS; a body that has a length shows whether it is whole.
        context.options |= ssl.OP_IGNORE_UNEXPECTED_EOF
        return context


class _Talk:
    """One request over a wire and its answer."""

    def __init__(self, wire: Wire) -> None:
        import h11

        self._wire = wire
        self._state = h11.Connection(h11.CLIENT, max_incomplete_event_size=_HEAD)

    def ask(self, path: str, headers: dict[str, str]) -> "h11.Response":
        """The head of the answer. Raises OSError, Unparsable, h11's ProtocolError."""
        import h11

        request = h11.Request(method="GET", target=path, headers=list(headers.items()))
        self._wire.send((self._state.send(request) or b"") + (self._state.send(h11.EndOfMessage()) or b""))
        try:
            while isinstance(event := self._next(), h11.InformationalResponse):
                pass  # 103 and the like, before the answer
        except h11.RemoteProtocolError as error:
            begun, ended = self._state.trailing_data
            if ended and b"HTTP/".startswith(begun[:5]):
                raise ConnectionError("the connection ended within the head") from error
            raise
        if not isinstance(event, h11.Response):
            raise ConnectionError("the connection ended before the head")
        if _values(event, b"content-length") and _values(event, b"transfer-encoding"):
            raise Unparsable("the body has two lengths")
        return event

    def body(self) -> Iterator[bytes]:
        """The body as it comes. Raises OSError, ProtocolError where it stops before its end."""
        import h11

        while isinstance(event := self._next(), h11.Data):
            yield event.data

    def _next(self) -> Any:
        import h11

        while (event := self._state.next_event()) is h11.NEED_DATA:
            self._state.receive_data(self._wire.receive())
        return event


def _values(head: "h11.Response", name: bytes) -> list[str]:
    return [value.decode("latin-1") for key, value in head.headers if key == name]


def _received(head: "h11.Response") -> Headers:
    """The headers in their own spelling."""
    return tuple((key.decode("latin-1"), value.decode("latin-1")) for key, value in head.headers.raw_items())


@dataclass(frozen=True, slots=True)
class _Body:
    """A body decoded and as received, whether something is missing, and whether it is one gzip member."""

    body: bytes = b""
    raw: bytes = b""
    truncated: bool = False
    one_member: bool = False


def _body(talk: _Talk, head: "h11.Response", *, cap: int, cut: bool) -> _Body:
    """Receive and decode the body."""
    if head.status_code in _BODILESS:
        return _Body()
    announced = max(map(int, _values(head, b"content-length")), default=0)
    if announced > cap and not cut:
        raise TooLarge(f"the body is announced with {announced:,} bytes, {cap:,} are the most")
    name = coding(_values(head, b"content-encoding"))
    decoder, received = Decoder(name, cap), bytearray()
    try:
        truncated = not _receive(talk, decoder, received, cut=cut)
        body = decoder.body()
        raw = bytes(received) if name else body
        return _Body(body, raw, truncated or not decoder.complete(), decoder.one_member())
    finally:  # an error keeps the frames that it passed, with all that they hold
        decoder.clear()
        received.clear()


def _receive(talk: _Talk, decoder: Decoder, received: bytearray, *, cut: bool) -> bool:
    """Take the body as it comes; whether it came to its end."""
    from ssl import SSLError

    from h11 import RemoteProtocolError

    try:
        for data in talk.body():
            received += data
            decoder.feed(data)
    except TooLarge:
        if not cut:
            raise
        return False
    except (ConnectionError, SSLError, RemoteProtocolError):
        return False  # the connection ended before the body, or its chunks do not add up
    return True


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
