"""The panels of the roofline figure: the two roofs, and a line of marks for each mechanism."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from softbench.case import Mode
from softbench.reports import _axes, _ends, _guides, _marks, _page, _sheet, _style
from softbench.reports._groups import MODES
from softbench.reports._labels import MODE
from softbench.reports._points import Point, Series
from softbench.reports._remarks import Roofline
from softbench.reports._units import human

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

ROOF = "#404040"
ASPECT = 0.72  # height over width of a panel
SLOPE = 12.0  # how far below the ridge of the roofs the panel reaches at least
Strokes = Mapping[Series, _style.Stroke]


def draw(points: Sequence[Point], names: Mapping[Series, str], notes: Sequence[str]) -> Figure:
    """The figure of `points`, each of which has its place; `notes` stand at its foot."""
    from matplotlib.figure import Figure

    strokes = {one: s for one, s in _style.strokes(list(names)).items() if _drawn(one, points)}
    modes = [mode for mode in MODES if any(point.mode == mode for point in points)]
    legends = [[_sheet.series_handle(names[one], stroke) for one, stroke in strokes.items()]]
    if any(_own_roof(point) for point in points):
        legends[0].append(_sheet.handle(label="bound by exponentials", **_bar(ROOF)))
    page = _page.arrange(1, len(modes), _sheet.texts(legends), notes, aspect=ASPECT)
    figure = Figure(figsize=(_page.WIDTH, page.height))
    for place, mode in enumerate(modes):
        axes = figure.add_axes(page.boxes[0][place])
        _panel_of(axes, points, mode, strokes)
        axes.set(title=MODE[mode], xlabel="FLOPs a byte", ylabel="" if place else "FLOP/s")
    _sheet.furnish(figure, page, legends, [""])
    return figure


def _panel_of(axes: Axes, points: Sequence[Point], mode: Mode, strokes: Strokes) -> None:
    gemm = statistics.median(_roofline(point).gemm for point in points)
    stream = statistics.median(_roofline(point).stream for point in points)
    _lay(axes, points, gemm, stream)
    _draw_roofs(axes, gemm, stream)
    lines = [_sorted(points, series, mode) for series in strokes]
    for along, stroke in zip(lines, strokes.values(), strict=True):
        _line(axes, along, stroke)
    wanted = [(_place(p), f"{p.seq_len}") for line in lines for p in _tips(line)]
    roof = [(gemm / stream, gemm), (axes.get_xlim()[1], gemm)]
    _ends.number(axes, wanted, [roof, *([_place(p) for p in along] for along in lines)])


def _sorted(points: Sequence[Point], series: Series, mode: Mode) -> list[Point]:
    own = [point for point in points if (point.series, point.mode) == (series, mode)]
    return sorted(own, key=lambda point: point.seq_len)


def _tips(along: Sequence[Point]) -> list[Point]:
    """Both ends of a line."""
    return [along[0], along[-1]] if len(along) > 1 else list(along)


def _lay(axes: Axes, points: Sequence[Point], gemm: float, stream: float) -> None:
    """The same axes for both modes: room for every mark, and for the slope below the ridge."""
    places, ridge = [_place(point) for point in points], gemm / stream
    across = _axes.value_span([*(x for x, _ in places), ridge / SLOPE, ridge * SLOPE], margin=0.05)
    roofs = [roof for point in points if (roof := _own_roof(point))]
    up = _axes.value_span([*(y for _, y in places), *roofs, gemm / SLOPE, gemm], margin=0.1)
    axes.set(xscale="log", yscale="log", xlim=(across.low, across.high), ylim=(up.low, up.high))
    axes.minorticks_off()
    ticks = _axes.few_ticks(across, "1", most=6)
    axes.set_xticks(ticks, labels=[_axes.tick_label(tick, "1") for tick in ticks])
    ticks = _axes.few_ticks(up, "FLOP", most=6)
    axes.set_yticks(ticks, labels=[_axes.tick_label(tick, "") for tick in ticks])


def _draw_roofs(axes: Axes, gemm: float, stream: float) -> None:
    """The roof of memory up to the ridge, from there on that of matrix products."""
    low, high = axes.get_xlim()
    ridge = gemm / stream
    style: dict[str, Any] = {"color": ROOF, "linewidth": 1.0, "zorder": 1.5}
    axes.plot([low, ridge, high], [low * stream, gemm, gemm], **style, scalex=False, scaley=False)
    _guides.label(axes, f"GEMM {human(gemm, 'FLOP')}/s", (high, gemm), power=0, above=True)
    foot = (ridge / SLOPE**0.1, gemm / SLOPE**0.1)
    _guides.label(axes, f"memory {human(stream, 'B')}/s", foot, power=1, above=True)


def _line(axes: Axes, along: Sequence[Point], stroke: _style.Stroke) -> None:
    places = [_place(point) for point in along]
    xs, ys = [x for x, _ in places], [y for _, y in places]
    style: dict[str, Any] = {"linestyle": stroke.dash, "linewidth": 0.7 * _marks.LINE_WIDTH}
    axes.plot(xs, ys, **style, **_marks.mark(stroke))
    for point, x in zip(along, xs, strict=True):
        if roof := _own_roof(point):
            axes.plot([x], [roof], zorder=2.6, **_bar(stroke.look.colour))


def _bar(colour: str) -> dict[str, Any]:
    return {
        "color": colour,
        "marker": "_",
        "markersize": 6,
        "markeredgewidth": 1.1,
        "linestyle": "none",
    }


def _own_roof(point: Point) -> float | None:
    """The FLOP/s that exponentials allow, where they are what bounds it."""
    found = _roofline(point)
    return found.flops / found.least_seconds if found.bound == "exponential" else None


def _place(point: Point) -> tuple[float, float]:
    found = _roofline(point)
    assert found.intensity is not None  # the point has its place
    return found.intensity, found.attained


def _roofline(point: Point) -> Roofline:
    found = point.remarks.roofline
    assert found is not None  # the point has its place
    return found


def _drawn(series: Series, points: Sequence[Point]) -> bool:
    return any(point.series == series for point in points)
