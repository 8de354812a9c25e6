"""Shifts: several threads that work side by side until their time is over.

Does not know what they do, and ends none by force: they ask whether it is over wherever they would wait.
"""

import threading
import time
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor, as_completed


class Shift:
    """Is over after so many seconds, or as soon as one of its threads fails or the process is interrupted.

    Who interrupts does not want to wait: then `cut` is called, to end what the threads wait for elsewhere.
    """

    def __init__(self, seconds: float, *, cut: Callable[[], None] = lambda: None) -> None:
        self._ends = time.monotonic() + seconds
        self._cut = cut
        self._called_off = threading.Event()

    def over(self) -> bool:
        """Whether no more work is to be begun."""
        return self._called_off.is_set() or time.monotonic() >= self._ends

    def rest(self, seconds: float) -> None:
        """Wait so long, but not beyond the shift."""
        self._called_off.wait(max(0.0, min(seconds, self._ends - time.monotonic())))

    def work(self, threads: int, calls: Iterable[Callable[[], None]]) -> None:
        """Make the calls in so many threads, wait for all, and raise what the first that failed raised."""
        with ThreadPoolExecutor(threads, thread_name_prefix="shift") as pool:
            try:
                for done in as_completed([pool.submit(call) for call in calls]):
                    done.result()
            except BaseException as error:
                self._called_off.set()
                if isinstance(error, KeyboardInterrupt):
                    self._cut()
                raise
