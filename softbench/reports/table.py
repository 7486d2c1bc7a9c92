"""Every quantity of every mechanism and length as a table: Markdown, LaTeX and CSV.

A section for each mode of each combination of dtype, device, level, sizes and machine; the CSV
holds all of them in long form, in SI units, each value with the ids of the records it came from.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from softbench.case import Mode, Record
from softbench.reports import _latex, _longform, _machine, _markdown, _notes
from softbench.reports._grid import grid
from softbench.reports._groups import Group, groups
from softbench.reports._labels import MODE, labels

BOLD = (
    "Bold: the best of its length and mode, where its interval ends before every other measured "
    "one begins."
)


def render(records: Sequence[Record], folder: Path) -> list[Path]:
    """Write table.md, table.tex and table.csv into `folder`; returns their paths.

    Raises ValueError if there are no records.
    """
    found = groups(records)
    parts = [(group, mode) for group in found for mode in group.modes]
    folder.mkdir(parents=True, exist_ok=True)
    paths = [folder / f"table.{kind}" for kind in ("md", "tex", "csv")]
    paths[0].write_text(
        "\n".join(_markdown_part(*part, folder) for part in parts), encoding="utf-8"
    )
    needs = "% Needs \\usepackage{booktabs} in the preamble.\n"
    paths[1].write_text(
        "\n".join([needs, *(_latex_part(*part, folder) for part in parts)]), "utf-8"
    )
    _longform.write(paths[2], [row for group in found for row in _longform.rows(group)])
    return paths


def _markdown_part(group: Group, mode: Mode, folder: Path) -> str:
    title = f"## {_title(group, mode)}"
    notes = [_markdown.escape(note) for note in _footer(group, mode, folder)]
    return "\n\n".join([title, _markdown.table(grid(group, mode)), *notes]) + "\n"


def _latex_part(group: Group, mode: Mode, folder: Path) -> str:
    caption = " ".join([f"{_title(group, mode)}.", *_footer(group, mode, folder)])
    name = f"table{group.suffix}_{mode}".replace("_", "-")
    return _latex.table(grid(group, mode), caption, name)


def _title(group: Group, mode: Mode) -> str:
    words = [MODE[mode].capitalize(), *group.suffix.split("_")]
    return ", ".join(filter(None, words))


def _footer(group: Group, mode: Mode, folder: Path) -> list[str]:
    points = [point for point in group.points if point.mode == mode]
    notes = [
        _notes.setting(group, _machine.read(folder, str(group.fixed["environment"]))),
        _notes.method(points),
        BOLD,
        _notes.missing(points),
        _notes.unsupported(points, labels(group.series)),
    ]
    return [note for note in notes if note]
