"""A figure's legends: what each line stands for, and what each kind of mark and thread means."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from softbench.reports import _edge, _marks, _overlays, _sheet, _style
from softbench.reports._column import Column
from softbench.reports._labels import STATUS
from softbench.reports._points import Point, Series

if TYPE_CHECKING:
    from matplotlib.lines import Line2D


def series(
    strokes: Mapping[Series, _style.Stroke], names: Mapping[Series, str], shown: Sequence[Point]
) -> list[Line2D]:
    """An entry for every series of which there is anything to show."""
    drawn = {point.series for point in shown if point.status != "unsupported"}
    return [_sheet.series_handle(names[one], strokes[one]) for one in strokes if one in drawn]


def failures(shown: Sequence[Point]) -> list[Line2D]:
    """What the marks of unmeasured cells mean, for the kinds that occur."""
    kinds = {point.status for point in shown}
    known = {point.status for point in shown if not _edge.unknown(point)}
    handles = [
        _sheet.handle(
            label=STATUS[kind] + (", at its predicted value" if kind in known else ""),
            **_marks.failure(kind, _marks.GREY),
        )
        for kind in _marks.FAILED
        if kind in kinds
    ]
    if any(_edge.unknown(point) for point in shown):
        label = "at the upper edge: height not known"
        handles.append(
            _sheet.handle(label=label, **_marks.arrowhead(_marks.GREY), linestyle="none")
        )
    return handles


def marks(columns: Sequence[Column]) -> list[Line2D]:
    """What threads, ribbons, bars and open marks mean, where there are any."""
    handles = []
    if any(line.ribbon() for column in columns for line in column.laws):
        broad = _overlays.BAR | {"linewidth": 5, "alpha": _overlays.RIBBON["alpha"]}
        handles.append(_sheet.handle(label="law t0 + c·N^α, 95 %", color=_marks.GREY, **broad))
    if any(column.of(mode).bars for column in columns for mode in column.modes):
        bar = {"color": _marks.GREY, "marker": "D", "markersize": 2.8, **_overlays.BAR}
        handles.append(_sheet.handle(label="overtakes the best softmax, 95 %", **bar))
    if any(_threaded(column) for column in columns):
        handles.append(_sheet.handle(label="predicted", color=_marks.GREY, **_marks.THREAD))
    if any(point.remarks.launch_bound for column in columns for point in column.points):
        stroke = _style.Stroke(_style.Look(_marks.GREY, "s"), _style.DASHES[0], "full")
        label = "open around a dot: launch-bound, in no fit"
        handles.append(_sheet.handle(label=label, **_marks.open_mark(stroke)))
    return handles


def _threaded(column: Column) -> bool:
    lost = (p for p in column.points if p.status != "unsupported" and not p.estimate)
    return bool(column.beyond) or any(point.predicted is not None for point in lost)
