"""A line's scaling law in a table's words: exponent, floor, local exponents, verdict and why."""

from __future__ import annotations

from dataclasses import dataclass

from softbench.reports._grid import ABSENT, Cell
from softbench.reports._lines import Line
from softbench.reports._units import number, percent, steps_of
from softbench.statistics.local_exponents import LocalExponent, local_exponents
from softbench.statistics.power_law import Parameter, PowerLaw
from softbench.statistics.verdict import BANDS, FEWEST_LENGTHS, Verdict, verdict

NEGLIGIBLE = 1e-6  # of the cost at the smallest length: a floor below is none
# Why a verdict is undetermined, as a letter in the table and in words under it.
WHY = {
    "a": "the exponent's interval lies in neither band",
    "b": "the verdict is another without the smallest length",
    "c": f"fewer than {FEWEST_LENGTHS} lengths, or a value that is not positive",
    "d": "one process at some length",
}


@dataclass(frozen=True)
class Finding:
    """What a line's measurements say of how it grows; law is None where there is no fit."""

    line: Line
    law: PowerLaw | None
    steps: tuple[LocalExponent, ...]
    verdict: Verdict

    @property
    def why(self) -> str:
        """The letter of WHY; empty where there is a verdict."""
        if self.verdict.kind != "undetermined":
            return ""
        if self.law is None or len(self.law.lengths) < FEWEST_LENGTHS:
            return "c"
        if self.law.without_interval:
            return "d"
        return "b" if _in_a_band(self.law.exponent) else "a"

    @property
    def cells(self) -> tuple[Cell, ...]:
        """Exponent, floor, local exponents, n, distance from the law, verdict."""
        texts = (
            exponent(self.law),
            floor(self.law, self.line.unit),
            _ends(self.steps),
            f"{len(self.line.medians)} × {self.num_processes}",
            percent(self.law.misfit) if self.law and self.law.holds is False else "",
            self.verdict.kind + (f" ({self.why})" if self.why else ""),
        )
        return tuple(Cell(text or ABSENT) for text in texts)

    @property
    def num_processes(self) -> int:
        """The fewest at any length."""
        return min(map(len, self.line.medians.values()), default=0)


def finding(line: Line) -> Finding:
    """The law, the local exponents and the verdict of a line's measurements."""
    law, medians = line.law, line.medians
    positive = all(min(values) > 0 for values in medians.values())
    if not positive:
        return Finding(line, None, (), Verdict("undetermined", "a value is not positive"))
    told = verdict(medians, processes=line.processes)
    return Finding(line, law, tuple(local_exponents(medians)), told)


def exponent(law: PowerLaw | None) -> str:
    """The exponent with its interval; alone where it is that of counts."""
    if law is None:
        return ""
    found = law.exponent
    if found.low is None or found.high is None or found.low == found.high:
        return f"{found.value:.2f}"
    return f"{found.value:.2f} [{found.low:.2f}, {found.high:.2f}]"


def floor(law: PowerLaw | None, unit: str) -> str:
    """What a call costs whatever its length, with its interval, all in one unit."""
    if law is None:
        return ""
    found = law.floor
    least = law.at(law.lengths[0])
    nothing, most = NEGLIGIBLE * least, max(found.value, found.high or 0.0)
    size, shown = _step(most if most > nothing else least, unit)
    ends = (found.value, found.low or 0.0, found.high or 0.0)
    value, low, high = ("0" if end <= nothing else number(end / size) for end in ends)
    if found.low is None or found.low == found.high:
        return f"{value} {shown}".strip()
    return f"{value} [{low}, {high}] {shown}".strip()


def _step(value: float, unit: str) -> tuple[float, str]:
    """The unit in which `value` is at least 1."""
    steps = steps_of(unit)
    return next((step for step in reversed(steps) if value >= step[0]), steps[0])


def _ends(steps: tuple[LocalExponent, ...]) -> str:
    """The first local exponent and the last."""
    if not steps:
        return ""
    return f"{steps[0].exponent.value:.2f} → {steps[-1].exponent.value:.2f}"


def _in_a_band(found: Parameter) -> bool:
    ends = found.low, found.high
    if ends[0] is None or ends[1] is None:
        return False
    return any(low <= ends[0] and ends[1] <= high for low, high in BANDS.values())
