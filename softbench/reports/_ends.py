"""Numbers written beside marks of a panel whose axes are logarithmic, where there is room."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from softbench.reports import _axes, _tags
from softbench.reports._tags import Place

if TYPE_CHECKING:
    from matplotlib.axes import Axes

POINTS_PER_INCH = 72


def number(
    axes: Axes,
    wanted: Sequence[tuple[Place, str]],
    runs: Sequence[Sequence[Place]],
    uprights: Sequence[float] = (),
) -> None:
    """Write each of `wanted`, a place and its text, where it covers no line; else leave it out.

    Places are in the units of the axes, whose limits must stand already. runs: the marks of each
    line; uprights: where upright lines stand.
    """
    box, inches = axes.get_position(), axes.get_figure(root=True).get_size_inches()  # type: ignore[union-attr]
    size = (box.width * inches[0] * POINTS_PER_INCH, box.height * inches[1] * POINTS_PER_INCH)
    feet = [[(x, y) for y in axes.get_ylim()] for x in uprights]
    close = int(size[1] / _tags.HEIGHT)
    lines = [*((foot, close) for foot in feet), *((run, _tags.STEPS) for run in runs)]
    taken = [place for line, steps in lines for place in _along(axes, line, size, steps)]
    placed = _tags.place([(_points(axes, at, size), text) for at, text in wanted], taken, size)
    for (left, low), text in placed:
        at = (left / size[0], low / size[1])
        axes.text(*at, text, transform=axes.transAxes, va="bottom", color="#303030", zorder=6)


def _along(axes: Axes, run: Sequence[Place], size: Place, steps: int) -> list[Place]:
    return _tags.along([_points(axes, at, size) for at in run], steps)


def _points(axes: Axes, at: Place, size: Place) -> Place:
    across, up = _axes.Span(*axes.get_xlim()), _axes.Span(*axes.get_ylim())
    return across.share(at[0]) * size[0], up.share(at[1]) * size[1]
