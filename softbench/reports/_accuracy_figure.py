"""The figure of accuracy against costs: a panel a cost, then the differences, then the curves."""

from __future__ import annotations

import math
import statistics
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from softbench.reports import _axes, _marks, _page, _sheet, _style
from softbench.reports._labels import DISPLAY, labels, quantity_name
from softbench.reports._page import UNDER_PANELS
from softbench.reports._style import Stroke
from softbench.reports._trained import COSTS, Field, Trained
from softbench.reports._units import human
from softbench.statistics.paired import Difference

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

ACROSS = 3  # panels side by side
UNDER_ROW = UNDER_PANELS + 0.2  # an axis with its name, and the next row's title
MARGIN, FLAT = 0.12, 3.0
MINUS = str.maketrans("-", "−")


def draw(field: Field, notes: Sequence[str]) -> Figure:
    """The figure of one field; `notes` are the paragraphs at its foot."""
    from matplotlib.figure import Figure

    strokes = _style.strokes([one.series for one in field.trained])
    names = labels([one.series for one in field.trained])
    shown = [one for one in field.trained if one.accuracy]
    legend = [_sheet.series_handle(names[one.series], strokes[one.series]) for one in shown]
    against = field.against_reference()
    panels = [*field.costs, *(["differences"] if against else [])]
    panels += ["curves"] if any(one.curves for one in shown) else []
    columns = min(ACROSS, max(1, len(panels)))
    rows = math.ceil(len(panels) / columns)
    page = _page.arrange(rows, columns, _sheet.texts([legend]), notes, UNDER_ROW, 0.95)
    figure = Figure(figsize=(_page.WIDTH, page.height))
    boxes = _boxes(page.boxes, len(panels))
    for panel, box in zip(panels, boxes, strict=False):
        axes = figure.add_axes(box)
        if panel == "differences":
            _differences(axes, shown, against, strokes)
        elif panel == "curves":
            _curves(axes, shown, strokes)
        else:
            _cost(axes, shown, panel, against, strokes, field)
    _sheet.furnish(figure, page, [legend], ["test accuracy (%)"] * rows)
    return figure


def _boxes(rows: Sequence[Sequence[_page.Box]], panels: int) -> list[_page.Box]:
    """A box for each panel in turn; the last has what is left of its row."""
    boxes = [box for row in rows for box in row][:panels]
    left, bottom, _, height = boxes[-1]
    right = rows[-1][-1][0] + rows[-1][-1][2]
    return [*boxes[:-1], (left, bottom, right - left, height)]


def _cost(
    axes: Axes,
    shown: Sequence[Trained],
    quantity: str,
    against: Mapping[Any, Difference],
    strokes: Mapping[Any, Stroke],
    field: Field,
) -> None:
    """Means over seeds, a thin line from the lowest to the highest seed behind each."""
    unit = COSTS[quantity][0]
    placed = [(x, one) for one in shown if (x := one.cost(quantity))]
    _lay_across(axes, [x for x, _ in placed], unit)
    for x, one in placed:
        found, colour = against.get(one.series), strokes[one.series].look.colour
        values = [100 * value for value in one.accuracy.values()]
        axes.plot([x, x], [min(values), max(values)], color=colour, linewidth=0.8, zorder=2)
        known = found is None or found.side != 0
        face = {} if known else {"markerfacecolor": "white", "markeredgewidth": 0.9}
        style = {**_marks.mark(strokes[one.series]), **face}
        axes.plot([x], [statistics.fmean(values)], linestyle="none", **style)
    every = [100 * value for _, one in placed for value in one.accuracy.values()]
    # Far below all of them it would only press what differs into a line.
    if field.majority and min(every) - 100 * field.majority <= max(every) - min(every):
        axes.axhline(
            100 * field.majority, color=_marks.GREY, linewidth=0.8, linestyle=":", zorder=1
        )
    sample = " of a sample" if COSTS[quantity][1] else ""
    axes.set_title(f"{quantity_name(quantity)}{sample}")
    axes.margins(y=0.08)


