"""A figure of errors of an inverse: columns are errors, rows what they are drawn against.

Against the iterations a direct solver is a level line, since it has none; against FLOPs it is a
mark. The middle of a line is the median over matrices, its band goes from the least to the
greatest of them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from softbench.reports import _axes, _marks, _page, _panel, _sheet, _style
from softbench.reports._curves import Stop, by_curve
from softbench.reports._labels import quantity_name, solver, solver_labels
from softbench.reports._points import Series

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.lines import Line2D

DIRECT = ("cholesky", "svd")
PAPERS_ITERATIONS = 20
CONVERGED = 1e-6
BAND = 0.15
GUIDE = "#8A8A8A"

Strokes = Mapping[Series, _style.Stroke]


@dataclass(frozen=True)
class Against:
    """What a row is drawn against: its name, each case's place on it (by case id), its scale.

    unit: None for a linear axis of iterations. quantity: what was measured to find the places.
    """

    name: str
    places: Mapping[str, float]
    unit: str | None = None
    quantity: str | None = None


def draw(
    found: Sequence[Stop], rows: Sequence[Against], errors: Sequence[str], notes: Sequence[str]
) -> Figure:
    """The figure, with `notes` as paragraphs at its foot."""
    from matplotlib.figure import Figure

    strokes = _style.solver_strokes(list(by_curve(found)))
    legends = [_handles(found, errors, strokes)]
    page = _page.arrange(
        len(rows), len(errors), _sheet.texts(legends), notes, under_row=_page.UNDER_PANELS
    )
    figure = Figure(figsize=(_page.WIDTH, page.height))
    for boxes, against in zip(page.boxes, rows, strict=True):
        for box, error in zip(boxes, errors, strict=True):
            axes = figure.add_axes(box)
            _panel_of(axes, found, against, error, strokes)
            axes.set_xlabel(against.name)
            axes.set_title(quantity_name(error) if boxes is page.boxes[0] else "")
    _sheet.furnish(figure, page, legends, [""] * len(rows))
    return figure


def is_direct(curve: Series) -> bool:
    """Whether a curve's solver has no iterations."""
    return solver(curve) in DIRECT


def values(stop: Stop, error: str) -> list[float]:
    """The error of every matrix of a case, as measured."""
    point = stop.points.get(error)
    if not point or not point.estimate:
        return []
    return [value for process in point.estimate.raw for value in process]


def _panel_of(
    axes: Axes, found: Sequence[Stop], against: Against, error: str, strokes: Strokes
) -> None:
    _lay(axes, found, against, error)
    for curve, along in by_curve(found).items():
        held = [stop for stop in along if max(values(stop, error), default=0) > 0]
        if is_direct(curve) and against.unit is None:
            _level(axes, held, error, strokes[curve])
        else:
            placed = [stop for stop in held if stop.case_id in against.places]
            _line(axes, placed, against, error, strokes[curve])


def _lay(axes: Axes, found: Sequence[Stop], against: Against, error: str) -> None:
    """Scales, limits, ticks and the guides."""
    up = _axes.value_span([y for stop in found for y in values(stop, error)])
    axes.set(yscale="log", ylim=(up.low, up.high))
    ticks = _axes.few_ticks(up, "1", most=6)
    axes.set_yticks(ticks, labels=[_axes.tick_label(tick, "1") for tick in ticks])
    if up.low < CONVERGED < up.high:
        axes.axhline(CONVERGED, color=GUIDE, linewidth=0.7, zorder=1)
    if against.unit is None:
        _lay_iterations(axes, list(against.places.values()))
    else:
        _lay_cost(axes, list(against.places.values()), against.unit)
    axes.minorticks_off()


def _lay_iterations(axes: Axes, iterations: Sequence[float]) -> None:
    last = max(iterations, default=1.0)
    step = next(step for step in (1, 2, 5, 10, 20, 50, 100, 200) if last / step <= 6)
    room = 0.04 * last + 0.2
    axes.set_xlim(min(iterations, default=1.0) - room, last + room)
    axes.set_xticks([1, *range(step, int(last) + 1, step)] if step > 1 else range(1, int(last) + 1))
    if last >= PAPERS_ITERATIONS:
        axes.axvline(PAPERS_ITERATIONS, color=GUIDE, linewidth=0.9, linestyle="--", zorder=1)


def _lay_cost(axes: Axes, costs: Sequence[float], unit: str) -> None:
    across = _axes.value_span(costs, margin=0.05)
    axes.set(xscale="log", xlim=(across.low, across.high))
    ticks = _axes.few_ticks(across, unit)
    axes.set_xticks(ticks, labels=[_axes.tick_label(tick, unit) for tick in ticks])


def _level(axes: Axes, held: Sequence[Stop], error: str, stroke: _style.Stroke) -> None:
    """A direct solver: its median as a line over all iterations, its range as a band."""
    for stop in held[:1]:
        point, every = stop.points[error], [y for y in values(stop, error) if y > 0]
        assert point.estimate is not None  # it holds values
        colour = stroke.look.colour
        axes.axhspan(min(every), max(every), color=colour, alpha=BAND, linewidth=0, zorder=1.2)
        axes.axhline(
            point.estimate.centre,
            color=colour,
            linestyle=stroke.dash,
            linewidth=_marks.LINE_WIDTH,
            zorder=2,
        )


def _line(
    axes: Axes, placed: Sequence[Stop], against: Against, error: str, stroke: _style.Stroke
) -> None:
    xs = [against.places[stop.case_id] for stop in placed]
    every = [[y for y in values(stop, error) if y > 0] for stop in placed]
    middles = [stop.height(error) for stop in placed]
    ys = [y if y and y > 0 else float("nan") for y in middles]
    colour = stroke.look.colour
    if not against.quantity:  # places that were measured go back and forth: no band between them
        _band(axes, xs, every, colour)
    style = {"linestyle": stroke.dash, "linewidth": _marks.LINE_WIDTH}
    axes.plot(xs, ys, **{**_marks.mark(stroke), **style})
    for stop, y in zip(placed, ys, strict=True):
        if against.quantity:
            _panel.sideways(axes, stop.points[against.quantity], y, colour)


def _band(axes: Axes, xs: Sequence[float], every: Sequence[Sequence[float]], colour: str) -> None:
    least, greatest = list(map(min, every)), list(map(max, every))
    axes.fill_between(xs, least, greatest, color=colour, alpha=BAND, linewidth=0)


def _handles(found: Sequence[Stop], errors: Sequence[str], strokes: Strokes) -> list[Line2D]:
    names = solver_labels(list(strokes))
    held = {stop.curve for stop in found if any(values(stop, error) for error in errors)}
    entries = [_sheet.series_handle(names[c], s) for c, s in strokes.items() if c in held]
    paper = _sheet.handle(
        label=f"the paper's T = {PAPERS_ITERATIONS}", color=GUIDE, linestyle="--", linewidth=0.9
    )
    converged = _sheet.handle(label="10⁻⁶, taken as converged", color=GUIDE, linewidth=0.7)
    return [*entries, paper, converged]
