"""Pages that several reading processes read in a second of the clock, and the memory that one of them takes.

Does not fetch or store: the pages are in memory.
"""

import contextlib
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Self

import psutil  # type: ignore[import-untyped]  # it has no stubs

from benchmarks.meter import peak
from benchmarks.pages import Page
from benchmarks.readers import FETCHED_AT, WARM


@dataclass(frozen=True, slots=True)
class Pool:
    """What so many processes did: pages a second, and the most bytes that one of them held."""

    rate: float
    memory: int

    @classmethod
    def of(cls, pages: list[Page], warm: list[Page], processes: int) -> Self:
        """Have the pages read, by new processes that have read others before."""
        from pipeline.workers import Workers

        with Workers(processes) as workers, ThreadPoolExecutor(processes) as threads:

            def read(page: Page) -> None:
                from pipeline.errors import Unparsable

                task = {
                    "html": page.html,
                    "url": page.url(),
                    "fetched_at": FETCHED_AT,
                    "content_type": "text/html",
                }
                with contextlib.suppress(Unparsable):  # no article, for which time was spent all the same
                    workers.run("extract", task)

            list(threads.map(lambda _: workers.run("warm"), range(processes)))
            list(threads.map(read, warm or pages[:WARM]))
            started = time.perf_counter()
            list(threads.map(read, pages))
            seconds = time.perf_counter() - started
            held = [peak(child) for child in psutil.Process().children(recursive=True) if _is_worker(child)]
        return cls(len(pages) / seconds, max(held))


def _is_worker(process: psutil.Process) -> bool:
    return "pipeline.workers" in process.cmdline()
