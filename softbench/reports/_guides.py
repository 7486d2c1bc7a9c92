"""Thin grey lines of slope 1 and 2, named where they run, to judge the measured slopes by.

The linear guide runs just below the lowest series at the greatest length, the quadratic one just
above the highest: beside the data, where they hide nothing.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

from softbench.reports._axes import Span

if TYPE_CHECKING:
    from matplotlib.axes import Axes

GREY = "#8A8A8A"
NAME = "#5A5A5A"  # of a guide, as it is printed
GAP = 0.04  # of the panel, between a guide and the series it runs beside
NAMES = {1: "∝ N", 2: "∝ N²"}


def draw(axes: Axes, across: Span, up: Span, ends: Sequence[tuple[int, float]]) -> None:
    """Draw both guides, given (tokens, height) of every point drawn; nothing for one length."""
    if len({length for length, _ in ends}) < 2:
        return
    last = max(length for length, _ in ends)
    heights = [height for length, height in ends if length == last]
    gap = up.at(GAP) / up.low
    _guide(axes, across, up, power=1, anchor=(last, min(heights) / gap))
    _guide(axes, across, up, power=2, anchor=(last, max(heights) * gap))


def _guide(axes: Axes, across: Span, up: Span, *, power: int, anchor: tuple[int, float]) -> None:
    length, height = anchor
    lengths = [across.at(step / 50) for step in range(51)]
    heights = [height * (x / length) ** power for x in lengths]
    axes.plot(lengths, heights, color=GREY, linewidth=0.7, zorder=1, scalex=False, scaley=False)
    name_at = _place(list(zip(lengths, heights, strict=True)), up)
    if name_at:
        # The quadratic's empty side is above it, the linear's below.
        label(axes, NAMES[power], name_at, power=power, above=power == 2)


def _place(line: Sequence[tuple[float, float]], up: Span) -> tuple[float, float] | None:
    """Far right on the line, where its name still fits inside the panel."""
    room = [(x, y) for x, y in line[:49] if up.at(0.09) < y < up.at(0.86)]
    return room[-1] if room else None


def label(axes: Axes, text: str, at: tuple[float, float], *, power: float, above: bool) -> None:
    """Write `text` along a line of slope `power`, ending at `at`, beside the line.

    The limits of the axes and their place in the figure must stand already.
    """
    across, up = Span(*axes.get_xlim()), Span(*axes.get_ylim())
    box, size = axes.get_position(), axes.get_figure(root=True).get_size_inches()  # type: ignore[union-attr]
    right = box.width * size[0] / math.log(across.high / across.low)
    rise = power * box.height * size[1] / math.log(up.high / up.low)
    angle = math.atan2(rise, right)
    off = 5 if above else -5
    axes.annotate(
        text,
        at,
        xytext=(-off * math.sin(angle), off * math.cos(angle)),
        textcoords="offset points",
        rotation=math.degrees(angle),
        rotation_mode="anchor",
        ha="right",
        va="center",
        color=NAME,
    )
