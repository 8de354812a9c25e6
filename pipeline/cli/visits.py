"""One page, fetched as robots.txt allows and not too fast, without a store that would remember the host.

Does not spare hosts that another process asks: only `stages.turns` can.
"""

import time

from pipeline.errors import Permanent, Transient
from pipeline.runtime import Runtime
from pipeline.stages.turns import answered, ask_rules, gap_of
from pipeline.urls import host_of
from pipeline.web.responses import Fetched
from pipeline.web.robots import Rules


class Visit:
    """The requests that one page needs; the gap of `stages.turns` lies between any two to a host."""

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime
        self._rules: dict[str, Rules] = {}
        self._answered: dict[str, float] = {}  # when each host had last answered
        self._asked = ""  # the host of the last request

    def fetch(self, url: str, *, cap: int) -> Fetched:
        """The page at `url` or where that leads. Raises what `Fetcher.follow` raises, Permanent for what
        robots.txt forbids, and Transient if that cannot be read.
        """
        return self._runtime.fetcher.follow(url, cap=cap, admit=self._admit)

    def _admit(self, url: str) -> None:
        host = host_of(url)
        if host not in self._rules:
            status, body, _ = ask_rules(self._runtime.fetcher, url, admit=self._wait)
            self._rules[host] = Rules.parse(status, body)
            if not self._rules[host].readable:
                raise Transient(
                    f"robots.txt of {host} cannot be read ({answered(status, body)}), so nothing else may be",
                    hint="try again later",
                )
        if not self._rules[host].allows(url):
            raise Permanent(f"robots.txt of {host} keeps {url} from robots")
        self._wait(url)

    def _wait(self, url: str) -> None:
        """Wait for the turn to ask `url`. Whatever was asked before has answered."""
        host = host_of(url)
        now = time.monotonic()
        if self._asked:
            self._answered[self._asked] = now
        if host in self._answered:
            ends = self._answered[host] + gap_of(self._runtime.settings, host, self._rules.get(host))
            time.sleep(max(0.0, ends - now))
        self._asked = host
