"""A figure of one group: rows are modes, columns quantities; legends and notes underneath."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from softbench.case import Mode
from softbench.reports import (
    _axes,
    _edge,
    _handles,
    _machine,
    _notes,
    _overlays,
    _page,
    _panel,
    _sheet,
    _style,
)
from softbench.reports._column import Column, column
from softbench.reports._groups import Group
from softbench.reports._labels import MODE, labels, quantity_name
from softbench.reports._points import Series
from softbench.reports._units import human

if TYPE_CHECKING:
    from matplotlib.figure import Figure

USUAL, TALL = 1.08, 1.35  # height over width of a panel
BARS = (
    "Bars at the foot: where a mechanism overtakes the best softmax for good, 95 % interval; a "
    "caret where that reaches beyond the lengths measured of both."
)
NO_RIBBON = "No ribbon for a law of fewer than 5 lengths, nor one known to a factor of 10 only."
MANY = 6  # more lines than this lie too close in a usual panel


def save(group: Group, quantities: Sequence[str], stem: Path) -> list[Path]:
    """Write the figure of `group` as stem.pdf, stem.svg and stem.png; returns their paths."""
    facts = _machine.facts(stem.parent, group)
    with own_settings():
        return _sheet.write(draw(group, quantities, facts), stem)


def draw(group: Group, quantities: Sequence[str], facts: dict[str, Any]) -> Figure:
    """The figure: a column for each of `quantities`; `facts` about the machine in its caption."""
    from matplotlib.figure import Figure

    strokes = _style.strokes(group.series)
    names = labels(group.series)
    columns = [column(group, quantity, facts) for quantity in quantities]
    shown = [point for one in columns for point in one.points]
    legends = [
        _handles.series(strokes, names, shown),
        [*_handles.failures(shown), *_handles.marks(columns)],
    ]
    page = _page.arrange(
        len(group.modes),
        len(columns),
        _sheet.texts(legends),
        [_caption(group, columns, facts), _notes.unsupported(shown, names)],
        aspect=USUAL if len(group.series) <= MANY else TALL,
    )
    figure = Figure(figsize=(_page.WIDTH, page.height))
    _panels(figure, group.modes, columns, strokes, page)
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
    modes: Sequence[Mode],
    columns: Sequence[Column],
    strokes: Mapping[Series, _style.Stroke],
    page: _page.Page,
) -> None:
    for place, every in enumerate(columns):
        # One span for all rows, so that the modes can be compared.
        up = _axes.height_span(every.shown, _edge.shelves(every.points), _overlays.foot(every))
        for row, mode in enumerate(modes):
            axes = figure.add_axes(page.boxes[row][place])
            _panel.draw(axes, every.of(mode), strokes, up, every.lengths)
            _overlays.draw(axes, every.of(mode), strokes)
            axes.set_title(quantity_name(every.quantity) if row == 0 else "")
            last = row == len(modes) - 1
            axes.set_xlabel("tokens N" if last else "")
            axes.tick_params(labelbottom=last)


def _lacks_ribbons(one: Column) -> bool:
    """Whether some lines have a ribbon and others have none."""
    return len({bool(line.ribbon()) for line in one.laws}) > 1


def _caption(group: Group, columns: Sequence[Column], facts: dict[str, Any]) -> str:
    shown = [point for one in columns for point in one.points]
    limit = next((one.limit for one in columns if one.limit), None)
    sentences = [
        _notes.setting(group, facts),
        _notes.measured(shown, facts),
        _notes.missing(shown),
        BARS if any(one.of(mode).bars for one in columns for mode in one.modes) else "",
        NO_RIBBON if any(_lacks_ribbons(one) for one in columns) else "",
        f"Level line: this machine's memory, {human(limit, 'byte')}." if limit else "",
    ]
    return " ".join(filter(None, sentences))
