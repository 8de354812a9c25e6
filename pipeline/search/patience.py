"""How a writer waits for an engine that is in trouble: not too often, and not for ever.

Does not write anything, nor decide what is trouble: it is told.
"""

import logging
import random
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Final, TypeVar

from pipeline.errors import EngineTrouble

if TYPE_CHECKING:
    from pipeline.search import Verdicts

# Seconds between two requests of one writer that fail as a whole. Each looks for the indices first, so these
# are at most two requests in two seconds.
LEAST, MOST = 2.0, 3.0
SOON: Final = 0.1  # to what the engine put off, where it took the rest
GIVES_UP: Final = 600.0  # seconds of nothing but trouble; the next run goes on

_Done = TypeVar("_Done")

log = logging.getLogger(__name__)


class Patience:
    """One writer's. Waiting is spread at random, so that writers do not come all at once."""

    def __init__(self, *, gives_up: float = GIVES_UP, sleep: Callable[[float], None] = time.sleep) -> None:
        self._gives_up = gives_up
        self._sleep = sleep
        self._since: float | None = None  # the first failure of those in a row
        self._put_off = 0  # answers in a row by which nothing was taken

    def worked(self) -> None:
        """The engine took something."""
        if self._since is not None:
            log.info("the search engine is back", extra={"after": round(time.monotonic() - self._since)})
        self._since, self._put_off = None, 0

    def heard(self, verdicts: "Verdicts", *, took_some: bool) -> None:
        """Wait as these verdicts ask for it, if they do.

        Raises EngineTrouble where the engine has taken nothing for too long.
        """
        if took_some:
            self.worked()
        if verdicts.trouble:
            self.failed(verdicts.trouble)
        elif verdicts.undone:
            reasons = (refusal.reason for refusal in verdicts.later)
            self._was_put_off(next(reasons, "it is too busy"), took_some=took_some)

    def failed(self, error: EngineTrouble) -> None:
        """A whole request failed: wait. Raises the error where it has gone on for too long."""
        self._bear(error)
        self._sleep(random.uniform(LEAST, MOST))  # noqa: S311  no secret

    def insist(self, action: Callable[[], _Done]) -> _Done:
        """Do what may be repeated until the engine is in no trouble; return what it returns.

        Raises EngineTrouble where that takes too long.
        """
        while True:
            try:
                done = action()
            except EngineTrouble as error:
                self.failed(error)
            else:
                self.worked()
                return done

    def _was_put_off(self, reason: str, *, took_some: bool) -> None:
        """Wait a little where the rest was taken, else ever longer."""
        if not took_some:
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
