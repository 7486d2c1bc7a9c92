"""One panel: a line with intervals for each series, and a mark for every cell not measured.

A line breaks where a cell is missing; a dotted thread leads on to what was predicted there. A
cell without prediction stands at the panel's upper edge under an arrowhead: how high it would be
is not known. Calls too few for an interval are drawn one by one as dots.
"""

from __future__ import annotations

import itertools
import math
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from softbench.reports import _axes, _guides
from softbench.reports._points import Point, Series
from softbench.reports._style import Stroke

if TYPE_CHECKING:
    from matplotlib.axes import Axes

# Open shapes that no mechanism uses.
FAILED: dict[str, str | tuple[int, int, int]] = {
    "skipped": "o",
    "out_of_memory": "x",
    "timeout": "1",
    "error": (6, 2, 0),
}
UNKNOWN_HEIGHT = 6  # matplotlib's caret pointing up
LINE_WIDTH = 1.1
MARKER_SIZE = 3.8


def draw(
    axes: Axes,
    points: Sequence[Point],
    strokes: Mapping[Series, Stroke],
    up: _axes.Span,
    lengths: Sequence[int],
    unit: str,
) -> None:
    """Draw the points of one quantity and mode on axes whose heights span `up`."""
    across = _axes.length_span(lengths)
    _axes.lay(axes, across, up, lengths, unit)
    ends = [(point.seq_len, point.height) for point in points]
    _guides.draw(axes, across, up, [(x, y) for x, y in ends if y is not None and y > 0])
    for series, stroke in strokes.items():
        _line(axes, [point for point in points if point.series == series], stroke)
    _edge(axes, [point for point in points if unknown(point)], strokes)


def mark(stroke: Stroke) -> dict[str, Any]:
    """The marker of a series, as matplotlib's options."""
    hollow = stroke.fill == "none"
    return {
        "color": stroke.look.colour,
        "marker": stroke.look.marker,
        # A larger hollow mark lies beneath a filled one: both show where two series coincide.
        "markersize": MARKER_SIZE + (2.0 if hollow else 0),
        "zorder": 2.8 if hollow else 3,
        "markeredgewidth": 0.7 if hollow else 0.3,
        "fillstyle": "full" if hollow else stroke.fill,
        "markerfacecolor": "white" if hollow else stroke.look.colour,
        "markerfacecoloralt": "white",
    }


def failure(status: str, colour: str) -> dict[str, Any]:
    """The mark of a cell that was not measured, as matplotlib's options."""
    return {
        "color": colour,
        "marker": FAILED[status],
        "markersize": MARKER_SIZE + 1.4,
        "markeredgewidth": 1.0,
        "markerfacecolor": "white",
        "linestyle": "none",
    }


def arrowhead(colour: str) -> dict[str, Any]:
    """What stands above a cell whose height is not known, as matplotlib's options."""
    return {"color": colour, "marker": UNKNOWN_HEIGHT, "markersize": 3}


def _line(axes: Axes, points: Sequence[Point], stroke: Stroke) -> None:
    shown = sorted((p for p in points if p.status != "unsupported"), key=lambda p: p.seq_len)
    lengths = [point.seq_len for point in shown]
    measured = [_positive(p.height) if p.estimate else math.nan for p in shown]
    colour = stroke.look.colour
    _threads(axes, [point for point in shown if not unknown(point)], colour)
    axes.plot(lengths, measured, linewidth=LINE_WIDTH, linestyle=stroke.dash, **mark(stroke))
    for point in shown:
        _doubt(axes, point, colour)
        if not point.estimate and point.predicted is not None:
            at = ([point.seq_len], [_positive(point.predicted)])
            axes.plot(*at, zorder=4, **failure(point.status, colour))


def _threads(axes: Axes, known: Sequence[Point], colour: str) -> None:
    """Dotted threads to predicted points only: under a dashed line they would change its look."""
    for left, right in itertools.pairwise(known):
        if left.estimate is None or right.estimate is None:
            ends = [left.seq_len, right.seq_len], [_positive(p.height) for p in (left, right)]
            axes.plot(*ends, color=colour, linewidth=0.6, linestyle=":", zorder=2)


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


def _edge(axes: Axes, unknown: Sequence[Point], strokes: Mapping[Series, Stroke]) -> None:
    """Cells of unknown height hang from the panel's upper edge, side by side downwards."""
    hanging: dict[int, int] = defaultdict(int)
    up = axes.get_xaxis_transform()
    for point in unknown:
        top = 1.0 - _axes.SHELF * hanging[point.seq_len]
        hanging[point.seq_len] += 1
        colour = strokes[point.series].look.colour
        style = failure(point.status, colour)
        axes.plot([point.seq_len], [top - 0.035], transform=up, clip_on=False, zorder=4, **style)
        tip = ([point.seq_len], [top + 0.012])
        axes.plot(*tip, transform=up, clip_on=False, zorder=4, **arrowhead(colour))


def unknown(point: Point) -> bool:
    """Whether nothing says how high the point stands."""
    return point.status != "unsupported" and point.height is None


def shelves(points: Sequence[Point]) -> int:
    """How many marks of unknown height hang at one place, at most."""
    places = Counter((point.mode, point.seq_len) for point in points if unknown(point))
    return max(places.values(), default=0)


def _positive(height: float | None) -> float:
    """A height that a logarithmic axis can show; zero is a gap."""
    return height if height is not None and height > 0 else math.nan
