"""One line of `veille doctor`, and how several findings become one.

Looks at nothing itself.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace

STATES = ("ok", "warning", "failed")


@dataclass(frozen=True, slots=True)
class Check:
    """One line: what was looked at, its state (one of STATES), what was found, and the next command."""

    what: str
    state: str
    found: str
    hint: str = ""


def as_bad(*findings: Check) -> Check:
    """All of them in one line, which is as bad as the worst of them and gives its hint."""
    worst = max(findings, key=lambda finding: STATES.index(finding.state))
    return replace(worst, found="; ".join(finding.found for finding in findings if finding.found))


def listed(names: Iterable[str], at_most: int = 3) -> str:
    """The first of the names, and how many more there are."""
    found = list(names)
    more = f" and {len(found) - at_most} more" if len(found) > at_most else ""
    return ", ".join(found[:at_most]) + more


def gigabytes(size: float) -> str:
    """A size for people: « 0.9 GB »."""
    return f"{size / (1 << 30):.1f} GB"
