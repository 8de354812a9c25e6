"""Turns: a worker's right to ask a host, one worker at a time, with a gap, as its robots.txt allows.

Does not fetch pages; it is the gate that `Fetcher.follow` calls before every request, redirects included.
"""

import contextlib
import logging
import time
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from http import HTTPStatus
from urllib.parse import urlsplit

from pipeline.errors import (
    BlockedAddress,
    Busy,
    Permanent,
    TimedOut,
    TooLarge,
    TooManyRedirects,
    Transient,
    Unparsable,
    Unreachable,
)
from pipeline.runtime import Runtime
from pipeline.schedule import CRAWL_DELAY_AT_MOST, ROBOTS_FINAL_AFTER
from pipeline.settings import Settings
from pipeline.stages.shift import Shift
from pipeline.store import Transaction, hosts, leases
from pipeline.urls import host_of
from pipeline.web import robots
from pipeline.web.fetch import Fetcher
from pipeline.web.responses import Response
from pipeline.web.robots import Rules

ROBOTS_AGE = timedelta(hours=24)  # RFC 9309: cached no longer than a day
ROBOTS_RETRY = timedelta(minutes=30)
WAIT_AT_MOST = CRAWL_DELAY_AT_MOST + 5.0
HOST_WAIT = 90.0  # seconds for another worker's turn to end: a lease and a half

log = logging.getLogger(__name__)


class RobotsDisallowed(Permanent):
    """robots.txt keeps this URL from us."""

    code = "robots"


class RobotsUnreadable(Transient):
    """robots.txt cannot be read for now, so nothing else may be; `retry_after`: until it is asked again."""

    code = "robots_unreadable"


class HostPaused(Transient):
    """The host asked to be left alone for longer than a worker waits: `retry_after`."""

    code = "host_paused"


class LeaseLost(Transient):
    """Another worker took over while this one was held up; it writes nothing more."""

    code = "lease_lost"


class Turns:
    """Holds at most one host at a time, under one token, until the block ends."""

    def __init__(self, runtime: Runtime, token: int, shift: Shift) -> None:
        self._runtime = runtime
        self._store = runtime.store
        self._shift = shift
        self.token = token
        self.host = ""
        self._asking = False  # a request to the host may be under way
        self._rules: dict[str, Rules] = {}

    def hold(self, host: str) -> bool:
        """Hold this host and no other. Raises Busy if another worker keeps it for too long.

        Returns whether it was not held before, so that others may have asked it meanwhile.
        """
        if host == self.host:
            return False
        self.give_back()
        ends = time.monotonic() + HOST_WAIT
        while True:
            with self._store.transaction("hold") as tx:
                if hosts.claim(tx, host, token=self.token, lease=self._store.lease_seconds):
                    self.host = host
                    return True
            if time.monotonic() > ends or self._shift.over():
                raise Busy(f"another worker is asking {host}")
            self._shift.rest(0.2)

    def took(self, host: str) -> None:
        """The host was claimed under this token already."""
        self.host = host

    def give_back(self) -> None:
        """Hold no host."""
        if self.host:
            self.done()
            with self._store.transaction("give_back") as tx:
                hosts.give_back(tx, self.host, token=self.token)
            self.host = ""

    def admit(self, url: str) -> None:
        """Wait for the turn to ask `url`. Whatever was asked before has answered.

        Raises RobotsDisallowed, RobotsUnreadable or HostPaused (with the time to wait), Busy, LeaseLost, or
        BlockedAddress for the host itself.
        """
        host = host_of(url)
        self.hold(host)
        if not self._rules_of(url).allows(url):
            raise RobotsDisallowed(f"robots.txt of {host} keeps {url} from robots")
        self.hold(host)  # its robots.txt may have led elsewhere
        self._wait()

    def done(self) -> None:
        """The answer is in: the gap to the next request counts from here."""
        if self._asking:
            with self._store.transaction("asked") as tx:
                self.note_answer(tx)
            self.noted()

    def note_answer(self, tx: Transaction) -> None:
        """Note it together with what else is written of the answer; `noted` once that is committed."""
        if self._asking:
            hosts.asked(tx, self.host, token=self.token, gap=self._gap())

    def noted(self) -> None:
        """That the answer is in is known to all."""
        self._asking = False

    def pause(self, seconds: float) -> None:
        """Leave the host alone for so long, as it asked."""
        with self._store.transaction("pause") as tx:
            hosts.pause(tx, self.host, seconds=seconds)

    def _wait(self) -> None:
        self.done()
        while True:
            if self._shift.over():  # also where the turn would be free: a chain of redirects ends, too
                raise Busy(f"the time was over before it was the turn of {self.host}")
            with self._store.transaction("turn") as tx:
                turn = hosts.take_turn(tx, self.host, token=self.token, gap=self._gap())
            if turn is None:
                raise LeaseLost(f"another worker has taken over {self.host}")
            if turn.taken:
                self._asking = True
                return
            if turn.seconds > WAIT_AT_MOST:
                raise HostPaused(f"{self.host} asked to be left alone", retry_after=turn.seconds)
            self._shift.rest(min(turn.seconds, 1.0))

    def _gap(self) -> float:
        """Seconds between two requests to the host held."""
        return gap_of(self._runtime.settings, self.host, self._rules.get(self.host))

    def _rules_of(self, url: str) -> Rules:
        host = self.host
        if host not in self._rules:
            self._rules[host] = self._read_rules(url)
        return self._rules[host]

    def _read_rules(self, url: str) -> Rules:
        now = self._runtime.now()
        host = self.host
        with self._store.transaction("robots") as tx:
            row = hosts.robots(tx, host)
        rules = Rules.parse(row.status, row.body)
        age = ROBOTS_AGE if rules.readable else ROBOTS_RETRY
        if row.at is None or not timedelta(0) <= now - row.at < age:
            row = self._fetch_rules(url, now)
            rules = Rules.parse(row.status, row.body)
        if not rules.readable:
            raise _refusal_for_now(host, row, now)
        if rules.crawl_delay and rules.crawl_delay > CRAWL_DELAY_AT_MOST:
            log.warning(
                "crawl-delay above what is obeyed", extra={"host": host, "seconds": rules.crawl_delay}
            )
        return rules

    def _fetch_rules(self, url: str, now: datetime) -> hosts.RobotsRow:
        """Ask for robots.txt and keep what came. Its redirects are followed, whatever they allow robots."""
        asked = self.host
        status, body, retry_after = ask_rules(self._runtime.fetcher, url, admit=self._admit_robots)
        if retry_after:
            self.pause(retry_after)
        self.done()
        rules = Rules.parse(status, body)
        with self._store.transaction("save_robots") as tx:
            hosts.save_robots(
                tx,
                asked,
                status=status,
                body=body,
                crawl_delay=rules.crawl_delay,
                readable=rules.readable,
                now=now,
            )
            return hosts.robots(tx, asked)

    def _admit_robots(self, url: str) -> None:
        self.hold(host_of(url))
        self._wait()


