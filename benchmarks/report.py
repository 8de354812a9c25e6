"""The report: lines with what was seen and what is wanted, as a table and as JSON.

Does not measure, and judges nothing beyond "met" or "missed".
"""

from dataclasses import dataclass, field
from statistics import median
from typing import TYPE_CHECKING, Any

from rich.markup import escape

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

    measured_on: dict[str, Any]
    lines: list[Line] = field(default_factory=list)
    figures: dict[str, Any] = field(default_factory=dict)

    def add(self, *lines: Line) -> None:
        self.lines += lines

    def as_json(self) -> dict[str, Any]:
        """Everything, for programs."""
        lines = [
            {name: getattr(line, name) for name in (*Line.__slots__, "value", "met")} for line in self.lines
        ]
        return {"measured_on": self.measured_on, "lines": lines, "figures": self.figures}

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
            mark = {True: "met", False: "missed", None: ""}[line.met]
            said = f"{escape(line.what)}\n[dim]{escape(line.note)}[/]" if line.note else escape(line.what)
            made.add_row(said, line.seen, line.wanted, mark)
        return made


def _digits(value: float) -> str:
    """A figure to three digits."""
    digits = 0 if value >= 100 else 1 if value >= 10 else 2 if value >= 0.1 else 3  # noqa: PLR2004
    return f"{value:,.{digits}f}"
