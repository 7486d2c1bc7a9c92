"""Every quantity of every mechanism and length as a table: Markdown, LaTeX and CSV.

A section for each mode of each combination of dtype, device, level, sizes and machine; lengths at
which nothing ran, but something was counted or predicted, have one of their own. The CSV holds all
of them in long form, in SI units, each value with the ids of the records it came from.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from softbench.case import Record
from softbench.reports import _longform, _machine, _notes, _tables
from softbench.reports._grid import grid
from softbench.reports._groups import Group, groups
from softbench.reports._labels import MODE, labels
from softbench.reports._points import Point

BOLD = (
    "Bold: the best of its length and mode, where its interval ends before every other measured "
    "one begins."
)
OF_PEAK = (
    "Of peak: the least time that the measured rates of matrix products, memory and exponentials "
    "allow, over the time taken; median of the processes."
)


def render(records: Sequence[Record], folder: Path) -> list[Path]:
    """Write table.md, table.tex and table.csv into `folder`; returns their paths.

    Raises ValueError if there are no records.
    """
    found = groups(records)
    sections = [section for group in found for section in _sections(group, folder)]
    rows = [row for group in found for row in _longform.rows(group)]
    return _tables.write(folder, "table", sections, rows)


def _sections(group: Group, folder: Path) -> list[_tables.Section]:
    made = []
    for mode in group.modes:
        ran, counted = _split([point for point in group.points if point.mode == mode])
        what = MODE[mode].capitalize()
        if ran:
            made.append(_section(group, ran, what, mode, folder))
        if counted:
            words = f"{what}, counted and predicted where nothing ran"
            made.append(_section(group, counted, words, f"{mode}_counted", folder))
    return made


def _split(points: Sequence[Point]) -> tuple[list[Point], list[Point]]:
    """The points at lengths at which anything ran or was to run, and those at other lengths."""
    tried = {p.seq_len for p in points if p.status != "unsupported" and not _counted(p)}
    if not tried:
        return list(points), []
    return [p for p in points if p.seq_len in tried], [p for p in points if p.seq_len not in tried]


def _counted(point: Point) -> bool:
    return point.estimate is not None and point.estimate.exact


def _section(
    group: Group, points: Sequence[Point], what: str, name: str, folder: Path
) -> _tables.Section:
    names, facts = labels(group.series), _machine.facts(folder, group)
    notes = [
        _notes.setting(group, facts),
        _notes.measured(points, facts),
        OF_PEAK if any(point.remarks.roofline for point in points) else "",
        BOLD,
        _notes.missing(points),
        "≈: predicted." if any(point.predicted is not None for point in points) else "",
        _notes.unsupported(points, names),
    ]
    return _tables.Section(
        _tables.title(what, group), grid(points, names), notes, f"table{group.suffix}_{name}"
    )
