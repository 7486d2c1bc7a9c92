"""What is worth its cost: the Pareto front of error or accuracy against each cost, and how sure.

A figure and a table for each length, mode and setting; the figure `landmarks` shows the same cases
as lines along their rank. A case is called dominated only where another is better in both beyond
doubt; the table says how probable it is that some other case dominates it. Every standing is also
a row of the CSV, with the ids of the records it came from.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from softbench.case import Record
from softbench.reports import _fronts, _machine, _notes, _sheet, _tables
from softbench.reports._figure import own_settings
from softbench.reports._front import Placed, measured, standings
from softbench.reports._grid import ABSENT, Cell, Grid
from softbench.reports._groups import Group, groups
from softbench.reports._labels import ASIDE, labels, quantity_name
from softbench.reports._units import number
from softbench.reports.landmarks import stops_of
from softbench.reports.scaling import quantities as costs_of

Standings = Mapping[tuple[str, str], Sequence[Placed]]
ERRORS = ("approximation_error", "softmax_error", "accuracy")
RULE = (
    "Front: no other case is at least as good in both and better in one, by the centres. "
    "Dominated: one other is, beyond doubt (Welch's tests at 95 %, corrected for all pairs). "
    "Errors are of one seeded draw of inputs and count as exact, to three digits."
)
RANKS = "Numbers beside the front: rank (landmarks M, projection length k or features R)."
NUMBERS = (
    "Numbers: the probability that some other case dominates it, from draws of the t distributions "
    "of the log medians."
)


def render(records: Sequence[Record], folder: Path) -> list[Path]:
    """Write pareto.md, .tex and .csv and pareto[_suffix].pdf, .svg and .png; returns their paths.

    Raises ValueError if no case has both an error (or accuracy) and a cost.
    """
    found = groups(records, ("seq_len", "mode"))
    drawable = [(group, told) for group in found if (told := placed(group))]
    if not drawable:
        held = ", ".join(sorted({record.metric for record in records}))
        raise ValueError(
            f"nothing to compare: the records hold {held}; pareto takes one of {', '.join(ERRORS)} "
            "and one of latency, peak_memory or flops of the same case"
        )
    sections = [section for part in drawable for section in _sections(*part, folder)]
    rows = [row for part in drawable for row in _rows(*part)]
    tables = _tables.write(folder, "pareto", sections, rows)
    return [*tables, *(path for part in drawable for path in _figure(*part, folder))]


def notes(group: Group, facts: dict[str, Any]) -> list[str]:
    """The paragraph at the foot: setting, statistic, what the front is."""
    points = [p for p in group.points if p.quantity in costs_of(group)]
    asides = [ASIDE[n] for n in dict.fromkeys(p.series.attention for p in points) if n in ASIDE]
    said = [_notes.setting(group, facts), _notes.measured(points, facts), RULE, *asides]
    return [" ".join(filter(None, said))]


def placed(group: Group) -> Standings:
    """How every case stands, by (error, cost), of all errors that were measured beside a cost."""
    own, references = stops_of(group)
    costs = costs_of(group)
    errors = [e for e in ERRORS if any(measured(stop, e, c) for stop in own for c in costs)]
    every = [*own, *references]
    return {(e, c): standings(every, e, c) for e in errors for c in costs}


def _figure(group: Group, told: Standings, folder: Path) -> list[Path]:
    said = [*notes(group, _machine.facts(folder, group)), RANKS]
    with own_settings():
        figure = _fronts.draw(*stops_of(group), told, said)
        return _sheet.write(figure, folder / f"pareto{group.suffix}")


def _sections(group: Group, told: Standings, folder: Path) -> list[_tables.Section]:
    facts = _machine.facts(folder, group)
    return [
        _tables.Section(
            _tables.title(f"{quantity_name(error)} against cost", group),
            _grid(group, error, told),
            [*notes(group, facts), NUMBERS, _elsewhere(told, error)],
            f"pareto{group.suffix}_{error}",
        )
        for error in dict.fromkeys(error for error, _ in told)
    ]


def _elsewhere(every: Standings, error: str) -> str:
    """How many cases the table leaves out."""
    some = [one for (name, _), placed in every.items() if name == error for one in placed]
    best = {one.stop.case_id for one in some if one.standing.on_front}
    count = len({one.stop.case_id for one in some} - best)
    return f"{count} more cases are on no front; pareto.csv has them." if count else ""


def _grid(group: Group, error: str, every: Standings) -> Grid:
    """A row for every case that is on the front of at least one cost, the best error first."""
    costs, names = costs_of(group), labels(group.series)
    told = {(c, one.stop.case_id): one for c in costs for one in every[error, c]}
    best = {one.stop.case_id: one for one in told.values() if one.standing.on_front}
    rows = tuple(
        (
            number(one.place[1]),
            names[one.cost.series],
            tuple(Cell(_said(told.get((cost, id_)))) for cost in costs),
        )
        for id_, one in sorted(best.items(), key=lambda item: _badness(item[1]))
    )
    heading = (quantity_name(error), "Case", *map(quantity_name, costs))
    return Grid(heading, rows, "rl" + "r" * len(costs))


def _badness(one: Placed) -> float:
    return -one.place[1] if one.error.better == "higher" else one.place[1]


def _said(one: Placed | None) -> str:
    """How a case stands by one cost."""
    if one is None:
        return ABSENT
    if not one.standing.judged or one.standing.probability is None:
        return "not judged"
    if one.standing.dominated_by:
        return "dominated"
    probability = f"{one.standing.probability:.2f}"
    return f"front ({probability})" if one.standing.on_front else probability


def _rows(group: Group, told: Standings) -> list[dict[str, object]]:
    """Every standing as a row of the CSV."""
    names = labels(group.series)
    called = {one.stop.case_id: names[one.cost.series] for some in told.values() for one in some}
    return [
        {
            "label": called[one.stop.case_id],
            "params": one.cost.series.params,
            "error": error,
            "error_value": one.place[1],
            "cost": cost,
            "cost_value": one.place[0],
            "on_front": one.standing.on_front,
            "judged": one.standing.judged,
            "probability_dominated": one.standing.probability,
            "dominated_by": called.get(one.standing.dominated_by or ""),
            **group.fixed,
            "case_id": one.stop.case_id,
            "record_ids": " ".join((*one.error.record_ids, *one.cost.record_ids)),
        }
        for (error, cost), some in told.items()
        for one in some
    ]
