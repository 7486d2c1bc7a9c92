"""FLOP/s reached against FLOPs for each byte that must move, under the machine's measured roofs.

The roofline model of Williams, Waterman and Patterson (Communications of the ACM 52(4), 2009): no
call is faster than its FLOPs at the rate of matrix products, nor than its bytes at the rate of
memory. One panel a mode, one line a mechanism along the lengths; every value is also a row of the
CSV beside the figure, with the ids of the records it came from.

Deliberate differences from the model:
- The roofs are measured on the machine by the same worker, not read from a data sheet.
- A third rate, of exponentials, can be the lowest roof; it depends on more than the bytes, so it is
  a short bar over the mark it bounds.
- Bytes are the least that must move (inputs and weights read once, results written once), not those
  that did move: what a kernel moves besides is a loss that the figure should show.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from softbench.case import Record
from softbench.reports import _longform, _machine, _notes, _roofs, _sheet
from softbench.reports._figure import own_settings
from softbench.reports._groups import Group, groups
from softbench.reports._labels import labels
from softbench.reports._points import Point

ROOFS = (
    "Roofs: rates of matrix products and of memory, measured by the same processes. FLOPs a byte: "
    "bytes are the least that must move. Marks: median of the processes, for each length; the ends "
    "of a line have their tokens N beside them."
)


def render(records: Sequence[Record], folder: Path) -> list[Path]:
    """Write roofline[_suffix].pdf, .svg, .png and .csv into `folder`; returns their paths.

    Raises ValueError if no record holds what it reached of the machine's measured rates.
    """
    drawable = [group for group in groups(records) if placed(group)]
    if not drawable:
        raise ValueError(
            "nothing to plot: no latency record holds the machine's measured rates (its detail "
            "`roofline`); records of protocol 2 and later do"
        )
    folder.mkdir(parents=True, exist_ok=True)
    return [path for group in drawable for path in _render(group, folder)]


def placed(group: Group) -> list[Point]:
    """The points that have a place: what they reached and the bytes that must move are known."""
    return [p for p in group.points if (found := p.remarks.roofline) and found.intensity]


def notes(group: Group, folder: Path) -> list[str]:
    """The paragraph at the foot: setting, statistic, what the roofs are."""
    points, facts = placed(group), _machine.facts(folder, group)
    return [
        " ".join([_notes.setting(group, facts), ROOFS, _notes.steadiness(points, facts)]).strip()
    ]


def _render(group: Group, folder: Path) -> list[Path]:
    stem = folder / f"roofline{group.suffix}"
    with own_settings():
        figure = _roofs.draw(placed(group), labels(group.series), notes(group, folder))
        paths = _sheet.write(figure, stem)
    table = _longform.write(stem.with_name(f"{stem.name}.csv"), _rows(group))
    return [*paths, table]


def _rows(group: Group) -> list[dict[str, object]]:
    """Every point that tells what it reached, with the rates that it is held against."""
    told = [
        (row, found)
        for row, point in zip(_longform.rows(group), group.points, strict=True)
        if (found := point.remarks.roofline)
    ]
    return [
        {
            **row,
            "flops": found.flops,
            "attained": found.attained,
            "intensity": found.intensity,
            "bound": found.bound,
            "least_seconds": found.least_seconds,
            "fraction": found.fraction,
            "gemm_fraction": found.gemm_fraction,
            "gemm": found.gemm,
            "stream": found.stream,
            "exponential": found.exponential,
        }
        for row, found in told
    ]
