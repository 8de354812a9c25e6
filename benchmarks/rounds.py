"""What is measured in turns, round after round, so that no part has the machine in another state than the
others.

Whatever reads is started anew in each round and reads other pages first: engines remember pages and dates
that they have met. Figures are compared within a round, never with those of another.
"""

import sys
from dataclasses import dataclass, field
from pathlib import Path
from statistics import mean

from benchmarks import children, line, peers, serving
from benchmarks.children import Failed
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
class Round:
    """By engine: CPU seconds for all pages, and pages that it raised at; by number of processes: what they
    read alone, and in the line.
    """

    seconds: dict[str, float] = field(default_factory=dict)
    failed: dict[str, int] = field(default_factory=dict)
    pools: dict[int, Pool] = field(default_factory=dict)
    passages: dict[int, Passage] = field(default_factory=dict)


@dataclass(slots=True)
class Rounds:
    """All rounds on so many pages; and the engines that could not be had in all of them, with the reason."""

    pages: int
    each: list[Round] = field(default_factory=list)
    absent: dict[str, str] = field(default_factory=dict)

    def reading(self, engine: str) -> list[float]:
        """CPU seconds a page, text and metadata alone."""
        return [each.seconds[engine] / self.pages for each in self.each]

    @property
    def passages(self) -> list[Passage]:
        """Those with one reading process."""
        return [each.passages[1] for each in self.each]

    def pool(self, processes: int) -> list[float]:
        """Pages a second of the clock."""
        return [each.pools[processes].rate for each in self.each]

    def line(self, processes: int) -> list[float]:
        """Pages a second of the clock, through the whole line."""
        found = [each.passages[processes] for each in self.each]
        return [passage.pages / passage.wall for passage in found]


@dataclass(frozen=True, slots=True)
class Setting:
    """Where the rounds run, and on what."""

    shop: Workshop
    pages: list[Page]
    warm: list[Page]  # that are read before the clock starts, and go through the line
    shelf: Path
    warm_shelf: Path
    port: int
    environments: Path | None  # the folder of the peers' environments; None leaves them out

    def config(self) -> Path:
        """The folder of a catalogue with all these pages."""
        catalogue = {page.host: [FEED] for page in (*self.pages, *self.warm)}
        return serving.write_config(self.shop.folder / "config", self.port, catalogue)


def measure(setting: Setting, times: int) -> Rounds:
    """So many rounds."""
    found = Rounds(len(setting.pages))
    config = setting.config()
    readers = {OURS: Path(sys.executable), THEIRS: Path(sys.executable), **_peers(setting, found.absent)}
    with progress("pages, read alone and in the line", times) as advance:
        for number in range(times):
            found.each.append(_round(setting, config, number, readers, found.absent))
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


def _peers(setting: Setting, absent: dict[str, str]) -> dict[str, Path]:
    """The interpreters of the peers that can be had."""
    if setting.environments is None:
        absent |= {peer.name: "left out" for peer in PEERS}
        return {}
    found = {}
    for peer in PEERS:
        try:
            with progress(f"{peer.name}, in an environment of its own"):
                found[peer.name] = peers.python(peer, setting.environments)
        except Absent as error:
            absent[peer.name] = str(error)
    return found


def _round(
    setting: Setting, config: Path, number: int, readers: dict[str, Path], absent: dict[str, str]
) -> Round:
    done = Round()
    for name, python in readers.items():
        if name not in absent:
            _read(setting, done, name, python, absent)
    for processes in (1, 2):
        done.pools[processes] = Pool.of(setting.pages, setting.warm, processes)
        library = setting.shop.library(f"line_{number}_{processes}")
        done.passages[processes] = line.run(setting.shop.folder, library, config, setting.port, processes)
    return done


def _read(setting: Setting, done: Round, name: str, python: Path, absent: dict[str, str]) -> None:
    try:
        with children.started(setting.shop.folder, _READERS, name, python=python) as child:
            answer = child.ask({"shelf": str(setting.shelf), "warm": str(setting.warm_shelf)})
    except Failed as error:
        if name in (OURS, THEIRS):
            raise
        absent[name] = str(error)
        return
    done.seconds[name], done.failed[name] = answer["cpu"], answer["failed"]
