"""From how many tokens on each mechanism beats each softmax, as Markdown, LaTeX and CSV.

A crossover is an interval between two measured lengths, or a bound ("below 196"), or none; never an
extrapolation, and a predicted value never counts as measured. One mechanism beats another at a
length where their intervals do not overlap; from a crossover on it does so at every length measured
of both. Where the curves themselves cross stands beside it, with its interval. The quantities are
those of the figure `scaling`.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from softbench.case import Mode, Record
from softbench.reports import _duel_remarks, _duels, _machine, _notes, _tables
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
CROSSING = "{}: crossing"
PLACE = (
    "Crossing: where the two curves cross for the last time among the lengths at which both have "
    "enough processes, with its 95 % interval: the places at which Welch's interval of the log "
    "ratio, interpolated by a cubic over log N, holds zero; below or above: it reaches beyond "
    "those lengths."
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
    sections = [_section(*part, folder) for part in found]
    rows = [row for group, _, duels in found for row in _duel_remarks.rows(group, duels)]
    return _tables.write(folder, "crossovers", sections, rows)


def grid(group: Group, duels: Sequence[Duel]) -> Grid:
    """Rows: a mechanism against a softmax; columns: quantities."""
    names = labels(group.series)
    kinds = [q for q in quantities(group) if any(duel.quantity == q for duel in duels)]
    texts = {(duel.own, duel.rival, duel.quantity): duel.text for duel in duels}
    places = {(duel.own, duel.rival, duel.quantity): duel.place for duel in duels if duel.place}
    columns = [
        (quantity, title, told)
        for quantity in kinds
        for title, told in (("{}", texts), (CROSSING, places))
        if any(key[2] == quantity for key in told)
    ]
    rows = tuple(
        (
            names[own],
            names[rival],
            tuple(Cell(told.get((own, rival, quantity), ABSENT)) for quantity, _, told in columns),
        )
        for own, rival in dict.fromkeys((duel.own, duel.rival) for duel in duels)
    )
    titles = [title.format(quantity_name(quantity)) for quantity, title, _ in columns]
    return Grid(("Mechanism", "Better than", *titles), rows, "l" * (2 + len(titles)))


def _parts(group: Group) -> list[tuple[Group, Mode, list[Duel]]]:
    """A table for each mode in which there is anything to compare."""
    told = [(group, mode, _duels.duels(group, mode, quantities(group))) for mode in group.modes]
    return [part for part in told if any(duel.found for duel in part[2])]


def _section(group: Group, mode: Mode, duels: Sequence[Duel], folder: Path) -> _tables.Section:
    compared = [point for duel in duels for pair in duel.found.values() for point in pair]
    facts = _machine.facts(folder, group)
    notes = [
        _notes.setting(group, facts),
        _notes.measured(compared, facts),
        RULE,
        PLACE if any(duel.place for duel in duels) else "",
        _duel_remarks.several(duels, labels(group.series)),
        *_duel_remarks.remarks(duels, labels(group.series)),
    ]
    title = _tables.title(f"Tokens N from which a mechanism is better, {MODE[mode]}", group)
    return _tables.Section(title, grid(group, duels), notes, f"crossovers{group.suffix}_{mode}")
