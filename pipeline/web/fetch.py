"""The only place of outgoing HTTP: vetted addresses, bounded time and size, redirects one by one.

Synchronous outside; many threads may call one Fetcher at once. Inside, aiohttp on one event loop in a thread.
Does not wait for a host's turn, read robots.txt, retry, keep cookies, log in or log: its callers decide.
"""

import re
import threading
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from time import monotonic
from typing import TYPE_CHECKING, Any, Self, TypeVar

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
from pipeline.web.responses import Fetched, Response
from pipeline.web.wire import RECEIVE, Lookup, Resolver, Wire, getaddrinfo

if TYPE_CHECKING:  # importing aiohttp costs 0.6 s, asyncio 80 ms: most commands never fetch
    import aiohttp

T = TypeVar("T")

ACCEPT = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"

_HEAD = 256 * 1024  # bytes for a TLS handshake and all headers: 128 of them, most far below their limit
_HEADER = 32 * 1024  # longest header; one Content-Security-Policy can pass aiohttp's 8 KiB
_RESOLVERS = 64  # threads for getaddrinfo, so that a few dead name servers do not hold up everybody
_BODILESS = frozenset({204, 304})  # their Content-Length speaks of a body that does not come
_FIRST_FINAL = 200  # what is below announces another answer, or another protocol
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
        import asyncio
        from concurrent.futures import ThreadPoolExecutor

        import aiohttp  # noqa: F401  # here, so that its import is not on the first fetch's clock

        self._allow_hosts = allow_hosts
        self._user_agent = user_agent
        self._seconds = total_seconds
        self._lookup = lookup
        # Not new_event_loop(): a loop written in C would connect without asking our sockets.
        self._loop = asyncio.SelectorEventLoop()
        self._loop.set_default_executor(ThreadPoolExecutor(_RESOLVERS, thread_name_prefix="resolve"))
        self._thread = threading.Thread(target=self._loop.run_forever, name="fetch", daemon=True)
        self._thread.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def close(self) -> None:
        """End all fetches, as `interrupt` does. Closing twice is harmless."""
        if self._loop.is_closed():
            return
        self._run(_cancel_others())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def interrupt(self) -> None:
        """Cut off all requests that are under way: they raise CutOff."""
        if not self._loop.is_closed():
            self._run(_cancel_others())

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
        return self._run(self._exchange(place, headers, cap=cap, cut=cut, seconds=self._seconds))

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
                response = self._run(self._exchange(place, headers, cap=cap, cut=cut, seconds=seconds))
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

    def _run(self, work: Coroutine[Any, Any, T]) -> T:
        """Have the loop's thread do `work`, and wait for it in this one."""
        import asyncio
        from concurrent.futures import CancelledError

        future = asyncio.run_coroutine_threadsafe(work, self._loop)
        try:
            return future.result()
        except CancelledError as error:
            raise CutOff("the request was cut off, as the work was interrupted") from error
        except KeyboardInterrupt:
            future.cancel()
            raise

    async def _exchange(
        self, place: Target, headers: dict[str, str], *, cap: int, cut: bool, seconds: float
    ) -> Response:
        """One request and its answer on a connection of their own, with all errors translated."""
        import asyncio

        import aiohttp

        wire = Wire(place, budget=_HEAD)
        started_at, started = datetime.now(UTC), monotonic()
        try:
            async with asyncio.timeout(seconds), self._request(wire, headers) as answer:
                wire.budget += cap + cap // 4  # chunk sizes and TLS records add some 2 % to an honest body
                received = await _body(answer, cap=cap, cut=cut)
        except TimeoutError as error:
            raise TimedOut(
                f"{shown(place.url)} did not come within {self._seconds:g} s", hint="try again later"
            ) from error
        except (aiohttp.ClientError, OSError) as error:
            raise wire.failure or _translated(error, place) from error
        except (TooLarge, Unparsable) as error:
            raise type(error)(f"{shown(place.url)}: {error}") from error
        if wire.failure:
            raise wire.failure
        version = answer.version
        return Response(
            url=place.url,
            status=answer.status,
            reason=(answer.reason or "").encode(errors="surrogateescape").decode("latin-1"),
            version=f"{version.major}.{version.minor}" if version else "",
            headers=tuple(
                (key.decode("latin-1"), value.decode("latin-1")) for key, value in answer.raw_headers
            ),
            body=received.body,
            raw_body=received.raw,
            request_headers=tuple(answer.request_info.headers.items()),
            started_at=started_at,
            elapsed=monotonic() - started,
            peer=wire.peer,
            truncated=received.truncated or wire.broken,
            one_member=received.one_member,
        )

    @asynccontextmanager
    async def _request(self, wire: Wire, headers: dict[str, str]) -> "AsyncIterator[aiohttp.ClientResponse]":
        """Send the request; what comes is the answer's head, its body still to be read.

        Its session serves no other, so that nothing, cookies included, is carried from one to the next.
        """
        import aiohttp
        from yarl import URL

        connector = aiohttp.TCPConnector(
            resolver=Resolver(wire.place, self._lookup),  # type: ignore[arg-type]  # its base is in aiohttp
            socket_factory=wire.socket,
            ssl=True,  # verified against the system's certificates
            use_dns_cache=False,
            force_close=True,
        )
        async with aiohttp.ClientSession(
            connector=connector,
            timeout=aiohttp.ClientTimeout(total=None, sock_connect=None),  # _exchange has one for all
            trust_env=False,
            auto_decompress=False,
            read_bufsize=RECEIVE // 2,  # aiohttp stops receiving when it holds twice that
            max_field_size=_HEADER,
        ) as session:
            # Else aiohttp asks again by itself, at once, when a server hangs up; there is no public switch.
            session._retry_connection = False  # noqa: SLF001
            url = URL(wire.place.url, encoded=True)
            async with session.get(url, headers=headers, allow_redirects=False) as answer:
                yield answer


