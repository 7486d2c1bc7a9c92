"""A figure of one group: rows are modes, columns quantities; legends and notes underneath."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from softbench.reports import _axes, _machine, _notes, _page, _panel, _sheet, _style
from softbench.reports._groups import Group
from softbench.reports._labels import MODE, STATUS, labels, quantity_name
from softbench.reports._points import Point, Series

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from matplotlib.lines import Line2D

USUAL, TALL = 1.08, 1.35  # height over width of a panel
MANY = 6  # more lines than this lie too close in a usual panel


def save(group: Group, quantities: Sequence[str], stem: Path) -> list[Path]:
    """Write the figure of `group` as stem.pdf, stem.svg and stem.png; returns their paths."""
    facts = _machine.read(stem.parent, str(group.fixed["environment"]))
    with own_settings():
        return _sheet.write(draw(group, quantities, facts), stem)


def draw(group: Group, quantities: Sequence[str], facts: dict[str, Any]) -> Figure:
    """The figure: a column for each of `quantities`; `facts` about the machine in its caption."""
    from matplotlib.figure import Figure

    strokes = _style.strokes(group.series)
    names = labels(group.series)
    shown = [point for point in group.points if point.quantity in quantities]
    legends = [_series_handles(strokes, names, shown), failure_handles(shown)]
    page = _page.arrange(
        len(group.modes),
        len(quantities),
        _sheet.texts(legends),
        [_caption(group, shown, facts), _notes.unsupported(shown, names)],
        aspect=USUAL if len(group.series) <= MANY else TALL,
    )
    figure = Figure(figsize=(_page.WIDTH, page.height))
    _panels(figure, group, quantities, strokes, page)
    _sheet.furnish(figure, page, legends, [MODE[mode] for mode in group.modes])
    return figure


@contextmanager
def own_settings() -> Iterator[None]:
    """Our settings on top of matplotlib's own defaults, whatever the user's matplotlibrc says."""
    import matplotlib

    with matplotlib.rc_context():
        matplotlib.rcdefaults()
        matplotlib.rcParams.update(_style.settings())
        yield


def _panels(
    figure: Figure,
    group: Group,
    quantities: Sequence[str],
    strokes: Mapping[Series, _style.Stroke],
    page: _page.Page,
) -> None:
    lengths = sorted({point.seq_len for point in group.points})
    for column, quantity in enumerate(quantities):
        every = [point for point in group.points if point.quantity == quantity]
        # One span for all rows, so that the modes can be compared.
        up = _axes.height_span(every, _panel.shelves(every))
        for row, mode in enumerate(group.modes):
            axes = figure.add_axes(page.boxes[row][column])
            points = [point for point in every if point.mode == mode]
            _panel.draw(axes, points, strokes, up, lengths, every[0].unit)
            axes.set_title(quantity_name(quantity) if row == 0 else "")
            last = row == len(group.modes) - 1
            axes.set_xlabel("tokens N" if last else "")
            axes.tick_params(labelbottom=last)


def _series_handles(
    strokes: Mapping[Series, _style.Stroke], names: Mapping[Series, str], shown: Sequence[Point]
) -> list[Line2D]:
    drawn = {point.series for point in shown if point.status != "unsupported"}
    return [
        _sheet.series_handle(names[series], stroke)
        for series, stroke in strokes.items()
        if series in drawn
    ]


def failure_handles(shown: Sequence[Point]) -> list[Line2D]:
    """What the marks of unmeasured cells mean, for the kinds that occur."""
    kinds = {point.status for point in shown}
    known = {point.status for point in shown if not _panel.unknown(point)}
    handles = [
        _sheet.handle(
            label=STATUS[kind] + (", at its predicted value" if kind in known else ""),
            **_panel.failure(kind, "#404040"),
        )
        for kind in _panel.FAILED
        if kind in kinds
    ]
    if any(_panel.unknown(point) for point in shown):
        label = "at the upper edge: height not known"
        handles.append(_sheet.handle(label=label, **_panel.arrowhead("#404040"), linestyle="none"))
    return handles


def _caption(group: Group, shown: Sequence[Point], facts: dict[str, Any]) -> str:
    sentences = [_notes.setting(group, facts), _notes.method(shown), _notes.missing(shown)]
    return " ".join(filter(None, sentences))
