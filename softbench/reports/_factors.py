"""The panels of the speed-up figure: how many times as fast, along the tokens, with intervals."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from softbench.case import Mode
from softbench.reports import _axes, _marks, _page, _sheet, _style
from softbench.reports._groups import MODES
from softbench.reports._labels import MODE
from softbench.reports._points import Series
from softbench.statistics.comparison import Ratio

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

ASPECT = 0.72  # height over width of a panel
ROOM = 1.15  # the axis of factors reaches past the farthest of them by this


@dataclass(frozen=True)
class Factor:
    """How many times as fast one backend is as the other that a column holds it against."""

    series: Series
    mode: Mode
    seq_len: int
    ratio: Ratio


def draw(
    columns: Mapping[str, Sequence[Factor]], names: Mapping[Series, str], notes: Sequence[str]
) -> Figure:
    """A column of panels for each name in `columns`, a row for each mode; notes at the foot."""
    from matplotlib.figure import Figure

    every = [factor for column in columns.values() for factor in column]
    shown = {factor.series for factor in every}
    strokes = {one: s for one, s in _style.strokes(list(names)).items() if one in shown}
    legend = [_sheet.series_handle(names[one], stroke) for one, stroke in strokes.items()]
    modes = [mode for mode in MODES if any(factor.mode == mode for factor in every)]
    page = _page.arrange(len(modes), len(columns), _sheet.texts([legend]), notes, aspect=ASPECT)
    figure = Figure(figsize=(_page.WIDTH, page.height))
    for row, (boxes, mode) in enumerate(zip(page.boxes, modes, strict=True)):
        for box, (name, column) in zip(boxes, columns.items(), strict=True):
            axes = figure.add_axes(box)
            _panel(axes, column, mode, strokes)
            axes.set_title(name if row == 0 else "")
            axes.set_xlabel("tokens N" if row == len(modes) - 1 else "")
            axes.tick_params(labelbottom=row == len(modes) - 1)
    _sheet.furnish(figure, page, [legend], [MODE[mode] for mode in modes])
    return figure


def _panel(
    axes: Axes, column: Sequence[Factor], mode: Mode, strokes: Mapping[Series, _style.Stroke]
) -> None:
    lengths = sorted({factor.seq_len for factor in column})
    ends = [end for f in column for end in (f.ratio.low, f.ratio.centre, f.ratio.high) if end]
    up = _axes.Span(min(*ends, 1.0) / ROOM, max(*ends, 1.0) * ROOM)
    _axes.lay(axes, _axes.length_span(lengths), up, lengths, "1")
    axes.axhline(1.0, color=_marks.GREY, linewidth=0.8, zorder=1.5)
    for series, stroke in strokes.items():
        own = [f for f in column if (f.series, f.mode) == (series, mode) and f.ratio.centre]
        _line(axes, sorted(own, key=lambda factor: factor.seq_len), stroke)


def _line(axes: Axes, along: Sequence[Factor], stroke: _style.Stroke) -> None:
    """Marks joined by a line, each with the bar of its interval where it has one."""
    xs = [factor.seq_len for factor in along]
    axes.plot(
        xs,
        _ends(along, lambda ratio: ratio.centre),
        linestyle=stroke.dash,
        linewidth=_marks.LINE_WIDTH,
        **_marks.mark(stroke),
    )
    bars = [f for f in along if f.ratio.low is not None and f.ratio.high is not None]
    axes.vlines(
        [factor.seq_len for factor in bars],
        _ends(bars, lambda ratio: ratio.low),
        _ends(bars, lambda ratio: ratio.high),
        color=stroke.look.colour,
        linewidth=0.8,
    )


def _ends(along: Sequence[Factor], of: Callable[[Ratio], float | None]) -> list[float]:
    return [end for factor in along if (end := of(factor.ratio)) is not None]
