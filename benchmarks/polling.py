"""What a poll costs that finds a feed unchanged, against feedparser's parse of that feed.

`python -m benchmarks.polling PORT CONFIG FEEDS LIBRARY…` answers with one object. The catalogue has each feed
twice: at the address where the server says "not modified", and at one where it sends the same bytes again.
"""

import json
import sys
import time
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
from pipeline.store.runs import fresh

KINDS = ("feed", "same")  # not modified; sent again
ROUNDS = 3  # of so many polls: the clocks of other processes tick a hundred times a second


@dataclass(frozen=True, slots=True)
class Polls:
    """CPU seconds a feed: parsed by feedparser; found unchanged, by kind, without the store and with it."""

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
) -> Polls:
    """The costs, each of so many repetitions."""
    arguments = [port, config, feeds, times, *library.arguments()]
    with children.started(scratch, "-m", "benchmarks.polling", *arguments) as child:
        return Polls(**child.ask())


def _parsed(feeds: Path, times: int) -> float:
    import feedparser

    bodies = [file.read_bytes() for file in sorted(feeds.iterdir())]
    return _cheapest(lambda: [feedparser.parse(body) for body in bodies], times) / len(bodies)


def _asked(runtime: Runtime, urls: list[str], times: int) -> float:
    """The request, and that nothing is new; where the server does not say so, by the body's digest."""

    def ask(url: str, etag: str) -> str:
        answer = runtime.fetcher.follow(url, cap=FEED_CAP, admit=lambda _: None, etag=etag, accept=ACCEPT)
        if answer.response.body:
            digest(answer.response.body)
        return answer.validators[0]

    tags = {url: ask(url, "") for url in urls}
    return _cheapest(lambda: [ask(url, tags[url]) for url in urls], times) / len(urls)


def _cheapest(work: Callable[[], object], times: int) -> float:
    """CPU seconds of this process alone: what disturbs a measurement only ever adds to it."""
    spent = []
    for _ in range(times + 1):  # the first loads what is loaded once
        started = time.process_time()
        work()
        spent.append(time.process_time() - started)
    return min(spent[1:])


def _polled(runtime: Runtime, urls: list[str], times: int, others: Others) -> float:
    """The same as a step of a run, which notes each poll in the store."""

    def poll() -> None:
        started = fresh("command", polls=True, reason="a benchmark", now=datetime.now(UTC))
        steps.start(runtime, started)
        steps.discover(runtime, started.id, urls=urls)

    poll()  # brings the entries
    poll()
    spent = []
    for _ in range(ROUNDS):
        with measured(others) as cost:
            for _ in range(times):
                poll()
        spent.append(cost.cpu / (times * len(urls)))
    return min(spent)


def main() -> None:
    """All costs."""
    port, config, feeds, times, *library = sys.argv[1:]
    given = workshop.given(library)
    others = partial(server, given.postmaster)
    with given.runtime(Path(config), int(port)) as runtime:
        every = [feed.url for feed in runtime.catalogue.feeds()]
        urls = {kind: [url for url in every if f"/{kind}-" in url] for kind in KINDS}
        alone = {kind: _asked(runtime, urls[kind], int(times)) for kind in KINDS}
        stored = {kind: _polled(runtime, urls[kind], int(times), others) for kind in KINDS}
    polls = Polls(_parsed(Path(feeds), int(times)), alone, stored)
    print(json.dumps(asdict(polls)), flush=True)  # noqa: T201  the answer


if __name__ == "__main__":
    main()
