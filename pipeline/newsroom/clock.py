"""The newsroom's clock: what moment it believes it is. *Pure.*

Does not know the real time; every function takes it.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta


@dataclass(frozen=True, slots=True)
class Clock:
    """At the real instant `real` it showed `shown`; since then it goes `tick` seconds for each real one."""

    real: datetime
    shown: datetime
    tick: float = 1.0

    def at(self, real: datetime) -> datetime:
        """What it shows at `real`."""
        return self.shown + (real - self.real) * self.tick

    def offset(self, real: datetime) -> float:
        """How many seconds it is ahead of `real` (less than 0: behind): Veille's VEILLE_CLOCK_OFFSET."""
        return (self.at(real) - real) / timedelta(seconds=1)

    def moved(self, real: datetime, *, to: datetime | None = None, tick: float | None = None) -> "Clock":
        """The clock set to `to`, or going `tick` seconds a second, from `real` on; else as it was."""
        return Clock(real, to or self.at(real), self.tick if tick is None else tick)
