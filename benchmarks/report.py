"""The report: one row for each goal, with measurement, reference and verdict."""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum

from benchmarks.measure import Figure


class Verdict(Enum):
    """Whether a goal was met."""

    STRETCH = "met (stretch)"
    MET = "met"
    MISSED = "missed"
    SHOWN = "shown"  # a figure without goal
    FAILED = "NOT MEASURED"


@dataclass(frozen=True)
class Goal:
    """``at_most`` or at least ``limit``; ``stretch`` is the same, further. ``each``: it is to hold
    in each run, not in their median alone."""

    limit: float
    stretch: float | None = None
    at_most: bool = True
    unit: str = "×"
    each: bool = False

    def judge(self, value: float) -> Verdict:
        if self.each and isinstance(value, Figure):
            value = (max if self.at_most else min)(value.runs)
        if self.stretch is not None and self._holds(value, self.stretch):
            return Verdict.STRETCH
        return Verdict.MET if self._holds(value, self.limit) else Verdict.MISSED

    def _holds(self, value: float, limit: float) -> bool:
        return value <= limit if self.at_most else value >= limit

    def __str__(self) -> str:
        sign = "≤" if self.at_most else "≥"
        more = "" if self.stretch is None else f" ({self.stretch:g})"
        return f"{sign} {self.limit:g}{self.unit}{more}{' in each run' if self.each else ''}"


@dataclass(frozen=True)
class Row:
    """One measurement and the goal for it."""

    what: str
    against: str
    value: float | None  # in the goal's unit
    goal: Goal | None
    detail: str = ""  # the figures that the value was computed from
    unit: str = "×"

    @property
    def verdict(self) -> Verdict:
        if self.value is None:
            return Verdict.FAILED
        return self.goal.judge(self.value) if self.goal else Verdict.SHOWN

    def cells(self) -> tuple[str, ...]:
        unit = self.goal.unit if self.goal else self.unit
        value = "-" if self.value is None else f"{self.value:.2f}{unit}"
        if isinstance(self.value, Figure) and len(self.value.runs) > 1:
            value += f" ({min(self.value.runs):.2f}–{max(self.value.runs):.2f})"
        goal = str(self.goal) if self.goal else "-"
        return self.what, value, goal, self.verdict.value, self.against, self.detail


def failed(what: str, error: BaseException) -> Row:
    reason = (str(error).strip() or type(error).__name__).splitlines()[0]
    return Row(what, "-", None, None, f"{type(error).__name__}: {reason}"[:100])


HEADINGS = ("what", "median (lowest–highest)", "goal", "verdict", "against", "figures (medians)")


def table(rows: Iterable[Row]) -> str:
    """A Markdown table, aligned for a terminal too."""
    lines = [HEADINGS, *(row.cells() for row in rows)]
    widths = [max(len(line[column]) for line in lines) for column in range(len(HEADINGS))]
    padded = [f"| {' | '.join(map(str.ljust, line, widths))} |" for line in lines]
    rule = "|" + "|".join("-" * (width + 2) for width in widths) + "|"
    return "\n".join([padded[0], rule, *padded[1:]])
