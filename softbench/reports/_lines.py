"""The lines of a figure as what a scaling law is fitted to: a series, a mode, a quantity.

A launch-bound point is not in the fit, since its time is not the device's.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

from softbench.case import Mode
from softbench.reports._labels import order
from softbench.reports._points import Point, Series
from softbench.statistics.power_law import FEWEST_LENGTHS, PowerLaw, fit, ribbon
from softbench.statistics.verdict import FEWEST_LENGTHS as FEWEST_FOR_A_VERDICT

STEPS = 24  # places of a ribbon
WIDEST = 10.0  # a ribbon from a to 10 a says nothing any more


@dataclass(frozen=True)
class Line:
    """The measured points of one series, mode and quantity; those in the fit and those left out."""

    series: Series
    mode: Mode
    quantity: str
    unit: str
    points: tuple[Point, ...]
    left_out: tuple[Point, ...]

    @property
    def medians(self) -> dict[int, tuple[float, ...]]:
        """One median a process, by length."""
        return {p.seq_len: p.estimate.medians for p in self.points if p.estimate}

    @property
    def processes(self) -> dict[int, tuple[int, ...]]:
        """Which process each of them is of: one measures all lengths of a repeat."""
        return {p.seq_len: p.repeats for p in self.points if p.estimate}

    @property
    def law(self) -> PowerLaw | None:
        """The law that fits best; None where there are too few lengths for one."""
        return fit(self.medians, processes=self.processes) if self._fits() else None

    def ribbon(self) -> list[tuple[float, float, float]]:
        """The interval of the law's curve as (length, low, high), between the first and the last.

        Empty where there is no law, no interval, or one so wide that it says nothing.
        """
        if len(self.points) < FEWEST_FOR_A_VERDICT or not self._fits():
            return []
        low, high = min(self.medians), max(self.medians)
        between = [low * (high / low) ** (step / STEPS) for step in range(1, STEPS)]
        places = [float(low), *between, float(high)]
        told = ribbon(self.medians, places, processes=self.processes)
        found = zip(places, told, strict=True)
        along = [(x, p.low, p.high) for x, p in found if p.low is not None and p.high is not None]
        return along if all(b <= WIDEST * a for _, a, b in along) else []

    def _fits(self) -> bool:
        positive = all(min(values) > 0 for values in self.medians.values())
        return positive and len(self.points) >= FEWEST_LENGTHS


def lines(points: Sequence[Point]) -> list[Line]:
    """Every line of `points` with something measured, series by series in the usual order."""
    found: dict[tuple[Series, Mode, str], list[Point]] = defaultdict(list)
    for point in points:
        if point.estimate:
            found[point.series, point.mode, point.quantity].append(point)
    ordered = sorted(found.items(), key=lambda item: (order(item[0][0]), item[0][1:]))
    return [_line(*key, along) for key, along in ordered]


def _line(series: Series, mode: Mode, quantity: str, along: Sequence[Point]) -> Line:
    kept = tuple(point for point in along if not point.remarks.launch_bound)
    left_out = tuple(point for point in along if point.remarks.launch_bound)
    return Line(series, mode, quantity, along[0].unit, kept, left_out)
