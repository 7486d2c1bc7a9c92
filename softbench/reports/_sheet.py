"""What every figure has besides its panels: legends, names of rows, notes, and its files."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from softbench.reports import _marks, _page, _style

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from matplotlib.lines import Line2D

# Nothing in a file may depend on when it was written.
METADATA: dict[str, dict[str, None]] = {
    "pdf": {"CreationDate": None},
    "svg": {"Date": None},
    "png": {},
}
DOTS_PER_INCH = 300


def files(stem: Path) -> list[Path]:
    """Where a figure called `stem` is written: stem.pdf, stem.svg and stem.png."""
    return [stem.with_name(f"{stem.name}.{kind}") for kind in METADATA]


def write(figure: Figure, stem: Path) -> list[Path]:
    """Write all files of `figure`, under the settings it was drawn with; returns their paths."""
    paths = files(stem)
    for path, metadata in zip(paths, METADATA.values(), strict=True):
        figure.savefig(path, dpi=DOTS_PER_INCH, metadata=metadata)
    return paths


def handle(**options: Any) -> Line2D:
    """A legend's entry, with matplotlib's options for a line."""
    from matplotlib.lines import Line2D

    return Line2D([], [], **options)


def series_handle(name: str, stroke: _style.Stroke) -> Line2D:
    """The legend's entry of a series."""
    return handle(
        label=name, linestyle=stroke.dash, linewidth=_marks.LINE_WIDTH, **_marks.mark(stroke)
    )


def texts(legends: Sequence[Sequence[Line2D]]) -> list[list[str]]:
    """What the entries of each legend say."""
    return [[str(entry.get_label()) for entry in legend] for legend in legends]


def furnish(
    figure: Figure,
    page: _page.Page,
    legends: Sequence[Sequence[Line2D]],
    row_names: Sequence[str],
) -> None:
    """Add legends, notes and the name of each row of panels where `page` has room for them."""
    for name, (first, *_) in zip(row_names, page.boxes, strict=True):
        _name_row(figure, name, first)
    for handles, top, columns in zip(legends, page.legend_tops, page.legend_columns, strict=True):
        _legend(figure, handles, top, columns)
    figure.text(_page.EDGE / _page.WIDTH, _page.EDGE / page.height, page.notes, va="bottom")


def _name_row(figure: Figure, name: str, box: _page.Box) -> None:
    figure.text(
        1.5 * _page.EDGE / _page.WIDTH,
        box[1] + box[3] / 2,
        name,
        rotation=90,
        va="center",
        fontsize=_style.POINT_SIZE + 1,
    )


def _legend(figure: Figure, handles: Sequence[Line2D], top: float, columns: int) -> None:
    if handles:
        figure.legend(
            handles=handles,
            loc="upper center",
            bbox_to_anchor=(0.5, top),
            ncols=columns,
            frameon=False,
            borderpad=0.0,
            borderaxespad=0.0,
            labelspacing=0.35,
            columnspacing=1.4,
            handlelength=3.0,
            handletextpad=0.5,
        )
