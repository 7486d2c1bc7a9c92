"""Cells of which nothing says how high they would be: marks at a panel's upper edge."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from softbench.reports import _axes, _marks
from softbench.reports._points import Point, Series
from softbench.reports._style import Stroke

if TYPE_CHECKING:
    from matplotlib.axes import Axes

MOST_HANGING = 3  # marks one below the other


def unknown(point: Point) -> bool:
    """Whether nothing says how high the point stands."""
    return point.status != "unsupported" and point.height is None


def shelves(points: Sequence[Point]) -> int:
    """How many marks of unknown height hang at one place, at most."""
    places = Counter((point.mode, point.seq_len) for point in points if unknown(point))
    return max((1 if many > MOST_HANGING else many for many in places.values()), default=0)


def hang(axes: Axes, unknown: Sequence[Point], strokes: Mapping[Series, Stroke]) -> None:
    """Cells of unknown height hang from the panel's upper edge, side by side downwards.

    Too many at one length are one grey mark and their number.
    """
    hanging: dict[int, list[Point]] = defaultdict(list)
    for point in unknown:
        hanging[point.seq_len].append(point)
    for length, some in hanging.items():
        if len(some) > MOST_HANGING:
            usual = Counter(point.status for point in some).most_common(1)[0][0]
            _hang(axes, length, 0, usual, _marks.GREY)
            _number(axes, length, len(some))
            continue
        for place, point in enumerate(some):
            _hang(axes, length, place, point.status, strokes[point.series].look.colour)


def _hang(axes: Axes, length: int, place: int, status: str, colour: str) -> None:
    """One mark and the arrowhead above it, the first at `place` 0."""
    top = 1.0 - _axes.SHELF * place
    at: dict[str, Any] = {"transform": axes.get_xaxis_transform(), "clip_on": False, "zorder": 4}
    axes.plot([length], [top - 0.035], **at, **_marks.failure(status, colour))
    axes.plot([length], [top + 0.012], **at, **_marks.arrowhead(colour))


def _number(axes: Axes, length: int, count: int) -> None:
    """How many hang there, left of their mark."""
    up = axes.get_xaxis_transform()
    beside: dict[str, Any] = {"ha": "right", "va": "center", "color": _marks.GREY}
    beside["bbox"] = {"facecolor": "white", "edgecolor": "none", "pad": 0.4}
    axes.annotate(f"{count} ×", (length, 0.965), (-5, 0), up, textcoords="offset points", **beside)
