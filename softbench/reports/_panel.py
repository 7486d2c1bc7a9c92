"""One panel: a line with intervals for each series, and a mark for every cell not measured.

A line breaks where a cell is missing; a thin dashed thread leads on to what was predicted there,
and beyond the lengths that were tried. A cell without prediction stands at the panel's upper edge
under an arrowhead: how high it would be is not known. Calls too few for an interval are drawn one
by one as dots. A launch-bound mark is open around a dot.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from softbench.reports import _axes, _edge, _guides, _marks
from softbench.reports._column import Column
from softbench.reports._points import Point, Series
from softbench.reports._style import Stroke

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def draw(
    axes: Axes,
    column: Column,
    strokes: Mapping[Series, Stroke],
    up: _axes.Span,
    lengths: Sequence[int],
) -> None:
    """Draw one mode's points of `column` on axes whose heights span `up`, at all `lengths`."""
    across = _axes.length_span(lengths)
    _axes.lay(axes, across, up, lengths, column.unit)
    ends = [(point.seq_len, point.height) for point in column.shown]
    _guides.draw(axes, across, up, [(x, y) for x, y in ends if y is not None and y > 0])
    for series, stroke in strokes.items():
        own = [point for point in column.points if point.series == series]
        _line(axes, own, stroke)
        _beyond(axes, own, [p for p in column.beyond if p.series == series], stroke.look.colour)
    _edge.hang(axes, [point for point in column.points if _edge.unknown(point)], strokes)


def _line(axes: Axes, points: Sequence[Point], stroke: Stroke) -> None:
    shown = sorted((p for p in points if p.status != "unsupported"), key=lambda p: p.seq_len)
    lengths = [point.seq_len for point in shown]
    measured = [_positive(p.height) if p.estimate else math.nan for p in shown]
    colour = stroke.look.colour
    _threads(axes, [point for point in shown if not _edge.unknown(point)], colour)
    axes.plot(
        lengths, measured, linewidth=_marks.LINE_WIDTH, linestyle=stroke.dash, **_marks.mark(stroke)
    )
    for point in shown:
        _doubt(axes, point, colour)
        if not point.estimate and point.predicted is not None:
            at = ([point.seq_len], [_positive(point.predicted)])
            axes.plot(*at, zorder=4, **_marks.failure(point.status, colour))
        if point.estimate and point.remarks.launch_bound:
            _open(axes, point, stroke)


def _open(axes: Axes, point: Point, stroke: Stroke) -> None:
    at = ([point.seq_len], [_positive(point.height)])
    axes.plot(*at, zorder=3.5, **_marks.open_mark(stroke))
    axes.plot(*at, ".", color=stroke.look.colour, markersize=1.6, zorder=3.6)


def _threads(axes: Axes, known: Sequence[Point], colour: str) -> None:
    """Threads to predicted points only: under a dashed line they would change its look."""
    for left, right in itertools.pairwise(known):
        if left.estimate is None or right.estimate is None:
            _thread(axes, [left, right], colour)


def _thread(axes: Axes, along: Sequence[Point], colour: str) -> None:
    lengths = [point.seq_len for point in along]
    heights = [_positive(point.height) for point in along]
    axes.plot(lengths, heights, color=colour, zorder=2, **_marks.THREAD)


def _beyond(axes: Axes, tried: Sequence[Point], beyond: Sequence[Point], colour: str) -> None:
    """The thread from the last length that was tried, if its height is known, to the end."""
    known = [p for p in tried if p.status != "unsupported" and p.height is not None]
    ordered = sorted([*known[-1:], *beyond], key=lambda point: point.seq_len)
    if beyond:
        _thread(axes, ordered, colour)


def _doubt(axes: Axes, point: Point, colour: str) -> None:
    """The interval as a thin bar, or the calls themselves where they are too few for one."""
    found = point.estimate
    if found is None:
        return
    if found.low is not None and found.high is not None:
        bar = [[found.centre - found.low], [found.high - found.centre]]
        axes.errorbar(
            point.seq_len, found.centre, bar, color=colour, linewidth=0.7, capsize=1.6, zorder=2.5
        )
    elif found.without_interval == "few calls":
        calls = [call for process in found.raw for call in process if call > 0]
        axes.plot([point.seq_len] * len(calls), calls, ".", color=colour, markersize=1.6, zorder=5)


def sideways(axes: Axes, point: Point, height: float, colour: str) -> None:
    """The interval of a quantity that is drawn across, as a thin level bar."""
    found = point.estimate
    if found and found.low is not None and found.high is not None:
        ends = ([found.low, found.high], [height, height])
        axes.plot(*ends, color=colour, linewidth=0.7, zorder=2.5)


def _positive(height: float | None) -> float:
    """A height that a logarithmic axis can show; zero is a gap."""
    return height if height is not None and height > 0 else math.nan
