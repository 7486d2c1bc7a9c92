"""A figure of errors against costs: rows are errors, columns costs, a line a mechanism.

Both axes are logarithmic, and better is down and to the left. Softmax, whose error is none by
definition, is an upright line at its own cost.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from softbench.reports import _axes, _ends, _handles, _marks, _page, _panel, _sheet, _style
from softbench.reports._curves import Stop, by_curve
from softbench.reports._labels import labels, quantity_name
from softbench.reports._points import Point, Series

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.lines import Line2D

Strokes = Mapping[Series, _style.Stroke]
MARGIN = 0.14  # of the drawn span: room for a number below the lowest mark


def draw(
    found: Sequence[Stop],
    references: Sequence[Stop],
    kinds: Sequence[Sequence[str]],
    notes: Sequence[str],
) -> Figure:
    """The figure; `kinds` are its errors and its costs, `notes` the paragraphs at its foot."""
    from matplotlib.figure import Figure

    errors, costs = kinds
    strokes = _style.strokes([*by_curve(references), *by_curve(found)])
    legends = [_entries(found, references, strokes, kinds), _failures(found, kinds)]
    page = _page.arrange(len(errors), len(costs), _sheet.texts(legends), notes)
    figure = Figure(figsize=(_page.WIDTH, page.height))
    for row, error in enumerate(errors):
        for column, cost in enumerate(costs):
            axes = figure.add_axes(page.boxes[row][column])
            lay(axes, found, references, (error, cost))
            _panel_of(axes, found, references, (error, cost), strokes)
            axes.tick_params(labelbottom=row == len(errors) - 1)
            axes.set_xlabel(quantity_name(cost) if row == len(errors) - 1 else "")
    _sheet.furnish(figure, page, legends, [quantity_name(error) for error in errors])
    return figure


def lay(
    axes: Axes, found: Sequence[Stop], references: Sequence[Stop], shown: tuple[str, str]
) -> None:
    """Scales, limits and ticks. Every row has the same costs below it."""
    error, cost = shown
    everything = [*found, *references]
    across = _axes.value_span((x for stop in everything for x in _extents(stop, cost)), MARGIN)
    up = _axes.value_span((y for stop in found for y in _extents(stop, error)), MARGIN)
    unit = next(stop.points[cost].unit for stop in everything if cost in stop.points)
    axes.set(xscale="log", yscale="log", xlim=(across.low, across.high), ylim=(up.low, up.high))
    axes.minorticks_off()
    ticks = _axes.few_ticks(across, unit)
    axes.set_xticks(ticks, labels=[_axes.tick_label(tick, unit) for tick in ticks])
    ticks = _axes.few_ticks(up, "1", most=6)
    axes.set_yticks(ticks, labels=[_axes.tick_label(tick, "1") for tick in ticks])


def _extents(stop: Stop, quantity: str) -> list[float]:
    point = stop.points.get(quantity)
    return _axes.extent(point) if point else []


def _panel_of(
    axes: Axes,
    found: Sequence[Stop],
    references: Sequence[Stop],
    shown: tuple[str, str],
    strokes: Strokes,
) -> None:
    error, cost = shown
    for stop in references:
        upright(axes, stop.points.get(cost), strokes[stop.curve])
    for curve, along in by_curve(found).items():
        placed = [stop for stop in along if is_placed(stop, error, cost)]
        _line(axes, placed, shown, strokes[curve])
    _number(axes, found, shown, [x for stop in references if (x := stop.height(cost))])


def upright(axes: Axes, point: Point | None, stroke: _style.Stroke) -> None:
    """Softmax's cost, with its interval as a band; nothing where it was not measured."""
    if not point or not point.estimate:
        return
    found, colour = point.estimate, stroke.look.colour
    axes.axvline(
        found.centre, color=colour, linestyle=stroke.dash, linewidth=_marks.LINE_WIDTH, zorder=1.5
    )
    if found.low is not None and found.high is not None:
        axes.axvspan(found.low, found.high, color=colour, alpha=0.12, linewidth=0, zorder=1)


def _line(
    axes: Axes, placed: Sequence[Stop], shown: tuple[str, str], stroke: _style.Stroke
) -> None:
    error, cost = shown
    heights = {stop.case_id: stop.height(error) or math.nan for stop in placed}
    places = [(x, heights[stop.case_id]) for stop in placed if (x := stop.height(cost))]
    style: dict[str, Any] = {"linestyle": stroke.dash, "linewidth": _marks.LINE_WIDTH}
    axes.plot([x for x, _ in places], [y for _, y in places], **style, **_marks.mark(stroke))
    for stop in placed:
        point, y = stop.points[cost], heights[stop.case_id]
        if point.estimate is None:
            at = ([point.predicted or math.nan], [y])
            axes.plot(*at, zorder=4, **_marks.failure(point.status, stroke.look.colour))
        _panel.sideways(axes, point, y, stroke.look.colour)


def _number(
    axes: Axes, found: Sequence[Stop], shown: tuple[str, str], uprights: Sequence[float]
) -> None:
    """The rank at both ends of every line, where there is room."""
    where = {stop.case_id: place for stop in found if (place := place_of(stop, shown))}
    lines = list(by_curve(found).values())
    ends = [end for along in lines for end in _ends_of(along, where)]
    runs = [[where[stop.case_id] for stop in along if stop.case_id in where] for along in lines]
    _ends.number(axes, [(where[stop.case_id], str(stop.at)) for stop in ends], runs, uprights)


def _ends_of(along: Sequence[Stop], where: Mapping[str, object]) -> list[Stop]:
    numbered = [stop for stop in along if stop.case_id in where and stop.at is not None]
    return [numbered[0], numbered[-1]] if len(numbered) > 1 else numbered


def place_of(stop: Stop, shown: tuple[str, str]) -> tuple[float, float] | None:
    """Where a case stands, as (cost, error); None if it has no place."""
    error, cost = shown
    if not is_placed(stop, error, cost):
        return None
    x, y = stop.points[cost].height, stop.height(error)
    return (x, y) if x and y else None


def is_placed(stop: Stop, error: str, cost: str) -> bool:
    """Whether the error was measured and the cost is known, if only as a prediction."""
    point, height = stop.points.get(cost), stop.height(error)
    known = point is not None and point.status != "unsupported" and bool(point.height)
    return known and height is not None and height > 0


def _entries(
    found: Sequence[Stop],
    references: Sequence[Stop],
    strokes: Strokes,
    kinds: Sequence[Sequence[str]],
) -> list[Line2D]:
    names = labels(list(strokes))
    errors, costs = kinds
    shown = {s.curve for s in found for e in errors for c in costs if is_placed(s, e, c)}
    uprights = [upright_handle(names[curve], strokes[curve]) for curve in by_curve(references)]
    lines = [_sheet.series_handle(names[c], strokes[c]) for c in by_curve(found) if c in shown]
    return [*uprights, *lines]


def upright_handle(name: str, stroke: _style.Stroke) -> Line2D:
    """The legend's entry of an upright line."""
    style: dict[str, Any] = {"linestyle": stroke.dash, "color": stroke.look.colour}
    return _sheet.handle(label=f"{name}: its cost", linewidth=_marks.LINE_WIDTH, **style)


def _failures(found: Sequence[Stop], kinds: Sequence[Sequence[str]]) -> list[Line2D]:
    errors, costs = kinds
    placed = [s.points[c] for s in found for e in errors for c in costs if is_placed(s, e, c)]
    return _handles.failures(placed)
