"""How a writer waits for an engine that is in trouble: not too often, and not for ever.

Does not write anything, nor decide what is trouble: it is told.
"""

import logging
import random
import time
from collections.abc import Callable
from typing import Final

from pipeline.errors import EngineTrouble

# Seconds between two requests of one writer that fail as a whole. Each looks for the indices first, so these
# are at most two requests in two seconds.
LEAST, MOST = 2.0, 3.0
SOON: Final = 0.1  # to what the engine put off, where it took the rest
GIVES_UP: Final = 600.0  # seconds of nothing but trouble; the next run goes on
_SMALLEST: Final = 0.01  # of a full batch
_GROWTH: Final = 1.25  # of what a slow engine is sent, a batch: faster, every second one would be too much

log = logging.getLogger(__name__)


class Patience:
    """One writer's. Waiting is spread at random, so that writers do not come all at once."""

    def __init__(self, *, gives_up: float = GIVES_UP, sleep: Callable[[float], None] = time.sleep) -> None:
        self._gives_up = gives_up
        self._sleep = sleep
        self._since: float | None = None  # the first failure of those in a row
        self._put_off = 0  # batches in a row of which nothing was taken
        self.share = 1.0  # of a full batch, to be sent next: one that takes too long is halved

    def worked(self) -> None:
        """The engine took something."""
        if self._since is not None:
            log.info("the search engine is back", extra={"after": round(time.monotonic() - self._since)})
        self._since, self._put_off = None, 0
        self.share = min(1.0, self.share * _GROWTH)

    def failed(self, error: EngineTrouble) -> None:
        """A whole request failed: wait. Raises the error where it has gone on for too long."""
        self._bear(error)
        if error.slow:
            self.share = max(self.share / 2, _SMALLEST)
        self._sleep(random.uniform(LEAST, MOST))  # noqa: S311  no secret

    def put_off(self, reason: str, *, took_some: bool) -> None:
        """The engine took nothing, or not all, of a batch for now: wait a little, then ever longer.

        Raises EngineTrouble where it has taken nothing for too long.
        """
        if took_some:
            self.worked()
        else:
            self._bear(EngineTrouble(reason))
            self._put_off += 1
        most = min(MOST, SOON * 2 ** (self._put_off + 1))
        self._sleep(random.uniform(most / 2, most))  # noqa: S311

    def _bear(self, error: EngineTrouble) -> None:
        now = time.monotonic()
        if self._since is None:
            self._since = now
            log.warning("the search engine is in trouble", extra={"error": str(error), "hint": error.hint})
        if now - self._since > self._gives_up:
            raise error
