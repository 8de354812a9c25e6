"""What is measured in turns, round after round, so that no part has the machine in another state than the
others.

Each figure is the best of its rounds: what disturbs a measurement only ever adds to it.
"""

import contextlib
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from statistics import mean
from typing import Any

from benchmarks import children, line, peers, serving
from benchmarks.children import Child, Failed
from benchmarks.line import Passage
from benchmarks.pages import FEED, Page
from benchmarks.peers import PEERS, Absent
from benchmarks.pool import Pool
from benchmarks.quality import f1
from benchmarks.workshop import Workshop
from pipeline.cli.console import progress

OURS, THEIRS = "veille", "trafilatura"
_READERS = Path(__file__).with_name("readers.py")


@dataclass(slots=True)
class Rounds:
    """What the rounds gave. By engine: CPU seconds for all pages, pages that it raised at; by number of
    processes: what they read alone, and in the line.
    """

    pages: int
    seconds: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))
    failed: dict[str, int] = field(default_factory=dict)
    absent: dict[str, str] = field(default_factory=dict)  # engines that cannot be had, and why
    scores: dict[str, float] = field(default_factory=dict)  # F1 of texts; empty where no gold is at hand
    pools: dict[int, list[Pool]] = field(default_factory=lambda: defaultdict(list))
    passages: dict[int, list[Passage]] = field(default_factory=lambda: defaultdict(list))

    def reading(self, engine: str) -> float:
        """CPU seconds a page, text and metadata alone."""
        return min(self.seconds[engine]) / self.pages

    @property
    def line(self) -> Passage:
        """The passage with one reading process that cost least."""
        return min(self.passages[1], key=lambda passage: passage.cpu)

    def pool(self, processes: int) -> float:
        """Pages a second of the clock."""
        return max(pool.rate for pool in self.pools[processes])

    def rate(self, processes: int) -> float:
        """Pages a second of the clock, through the whole line."""
        return max(passage.pages / passage.wall for passage in self.passages[processes])


@dataclass(frozen=True, slots=True)
class Setting:
    """Where the rounds run, and on what."""

    shop: Workshop
    pages: list[Page]
    warm: list[Page]  # that go through the line before the clock starts
    shelf: Path
    port: int
    environments: Path | None  # the folder of the peers' environments; None leaves them out


def measure(setting: Setting, times: int) -> Rounds:
    """So many rounds."""
    found = Rounds(len(setting.pages))
    catalogue = {page.host: [FEED] for page in (*setting.pages, *setting.warm)}
    config = serving.write_config(setting.shop.folder / "config", setting.port, catalogue)
    with contextlib.ExitStack() as stack:
        readers = dict(_readers(setting, stack, found.absent))
        with progress("pages, read alone and in the line", times * (len(readers) + 4)) as advance:
            for number in range(times):
                for name, child in readers.items():
                    _read(found, name, child, setting.shelf)
                    advance(1)
                for processes in (1, 2):
                    found.pools[processes].append(Pool.of(setting.pages, processes))
                    advance(1)
                    found.passages[processes].append(
                        _pass(setting, config, f"line_{number}_{processes}", processes)
                    )
                    advance(1)
    return found


def score(shop: Workshop, gold: list[Page], shelf: Path) -> dict[str, float]:
    """The mean F1 of the texts that we and trafilatura find on pages whose text is known."""
    scores = {}
    for name in (OURS, THEIRS):
        with children.started(shop.folder, _READERS, name) as child:
            texts = child.ask({"shelf": str(shelf), "texts": True})["texts"]
        scores[name] = mean(f1(page.gold, text) for page, text in zip(gold, texts, strict=True))
    return scores


def _readers(
    setting: Setting, stack: contextlib.ExitStack, absent: dict[str, str]
) -> Iterator[tuple[str, Child]]:
    scratch = setting.shop.folder
    for name in (OURS, THEIRS):
        yield name, stack.enter_context(children.started(scratch, _READERS, name))
    for peer in PEERS:
        if setting.environments is None:
            absent[peer.name] = "left out"
            continue
        try:
            with progress(f"{peer.name}, in an environment of its own"):
                python = peers.python(peer, setting.environments)
        except Absent as error:
            absent[peer.name] = str(error)
        else:
            yield (
                peer.name,
                stack.enter_context(children.started(scratch, _READERS, peer.name, python=python)),
            )


def _read(found: Rounds, name: str, child: Child, shelf: Path) -> None:
    if name in found.absent:
        return
    try:
        answer: dict[str, Any] = child.ask({"shelf": str(shelf)})
    except Failed as error:
        if name in (OURS, THEIRS):
            raise
        found.absent[name] = str(error)
        found.seconds.pop(name, None)
        return
    found.seconds[name].append(answer["cpu"])
    found.failed[name] = answer["failed"]


def _pass(setting: Setting, config: Path, name: str, processes: int) -> Passage:
    library = setting.shop.library(name)
    return line.run(setting.shop.folder, library, config, setting.port, processes)
