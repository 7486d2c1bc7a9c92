"""What lies over and under a panel's lines: the fitted law's ribbon, bars of crossings, a level."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from softbench.reports import _guides
from softbench.reports._bars import Bar
from softbench.reports._column import Column
from softbench.reports._lines import Line
from softbench.reports._marks import mark
from softbench.reports._points import Series
from softbench.reports._style import Stroke

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Strokes = Mapping[Series, Stroke]
BAR: dict[str, Any] = {"linewidth": 1.6, "solid_capstyle": "butt"}
RIBBON: dict[str, Any] = {"alpha": 0.2, "linewidth": 0}
HERE = "this machine"  # the level of its memory
STEP, FOOT = 0.036, 0.03  # of the panel's height: from bar to bar, and below the first
ROOM = 2  # bars that fit below the lines without more room
EDGES = (4, 5)  # matplotlib's carets that point left and right
ASIDE = 1.13  # from the first or last length to a caret


def foot(every: Column) -> float:
    """How much room the bars of any mode need below the lines, in parts of the drawn span."""
    most = max((len(every.of(mode).bars) for mode in every.modes), default=0)
    return STEP * max(0, most - ROOM)


def draw(axes: Axes, shown: Column, strokes: Strokes) -> None:
    """All that belongs to one mode of a column, on axes whose limits stand."""
    _ribbons(axes, shown.laws, strokes)
    _bars(axes, shown.bars, strokes)
    low, high = axes.get_ylim()
    if shown.limit and low < shown.limit < high:
        _level(axes, shown.limit)


def _ribbons(axes: Axes, found: Sequence[Line], strokes: Strokes) -> None:
    """The 95 % interval of each line's law, between its first and last length."""
    for line in found:
        if along := line.ribbon():
            xs, lows, highs = zip(*along, strict=True)
            colour = strokes[line.series].look.colour
            axes.fill_between(xs, lows, highs, color=colour, zorder=1.2, **RIBBON)


def _bars(axes: Axes, found: Sequence[Bar], strokes: Strokes) -> None:
    """A level bar at the panel's foot for each crossing, its mechanism's mark where curves cross.

    A caret stands beside an end that lies beyond the lengths.
    """
    for place, bar in enumerate(reversed(found)):
        height, stroke = FOOT + STEP * place, strokes[bar.series]
        style: dict[str, Any] = {"transform": axes.get_xaxis_transform(), "clip_on": False}
        colour: dict[str, Any] = {"color": stroke.look.colour}
        if bar.right > bar.left:
            axes.plot([bar.left, bar.right], [height] * 2, zorder=3, **BAR, **style, **colour)
        small = {**mark(stroke), "markersize": 2.8, "zorder": 3.1}
        axes.plot([bar.at or bar.left], [height], **small, **style)
        for end, caret in zip(_carets(bar), EDGES, strict=True):
            if end:
                axes.plot([end], [height], marker=caret, markersize=2.8, **style, **colour)


def _carets(bar: Bar) -> tuple[float | None, float | None]:
    """Where the carets stand: outside of the end that is open."""
    left, right = bar.open_ends
    return left and left / ASIDE, right and right * ASIDE


def _level(axes: Axes, memory: float) -> None:
    """A level line at the machine's memory."""
    axes.axhline(memory, color=_guides.GREY, linewidth=0.7, zorder=1)
    left = axes.get_yaxis_transform()
    axes.annotate(
        HERE, (0.015, memory), (0, 2), left, textcoords="offset points", color=_guides.NAME
    )
