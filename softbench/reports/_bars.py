"""From which length on each mechanism is faster than the best softmax: the bars under a panel.

The best softmax is, at each length, the backend with the lowest time; where that one was predicted
and not measured, the length counts for nothing.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

from softbench.reports._duels import RIVAL
from softbench.reports._labels import order
from softbench.reports._points import Point, Series
from softbench.statistics.crossing import Crossing, crossing

MOST = 6  # more would not be readable


@dataclass(frozen=True)
class Bar:
    """Where a mechanism overtakes the best softmax for good, among the lengths of both."""

    series: Series
    found: Crossing

    @property
    def at(self) -> float | None:
        """Where the curves cross; None where the mechanism is faster from the first length on."""
        return self.found.at

    @property
    def left(self) -> float:
        """Where the bar begins."""
        return self.found.low or self.found.lengths[0]

    @property
    def right(self) -> float:
        """Where the bar ends."""
        return self.found.high or self.found.lengths[-1]

    @property
    def open_ends(self) -> tuple[float | None, float | None]:
        """The first and last length, where the interval does not end within them."""
        first, last = self.found.lengths[0], self.found.lengths[-1]
        return None if self.found.low else first, None if self.found.high else last


def bars(points: Sequence[Point]) -> list[Bar]:
    """A bar for each mechanism of one mode that is the faster one at the end.

    None at all where there are too many to be read.
    """
    rivals: dict[tuple[str, int, int], list[Point]] = defaultdict(list)
    own: dict[Series, list[Point]] = defaultdict(list)
    for point in points:
        if point.series.attention == RIVAL:
            rivals[_alike(point)].append(point)
        elif point.estimate:
            own[point.series].append(point)
    best = {key: min(some, key=_height) for key, some in rivals.items()}
    found = [Bar(series, _crossing(along, best)) for series, along in own.items()]
    drawn = [bar for bar in found if bar.found.lengths and (bar.at or bar.found.high)]
    return sorted(drawn, key=lambda bar: order(bar.series)) if len(drawn) <= MOST else []


def _crossing(along: Sequence[Point], best: dict[tuple[str, int, int], Point]) -> Crossing:
    pairs = {
        point.seq_len: (point.estimate, rival.estimate)
        for point in along
        if (rival := best.get(_alike(point))) and point.estimate and rival.estimate
    }
    return crossing(pairs, "lower")


def _alike(point: Point) -> tuple[str, int, int]:
    """What a mechanism and the softmax it is held against have in common."""
    return point.series.layout, point.series.seed, point.seq_len


def _height(point: Point) -> float:
    return float("inf") if point.height is None else point.height