def gap_of(settings: Settings, host: str, rules: Rules | None) -> float:
    """Seconds between two requests to a host whose rules are these, or not known yet."""
    delay = min(rules.crawl_delay or 0.0, CRAWL_DELAY_AT_MOST) if rules else 0.0
    gap = settings.host_gap_seconds
    if not settings.allows(host):
        gap = max(gap, 1.0)
    return max(gap, delay)


def ask_rules(
    fetcher: Fetcher, url: str, *, admit: Callable[[str], None]
) -> tuple[int | None, bytes, float | None]:
    """Ask for the robots.txt that governs `url`, as often as `admit` lets redirects pass.

    Answers what `Rules.parse` takes, and for how many seconds the host asked to be left alone. Where no whole
    file came, the body says why. Raises BlockedAddress for the host itself; where only a redirect leads to a
    refused address, the rules are unreadable.
    """
    parts = urlsplit(url)
    try:
        response = fetcher.follow(
            f"{parts.scheme}://{parts.netloc}/robots.txt", cap=robots.CAP, admit=admit, cut=True
        ).response
    except TooManyRedirects:
        return HTTPStatus.FOUND, b"", None  # RFC 9309, 2.3.1.2: as if there were none
    except (TimedOut, Unreachable, TooLarge, Unparsable, BlockedAddress) as error:
        if isinstance(error, BlockedAddress) and not error.redirected:
            raise
        log.info("robots.txt not readable", extra={"host": host_of(url), "error": str(error)})
        return None, str(error).encode(errors="replace"), None
    pause = response.retry_after if response.status >= HTTPStatus.BAD_REQUEST else None
    if _broke_off(response):
        return None, b"it broke off on its way", pause
    return response.status, response.body, pause


def answered(status: int | None, body: bytes) -> str:
    """What came instead of rules, or why nothing did, for a message."""
    return f"HTTP {status}" if status else body.decode(errors="replace")


def _broke_off(response: Response) -> bool:
    """Whether rules are missing: the connection ended before the file, and not we at our cap."""
    return response.status in robots.FOUND and response.truncated and len(response.body) < robots.CAP


def _refusal_for_now(host: str, row: hosts.RobotsRow, now: datetime) -> RobotsDisallowed | RobotsUnreadable:
    said = answered(row.status, row.body)
    since = row.failing_since or now
    if now - since >= ROBOTS_FINAL_AFTER:
        return RobotsDisallowed(f"robots.txt of {host} has not been readable since {since:%Y-%m-%d} ({said})")
    again = (row.at or now) + ROBOTS_RETRY - now
    return RobotsUnreadable(
        f"robots.txt of {host} cannot be read ({said})", retry_after=again.total_seconds()
    )


@contextlib.contextmanager
def turns(runtime: Runtime, shift: Shift) -> Iterator[Turns]:
    """Turns under a new token, not waited for beyond the shift; all that is held is given back at the end."""
    with runtime.store.transaction("new_token") as tx:
        token = leases.new_token(tx)
    mine = Turns(runtime, token, shift)
    with runtime.keeper.keep(token):
        try:
            yield mine
        finally:
            mine.done()  # also where what came could not be written