@dataclass(frozen=True, slots=True)
class _Body:
    """A body decoded and as received, whether something is missing, and whether it is one gzip member."""

    body: bytes = b""
    raw: bytes = b""
    truncated: bool = False
    one_member: bool = False


async def _body(answer: "aiohttp.ClientResponse", *, cap: int, cut: bool) -> _Body:
    """Receive and decode the body."""
    if answer.status < _FIRST_FINAL:
        raise Unparsable(f"the server answers {answer.status}, which ends nothing")
    if answer.status in _BODILESS:
        return _Body()
    announced = answer.content_length or 0
    if announced > cap and not cut:
        raise TooLarge(f"the body is announced with {announced:,} bytes, {cap:,} are the most")
    if answer.headers.get("Transfer-Encoding", "chunked").lower() != "chunked":
        raise Unparsable("the body has a transfer coding that was not asked for")
    name = coding(answer.headers.getall("Content-Encoding", []))
    decoder = Decoder(name, cap)
    received: list[bytes] = []
    try:
        truncated = not await _receive(answer, decoder, received, cut=cut)
        body = decoder.body()
        raw = b"".join(received) if name else body
        return _Body(body, raw, truncated or not decoder.complete(), decoder.one_member())
    finally:  # an error keeps the frames that it passed, with all that they hold
        decoder.clear()
        received.clear()


async def _receive(
    answer: "aiohttp.ClientResponse", decoder: Decoder, received: list[bytes], *, cut: bool
) -> bool:
    """Take the chunks as they come; whether they came to their end."""
    import aiohttp

    try:
        while chunk := await answer.content.readany():
            received.append(chunk)
            decoder.feed(chunk)
    except TooLarge:
        if not cut:
            raise
        return False
    except aiohttp.ClientError:
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


def _translated(error: Exception, place: Target) -> VeilleError:
    import aiohttp

    if isinstance(error, aiohttp.ClientResponseError | aiohttp.InvalidURL):
        reason = str(getattr(error, "message", error)).partition("\n")[0][:100]
        return Unparsable(f"{shown(place.url)} answers in broken HTTP: {reason}")
    cause = getattr(error, "certificate_error", None) or getattr(error, "os_error", error)
    return Unreachable(
        f"{shown(place.url)} cannot be reached: {str(cause) or type(cause).__name__}",
        hint="look whether the address is right and the network up, then try again",
    )


async def _cancel_others() -> None:
    """End all that runs on this loop, and wait until it has."""
    import asyncio

    others = asyncio.all_tasks() - {asyncio.current_task()}
    for task in others:
        task.cancel()
    await asyncio.gather(*others, return_exceptions=True)