def _lay_across(axes: Axes, values: Sequence[float], unit: str) -> None:
    """Logarithmic where costs differ threefold; else linear, and no wider than they need."""
    low, high = min(values), max(values)
    if high < FLAT * low:
        room = max(MARGIN * (high - low), 0.02 * high)
        axes.set_xlim(low - room, high + room)
        if unit == "byte":
            axes.set_xticks(_binary_ticks(low - room, high + room))
        else:
            axes.locator_params(axis="x", nbins=2)
        axes.xaxis.set_major_formatter(lambda value, _: human(value, unit))
        return
    across = _axes.value_span(values, MARGIN)
    axes.set(xscale="log", xlim=(across.low, across.high))
    axes.minorticks_off()
    ticks = _axes.few_ticks(across, unit)
    axes.set_xticks(ticks, labels=[_axes.tick_label(tick, unit) for tick in ticks])


def _binary_ticks(low: float, high: float) -> list[float]:
    """Two to four multiples of a power of two, which are round in KiB and MiB."""
    step = 2.0 ** math.floor(math.log2((high - low) / 2))
    return [step * count for count in range(math.ceil(low / step), math.floor(high / step) + 1)]


def _differences(
    axes: Axes,
    shown: Sequence[Trained],
    against: Mapping[Any, Difference],
    strokes: Mapping[Any, Stroke],
) -> None:
    """A line each: the mean paired difference to softmax, in points, and its interval."""
    told = [one for one in shown if one.series in against]
    axes.axvline(0, color=_marks.GREY, linewidth=0.8, zorder=1)
    for place, one in enumerate(told):
        found, stroke = against[one.series], strokes[one.series]
        if found.mean is None:
            continue
        if found.low is not None and found.high is not None:
            ends = [100 * found.low, 100 * found.high]
            axes.plot(ends, [place, place], color=stroke.look.colour, linewidth=1.1, zorder=2)
        face = {} if found.side else {"markerfacecolor": "white", "markeredgewidth": 0.9}
        style = {**_marks.mark(stroke), **face}
        axes.plot([100 * found.mean], [place], linestyle="none", **style)
    low, high = axes.get_xlim()
    axes.set_xlim(max(low, -110), min(high, 110))  # few seeds may tell of more than there is
    axes.set_ylim(len(told) - 0.5, -0.5)
    axes.set_yticks([])
    axes.set_title("Paired difference to softmax")
    axes.set_xlabel("points of accuracy")
    _name_inside(axes, told)


def _name_inside(axes: Axes, told: Sequence[Trained]) -> None:
    """The mechanisms' names at the left edge, above their lines."""
    for place, one in enumerate(told):
        axes.text(
            0.02, place - 0.32, DISPLAY.get(one.series.attention, one.series.attention),
            transform=axes.get_yaxis_transform(), fontsize=_style.POINT_SIZE, va="center",
        )  # fmt: skip
    axes.xaxis.set_major_formatter(lambda value, _: f"{value:g}".translate(MINUS))


def _curves(axes: Axes, shown: Sequence[Trained], strokes: Mapping[Any, Stroke]) -> None:
    """Mean over seeds after each epoch."""
    longest = 1
    for one in shown:
        by_epoch: dict[int, list[float]] = {}
        for curve in one.curves.values():
            for epoch, value in curve:
                by_epoch.setdefault(epoch, []).append(100 * value)
        epochs = sorted(by_epoch)
        longest = max([longest, *epochs])
        means = [statistics.fmean(by_epoch[epoch]) for epoch in epochs]
        stroke = strokes[one.series]
        style: dict[str, Any] = {"linestyle": stroke.dash, "linewidth": _marks.LINE_WIDTH}
        axes.plot(epochs, means, **style, **_marks.mark(stroke))
    stride = max(1, math.ceil(longest / 6))
    axes.set_xticks(range(stride, longest + 1, stride))
    axes.set_xlim(0.5, longest + 0.5)
    axes.set_title("Learning curves, mean over seeds")
    axes.set_xlabel("epochs")
    axes.margins(y=0.08)
