"""From how many tokens on each mechanism beats each softmax, as Markdown, LaTeX and CSV.

A crossover is an interval between two measured lengths, or a bound ("below 196"), or none; never an
extrapolation, and a predicted value never counts as measured. One mechanism beats another at a
length where their intervals do not overlap; from a crossover on it does so at every length measured
of both. The quantities are those of the figure `scaling`.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from softbench.case import Mode, Record
from softbench.reports import _duels, _latex, _longform, _machine, _markdown, _notes
from softbench.reports._duels import Duel
from softbench.reports._grid import ABSENT, Cell, Grid
from softbench.reports._groups import Group, groups
from softbench.reports._labels import MODE, labels, quantity_name
from softbench.reports.scaling import quantities

RULE = (
    "An interval (a, b]: better at b and at every longer length measured of both, not better at a. "
    "Better means that the intervals do not overlap (too few calls for an interval: that every "
    "call of the one beats every call of the other, 3 processes each); counts are exact and equal "
    "ones are not better. Nothing is extrapolated."
)


def render(records: Sequence[Record], folder: Path) -> list[Path]:
    """Write crossovers.md, crossovers.tex and crossovers.csv into `folder`; returns their paths.

    Raises ValueError if no mechanism and softmax were measured at one length.
    """
    found = [part for group in groups(records) for part in _parts(group)]
    if not found:
        raise ValueError(
            "no crossover to look for: it takes a mechanism and a softmax with the same quantity "
            "(latency, peak_memory or flops) measured at the same length and setting"
        )
    folder.mkdir(parents=True, exist_ok=True)
    paths = [folder / f"crossovers.{kind}" for kind in ("md", "tex", "csv")]
    paths[0].write_text("\n".join(_markdown_part(*part, folder) for part in found), "utf-8")
    needs = "% Needs \\usepackage{booktabs} in the preamble.\n"
    paths[1].write_text(
        "\n".join([needs, *(_latex_part(*part, folder) for part in found)]), "utf-8"
    )
    rows = [row for group, _, duels in found for row in _duels.rows(group, duels)]
    _longform.write(paths[2], rows)
    return paths


def grid(group: Group, duels: Sequence[Duel]) -> Grid:
    """Rows: a mechanism against a softmax; columns: quantities."""
    names = labels(group.series)
    columns = [q for q in quantities(group) if any(duel.quantity == q for duel in duels)]
    told = {(duel.own, duel.rival, duel.quantity): duel.text for duel in duels}
    rows = tuple(
        (
            names[own],
            names[rival],
            tuple(Cell(told.get((own, rival, quantity), ABSENT)) for quantity in columns),
        )
        for own, rival in dict.fromkeys((duel.own, duel.rival) for duel in duels)
    )
    heading = ("Mechanism", "Better than", *map(quantity_name, columns))
    return Grid(heading, rows, "l" * len(heading))


def _parts(group: Group) -> list[tuple[Group, Mode, list[Duel]]]:
    """A table for each mode in which there is anything to compare."""
    told = [(group, mode, _duels.duels(group, mode, quantities(group))) for mode in group.modes]
    return [part for part in told if any(duel.found for duel in part[2])]


def _markdown_part(group: Group, mode: Mode, duels: Sequence[Duel], folder: Path) -> str:
    title = f"## {_title(group, mode)}"
    notes = [_markdown.escape(note) for note in _footer(group, mode, duels, folder)]
    return "\n\n".join([title, _markdown.table(grid(group, duels)), *notes]) + "\n"


def _latex_part(group: Group, mode: Mode, duels: Sequence[Duel], folder: Path) -> str:
    caption = " ".join([f"{_title(group, mode)}.", *_footer(group, mode, duels, folder)])
    name = f"crossovers{group.suffix}_{mode}".replace("_", "-")
    return _latex.table(grid(group, duels), caption, name)


def _title(group: Group, mode: Mode) -> str:
    words = [f"Tokens N from which a mechanism is better, {MODE[mode]}", *group.suffix.split("_")]
    return ", ".join(filter(None, words))


def _footer(group: Group, mode: Mode, duels: Sequence[Duel], folder: Path) -> list[str]:
    compared = [point for duel in duels for pair in duel.found.values() for point in pair]
    notes = [
        _notes.setting(group, _machine.read(folder, str(group.fixed["environment"]))),
        _notes.method(compared),
        RULE,
        *_duels.remarks(duels, labels(group.series)),
    ]
    return [note for note in notes if note]
