"""The cells of a table as text: one row a (tokens, series), one column a quantity.

The best of a column at one length is marked only where it can be told from every other value.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

from softbench.case import Mode
from softbench.reports._groups import Group
from softbench.reports._labels import QUANTITY, STATUS, labels, order, quantity_name
from softbench.reports._points import Point
from softbench.reports._units import column_unit, decimals_of, human, number
from softbench.statistics.best import clear_best
from softbench.statistics.interval import Estimate

ABSENT = "–"


@dataclass(frozen=True)
class Cell:
    """One value as text, and whether it is the best of its column at its length."""

    text: str
    best: bool = False


@dataclass(frozen=True)
class Grid:
    """A table's heading and rows; a row is what it stands under, its label and its cells.

    alignment: a letter a column, r or l.
    """

    heading: tuple[str, ...]
    rows: tuple[tuple[str, str, tuple[Cell, ...]], ...]
    alignment: str


def grid(group: Group, mode: Mode) -> Grid:
    """The table of one mode: every length with every series that has something to say there."""
    points = [point for point in group.points if point.mode == mode]
    columns = _columns(points)
    names = labels(group.series)
    found = {(p.seq_len, names[p.series], p.quantity): p for p in points}
    best = _best(points)
    places = sorted({(p.seq_len, p.series) for p in points}, key=lambda at: (at[0], order(at[1])))
    rows = []
    for seq_len, series in places:
        cells = [found.get((seq_len, names[series], quantity)) for quantity in columns]
        rows.append((f"{seq_len:,}", names[series], tuple(_cell(cell, best) for cell in cells)))
    heading = ("N", "Mechanism", *(_title(quantity, unit) for quantity, unit in columns.items()))
    return Grid(heading, tuple(rows), "rl" + "r" * len(columns))


def value(point: Point) -> str:
    """A point's text: its value with interval, or what became of it."""
    if point.estimate is None:
        said = STATUS[point.status]
        if point.predicted is None or point.status == "unsupported":
            return said
        return f"{said} (predicted {human(point.predicted, point.unit)})"
    divisor, _ = column_unit(point.unit)
    centre = point.estimate.centre / divisor
    if point.estimate.low is None or point.estimate.high is None:
        return number(centre)
    low, high = point.estimate.low / divisor, point.estimate.high / divisor
    decimals = decimals_of(centre, (high - low) / 2)
    return f"{number(centre, decimals)} [{number(low, decimals)}, {number(high, decimals)}]"


def _cell(point: Point | None, best: set[tuple[str, str]]) -> Cell:
    if point is None:
        return Cell(ABSENT)
    return Cell(value(point), (point.case.id, point.quantity) in best)


def _columns(points: Sequence[Point]) -> dict[str, str]:
    """Quantity to unit, the well-known ones first and in their usual order."""
    units = {point.quantity: point.unit for point in points}
    ordered = [
        *(name for name in QUANTITY if name in units),
        *sorted(units.keys() - QUANTITY.keys()),
    ]
    return {name: units[name] for name in ordered}


def _title(quantity: str, unit: str) -> str:
    _, shown = column_unit(unit)
    return f"{quantity_name(quantity)} ({shown})" if shown else quantity_name(quantity)


def _best(points: Sequence[Point]) -> set[tuple[str, str]]:
    """The (case id, quantity) of every value that is clearly the best at its length."""
    rivals: dict[tuple[int, str], list[tuple[Point, Estimate]]] = defaultdict(list)
    for point in points:
        if point.estimate:
            rivals[point.seq_len, point.quantity].append((point, point.estimate))
    winners = set()
    for group in rivals.values():
        index = clear_best([found for _, found in group], group[0][0].better)
        if index is not None:
            winners.add((group[index][0].case.id, group[index][0].quantity))
    return winners
