"""What a poll costs that finds a feed unchanged, against feedparser's parse of that feed.

`python -m benchmarks.polling PORT CONFIG FEEDS LIBRARY…` answers with a list. The catalogue has each feed
twice: at the address where the server says "not modified", and at one where it sends the same bytes again.
"""

import json
import sys
from collections import defaultdict
from collections.abc import Callable
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

from benchmarks import children, workshop
from benchmarks.meter import Others, measured, server
from benchmarks.pages import host
from benchmarks.workshop import Library
from pipeline import steps
from pipeline.reading import FEED_CAP
from pipeline.reading.feeds import digest
from pipeline.runtime import Runtime
from pipeline.stages.discover import ACCEPT
from pipeline.store import runs
from pipeline.store.runs import fresh

KINDS = {"feed": 304, "same": 200}  # what each is answered with: not modified; sent again
ROUNDS = 3  # of so many polls: the clocks of other processes tick a hundred times a second


@dataclass(frozen=True, slots=True)
class Polls:
    """CPU seconds a feed in one round: parsed by feedparser; found unchanged, by kind, without the store and
    with it.
    """

    feedparser: float
    alone: dict[str, float]
    stored: dict[str, float]


def catalogue(feeds: Path) -> dict[str, list[str]]:
    """By host the paths of its feeds: three feeds a host, as in the shipped catalogue."""
    found = defaultdict[str, list[str]](list)
    for number in range(len(list(feeds.iterdir()))):
        found[host(number // 3)] += [f"/{kind}-{number}.xml" for kind in KINDS]
    return dict(found)


def run(  # noqa: PLR0917  where, what and how often
    scratch: Path, library: Library, config: Path, port: int, feeds: Path, times: int
) -> list[Polls]:
    """The costs, round by round, each of so many repetitions. Raises Failed if a feed was not unchanged."""
    arguments = [port, config, feeds, times, *library.arguments()]
    with children.started(scratch, "-m", "benchmarks.polling", *arguments) as child:
        return [Polls(**each) for each in child.ask()]


class Asking:
    """The requests alone: what was answered is known by its validator, or by the body's digest."""

    def __init__(self, runtime: Runtime, urls: dict[str, list[str]]) -> None:
        self._runtime, self._urls = runtime, urls
        self._tags = {url: self._ask(url, "", 200) for each in urls.values() for url in each}

    def __call__(self, kind: str) -> None:
        """Ask all feeds of this kind."""
        for url in self._urls[kind]:
            self._ask(url, self._tags[url], KINDS[kind])

    def _ask(self, url: str, tag: str, status: int) -> str:
        fetch = self._runtime.fetcher.follow
        answer = fetch(url, cap=FEED_CAP, admit=lambda _: None, etag=tag, accept=ACCEPT)
        if answer.response.status != status:
            raise SystemExit(f"{url} was answered with {answer.response.status}, not {status}")
        if answer.response.body:
            digest(answer.response.body)
        return answer.validators[0]


class Polling:
    """The same as a step of a run, which notes each poll in the store."""

    def __init__(self, runtime: Runtime, urls: dict[str, list[str]]) -> None:
        self._runtime, self._urls = runtime, urls
        self._runs: list[tuple[str, str]] = []  # with the kind of its feeds
        for kind in KINDS:
            self(kind)  # brings the entries
        self._runs.clear()

    def __call__(self, kind: str) -> None:
        """Poll all feeds of this kind."""
        started = fresh("command", polls=True, reason="a benchmark", now=datetime.now(UTC))
        steps.start(self._runtime, started)
        steps.discover(self._runtime, started.id, urls=self._urls[kind])
        self._runs.append((started.id, kind))

    def check(self) -> None:
        """End the process unless every poll was noted and found its feed unchanged."""
        for run, kind in self._runs:
            with self._runtime.store.transaction("bench") as tx:
                noted = runs.report(tx, run).polls
            if noted != {"unchanged": len(self._urls[kind])}:
                raise SystemExit(f"of {len(self._urls[kind])} feeds not all were unchanged: {noted}")


def _spent(work: Callable[[], object], times: int, feeds: int, others: Others) -> float:
    """CPU seconds a feed."""
    with measured(others) as cost:
        for _ in range(times):
            work()
    return cost.cpu / (times * feeds)


def main() -> None:
    """All costs."""
    import feedparser

    port, config, feeds, count, *library = sys.argv[1:]
    bodies = [file.read_bytes() for file in sorted(Path(feeds).iterdir())]
    given = workshop.given(library)
    with given.runtime(Path(config), int(port)) as runtime:
        every = [feed.url for feed in runtime.catalogue.feeds()]
        urls = {kind: [url for url in every if f"/{kind}-" in url] for kind in KINDS}
        asking, polling = Asking(runtime, urls), Polling(runtime, urls)

        def cost(work: Callable[[], object], others: Others = list) -> float:
            return _spent(work, int(count), len(bodies), others)

        def parse() -> None:
            for body in bodies:
                feedparser.parse(body)

        found = [
            Polls(
                cost(parse),
                {kind: cost(partial(asking, kind)) for kind in KINDS},
                {kind: cost(partial(polling, kind), partial(server, given.postmaster)) for kind in KINDS},
            )
            for _ in range(ROUNDS + 1)
        ]
        polling.check()
    print(json.dumps([asdict(each) for each in found[1:]]), flush=True)  # noqa: T201  the first loaded everything


if __name__ == "__main__":
    main()
