"""The report: lines with what was seen and what is wanted, as a table and as JSON.

Does not measure, and judges nothing beyond "met" or "missed".
"""

from dataclasses import dataclass, field
from statistics import median
from typing import TYPE_CHECKING, Any

from rich.markup import escape

LOAD = 0.5  # cores that others may use where the clock's seconds are to be judged

if TYPE_CHECKING:
    from rich.console import RenderableType


@dataclass(frozen=True, slots=True)
class Line:
    """One figure, the median of its rounds. `note` says what belongs to it, or why there is none."""

    key: str
    group: str
    what: str
    values: tuple[float, ...] = ()  # one a round
    unit: str = ""
    least: float | None = None  # what is wanted: at least this
    most: float | None = None  # or at most this
    goal: float | None = None
    note: str = ""
    clock: bool = False  # of the clock's seconds, which are more where others use the machine

    @property
    def value(self) -> float | None:
        """The median; None where nothing was seen."""
        return median(self.values) if self.values else None

    @property
    def met(self) -> bool | None:
        """Whether it is as wanted; None where nothing is wanted or seen."""
        if self.value is None or (self.least is None and self.most is None):
            return None
        return (self.least is None or self.value >= self.least) and (
            self.most is None or self.value <= self.most
        )

    @property
    def wanted(self) -> str:
        """What is wanted, in a few characters."""
        bound = (
            f"≥ {self.least:g}"
            if self.least is not None
            else f"≤ {self.most:g}"
            if self.most is not None
            else ""
        )
        return f"{bound} (goal {self.goal:g})" if self.goal is not None else bound

    @property
    def seen(self) -> str:
        """What was seen, and below it the least and the most of several rounds."""
        if self.value is None:
            return "–"
        said = f"{_digits(self.value)}{self.unit}"
        return (
            f"{said}\n{_digits(min(self.values))} – {_digits(max(self.values))}" if self.values[1:] else said
        )


@dataclass(slots=True)
class Report:
    """All lines in their order, and beside them what was measured on and the figures behind the ratios."""

    measured_on: dict[str, dict[str, Any]]  # groups of facts
    load: float  # cores that were in use before
    lines: list[Line] = field(default_factory=list)
    figures: dict[str, Any] = field(default_factory=dict)
    failed: dict[str, str] = field(default_factory=dict)  # parts that could not be measured, and why

    def add(self, *lines: Line) -> None:
        self.lines += lines

    def as_json(self) -> dict[str, Any]:
        """Everything, for programs."""
        names = (*Line.__slots__, "value")
        lines = [
            {name: getattr(line, name) for name in names} | {"verdict": self.verdict(line)}
            for line in self.lines
        ]
        return {
            "measured_on": self.measured_on,
            "failed": self.failed,
            "lines": lines,
            "figures": self.figures,
        }

    def verdict(self, line: Line) -> str:
        """Whether a line is as wanted, in a word; empty where nothing is wanted or seen."""
        if line.met is None:
            return ""
        if line.clock and self.load > LOAD:
            return "not judged"
        return "met" if line.met else "missed"

    def as_heading(self) -> str:
        """What was measured on."""
        groups = (
            f"{name}: {', '.join(f'{fact} {value}' for fact, value in facts.items())}"
            for name, facts in self.measured_on.items()
        )
        busy = f"seconds of the clock are not judged: others used {self.load:g} of its cores before"
        return "\n".join([*groups, *([busy] if self.load > LOAD else [])])

    def as_table(self) -> "RenderableType":
        """The lines, for people."""
        from pipeline.cli.console import table

        made = table("", "", "seen", "wanted", "", right=("seen",))
        group = ""
        for line in self.lines:
            if line.group != group:
                group = line.group
                made.add_section()
                made.add_row(f"[bold]{escape(group)}[/]")
            said = f"{escape(line.what)}\n[dim]{escape(line.note)}[/]" if line.note else escape(line.what)
            made.add_row(said, line.seen, line.wanted, self.verdict(line))
        return made


def _digits(value: float) -> str:
    """A figure to three digits."""
    digits = 0 if value >= 100 else 1 if value >= 10 else 2 if value >= 0.1 else 3  # noqa: PLR2004
    return f"{value:,.{digits}f}"
