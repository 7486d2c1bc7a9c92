"""What one column of panels shows: a quantity's points, and where its lines go on beyond them.

Bytes can be predicted at lengths at which nothing could run. The prediction of a case also says how
high the case stands where measuring it failed and nothing else tells.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from softbench.case import Mode
from softbench.reports import _machine
from softbench.reports._bars import Bar, bars
from softbench.reports._groups import MODES, Group
from softbench.reports._lines import Line, lines
from softbench.reports._points import Point, Series

PREDICTOR = {"peak_memory": "predicted_peak_memory"}


@dataclass(frozen=True)
class Column:
    """One quantity; `beyond` are predictions past what was tried.

    points and beyond hold all modes, so that the panels of a column share their axes. limit: the
    machine's memory, where a prediction exceeds it.
    """

    quantity: str
    unit: str
    points: tuple[Point, ...]
    beyond: tuple[Point, ...] = ()
    limit: float | None = None

    @property
    def shown(self) -> tuple[Point, ...]:
        """Everything that must have room."""
        return (*self.points, *self.beyond)

    @property
    def lengths(self) -> list[int]:
        """The lengths of anything to show; all that were asked for where nothing was supported."""
        tried = {point.seq_len for point in self.shown if point.status != "unsupported"}
        return sorted(tried or {point.seq_len for point in self.shown})

    @property
    def modes(self) -> list[Mode]:
        """The modes that occur."""
        return [mode for mode in MODES if any(point.mode == mode for point in self.shown)]

    @property
    def laws(self) -> list[Line]:
        """The lines under which the ribbon of their law is drawn: those of times."""
        return lines(self.points) if self.unit == "s" else []

    @property
    def bars(self) -> list[Bar]:
        """The bars of one mode of a time: where mechanisms overtake softmax."""
        return bars(self.points) if self.unit == "s" else []

    def of(self, mode: Mode) -> Column:
        """The same of one mode."""
        return replace(
            self,
            points=tuple(point for point in self.points if point.mode == mode),
            beyond=tuple(point for point in self.beyond if point.mode == mode),
        )


def column(group: Group, quantity: str, facts: dict[str, Any]) -> Column:
    """The column of `quantity`, which the group holds; `facts` are what is known of the machine."""
    found = [point for point in group.points if point.quantity == quantity]
    predicted = [
        point
        for point in group.points
        if point.quantity == PREDICTOR.get(quantity) and point.estimate
    ]
    points, beyond = _foreseen(found, predicted), _beyond(found, predicted)
    memory = _machine.memory(str(group.fixed["device"]), facts) if predicted else None
    exceeded = memory and any((point.height or 0) > memory for point in (*points, *beyond))
    limit = memory if exceeded else None
    return Column(quantity, found[0].unit, tuple(points), tuple(beyond), limit)


def _foreseen(found: Sequence[Point], predicted: Sequence[Point]) -> list[Point]:
    """The points; what failed without a prediction takes the one that was counted for its case."""
    heights = {point.case.id: point.estimate.centre for point in predicted if point.estimate}
    return [
        replace(point, predicted=heights.get(point.case.id)) if _lost(point) else point
        for point in found
    ]


def _lost(point: Point) -> bool:
    return point.status not in ("ok", "unsupported") and point.predicted is None


def _beyond(found: Sequence[Point], predicted: Sequence[Point]) -> list[Point]:
    """The predictions for lengths greater than any at which the same series was tried."""
    last: dict[tuple[Series, Mode], int] = {}
    for point in found:
        if point.status != "unsupported":
            line = (point.series, point.mode)
            last[line] = max(last.get(line, 0), point.seq_len)
    return [p for p in predicted if p.seq_len > last.get((p.series, p.mode), p.seq_len)]
