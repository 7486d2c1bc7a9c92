"""The panels of the Pareto figure: rows are errors, columns costs, a mark each case.

The front runs as a step line from case to case; no line joins the cases of one mechanism, as that
is what the figure `landmarks` shows. Cases that are dominated beyond doubt fade.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from softbench.reports import _ends, _marks, _page, _panel, _sheet, _style, _tradeoff
from softbench.reports._curves import Stop, by_curve
from softbench.reports._front import COMPUTED_ONCE, Placed
from softbench.reports._labels import labels, quantity_name
from softbench.reports._points import Series

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.lines import Line2D

FADED = 0.25
FRONT: dict[str, Any] = {"color": "#8A8A8A", "linewidth": 1.6, "zorder": 1.4}
Strokes = Mapping[Series, _style.Stroke]


def draw(
    found: Sequence[Stop],
    references: Sequence[Stop],
    placed: Mapping[tuple[str, str], Sequence[Placed]],
    notes: Sequence[str],
) -> Figure:
    """The figure: a panel for each (error, cost) of `placed`; `notes` stand at its foot."""
    from matplotlib.figure import Figure

    errors, costs = (list(dict.fromkeys(kinds)) for kinds in zip(*placed, strict=True))
    strokes = _style.strokes([*by_curve(references), *by_curve(found)])
    every = [one for some in placed.values() for one in some]
    legends = [_entries(found, references, strokes), _kinds(every)]
    page = _page.arrange(len(errors), len(costs), _sheet.texts(legends), notes)
    figure = Figure(figsize=(_page.WIDTH, page.height))
    for row, error in enumerate(errors):
        # Softmax approximates nothing: it is a line at its cost, but a case where it was trained.
        apart = references if error in COMPUTED_ONCE else []
        cases = [*found, *(stop for stop in references if stop not in apart)]
        for column, cost in enumerate(costs):
            axes = figure.add_axes(page.boxes[row][column])
            _tradeoff.lay(axes, cases, apart, (error, cost))
            for stop in apart:
                _tradeoff.upright(axes, stop.points.get(cost), strokes[stop.curve])
            _panel_of(axes, placed[error, cost], cases, strokes)
            axes.tick_params(labelbottom=row == len(errors) - 1)
            axes.set_xlabel(quantity_name(cost) if row == len(errors) - 1 else "")
    _sheet.furnish(figure, page, legends, [quantity_name(error) for error in errors])
    return figure


def _panel_of(
    axes: Axes, placed: Sequence[Placed], cases: Sequence[Stop], strokes: Strokes
) -> None:
    own = [one for one in placed if one.stop in cases]
    corners = _steps(axes, [one for one in placed if one.standing.on_front])
    if corners:
        xs, ys = zip(*corners, strict=True)
        axes.plot(xs, ys, scalex=False, scaley=False, **FRONT)
    for one in own:
        _mark(axes, one, strokes[one.stop.curve])
    best = [one for one in own if one.standing.on_front and one.stop.at is not None]
    # Two cases may stand at one place, as far as the eye can tell, with one number.
    wanted = {(str(one.stop.at), *map("{:.2g}".format, one.place)): one for one in best}
    numbers = [(one.place, str(one.stop.at)) for one in wanted.values()]
    _ends.number(axes, numbers, [corners, *([one.place] for one in own)])


def _steps(axes: Axes, best: Sequence[Placed]) -> list[tuple[float, float]]:
    """The front's corners, from the edge of what is worse to that at which cost buys no more."""
    if not best:
        return []
    ordered = sorted(one.place for one in best)
    bottom, top = axes.get_ylim()
    worst = bottom if best[0].error.better == "higher" else top
    ends = [*(x for x, _ in ordered[1:]), axes.get_xlim()[1]]
    treads = [[(x, y), (end, y)] for (x, y), end in zip(ordered, ends, strict=True)]
    corners = [(ordered[0][0], worst), *(corner for tread in treads for corner in tread)]
    return [(x, min(max(y, bottom), top)) for x, y in corners]


def _mark(axes: Axes, one: Placed, stroke: _style.Stroke) -> None:
    at = ([one.place[0]], [one.place[1]])
    alpha = FADED if one.standing.dominated_by else 1.0
    if one.standing.judged:
        axes.plot(*at, **{**_marks.mark(stroke), "linestyle": "none", "alpha": alpha})
    else:
        axes.plot(*at, zorder=3.5, **_marks.open_mark(stroke))
        axes.plot(*at, ".", color=stroke.look.colour, markersize=1.6, zorder=3.6)
    if not one.standing.dominated_by:
        _panel.sideways(axes, one.cost, one.place[1], stroke.look.colour)


def _entries(found: Sequence[Stop], references: Sequence[Stop], strokes: Strokes) -> list[Line2D]:
    names = labels(list(strokes))
    uprights = [_tradeoff.upright_handle(names[c], strokes[c]) for c in by_curve(references)]
    marks = [
        _sheet.handle(label=names[c], **{**_marks.mark(strokes[c]), "linestyle": "none"})
        for c in by_curve(found)
    ]
    return [*uprights, *marks]


def _kinds(placed: Sequence[Placed]) -> list[Line2D]:
    """What the step line, the faded and the open marks mean, as far as there are any."""
    handles = [_sheet.handle(label="front", **FRONT)]
    square = _style.Stroke(_style.Look(_marks.GREY, "s"), _style.DASHES[0], "full")
    if any(one.standing.dominated_by for one in placed):
        faded = {**_marks.mark(square), "linestyle": "none", "alpha": FADED}
        handles.append(_sheet.handle(label="faded: dominated beyond doubt", **faded))
    if not all(one.standing.judged for one in placed):
        label = "open mark: not judged, no interval"
        handles.append(_sheet.handle(label=label, **_marks.open_mark(square)))
    return handles
