"""The cells of a table as text: one row a (tokens, series), one column a quantity.

The best of a column at one length is marked only where it can be told from every other value.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from softbench.reports._labels import QUANTITY, STATUS, order, quantity_name
from softbench.reports._points import Point, Series
from softbench.reports._units import column_unit, decimals_of, human, number, percent
from softbench.statistics.best import clear_best
from softbench.statistics.interval import Estimate

ABSENT = "–"
OF_PEAK = "Of peak"


@dataclass(frozen=True)
class Cell:
    """One value as text, and whether it is the best of its column at its length."""

    text: str
    best: bool = False


Row = tuple[str, str, tuple[Cell, ...]]


@dataclass(frozen=True)
class Grid:
    """A table's heading and rows; a row is what it stands under, its label and its cells.

    alignment: a letter a column, r or l.
    """

    heading: tuple[str, ...]
    rows: tuple[Row, ...]
    alignment: str


@dataclass(frozen=True)
class TableColumn:
    """A quantity, its heading, and how a point of it becomes text."""

    quantity: str
    heading: str
    text: Callable[[Point], str]

    def cell(self, point: Point | None, best: set[tuple[str, str]]) -> Cell:
        """The point's cell; `best` are the (case id, quantity) to be marked."""
        if point is None:
            return Cell(ABSENT)
        marked = self.text is value and (point.case.id, point.quantity) in best
        return Cell(self.text(point), marked)


def grid(points: Sequence[Point], names: Mapping[Series, str]) -> Grid:
    """The table of one mode's points: every length with every series that has something there."""
    columns = _columns(points)
    found = {(p.seq_len, p.series, p.quantity): p for p in points}
    best = _best(points)
    places = sorted({(p.seq_len, p.series) for p in points}, key=lambda at: (at[0], order(at[1])))
    rows = []
    for place in places:
        cells = [column.cell(found.get((*place, column.quantity)), best) for column in columns]
        rows.append((f"{place[0]:,}", names[place[1]], tuple(cells)))
    heading = ("N", "Mechanism", *(column.heading for column in columns))
    return Grid(heading, tuple(rows), "rl" + "r" * len(columns))


def value(point: Point) -> str:
    """A point's text: its value with interval, or what became of it."""
    if point.estimate is None:
        said = STATUS[point.status]
        if point.predicted is None or point.status == "unsupported":
            return said
        return f"{said} (≈ {human(point.predicted, point.unit)})"
    divisor, _ = column_unit(point.unit)
    centre = point.estimate.centre / divisor
    if point.estimate.low is None or point.estimate.high is None:
        return number(centre)
    low, high = point.estimate.low / divisor, point.estimate.high / divisor
    decimals = decimals_of(centre, (high - low) / 2)
    return f"{number(centre, decimals)} [{number(low, decimals)}, {number(high, decimals)}]"


def of_peak(point: Point) -> str:
    """How much of what the machine's measured rates allow was reached."""
    roofline = point.remarks.roofline
    return percent(roofline.fraction) if roofline else ABSENT


def _columns(points: Sequence[Point]) -> list[TableColumn]:
    """The well-known quantities first and in their usual order, a time with what it is of peak."""
    units = {point.quantity: point.unit for point in points}
    ordered = [
        *(name for name in QUANTITY if name in units),
        *sorted(units.keys() - QUANTITY.keys()),
    ]
    roofs = {point.quantity for point in points if point.remarks.roofline}
    return [
        TableColumn(name, _title(name, units[name]) if text is value else OF_PEAK, text)
        for name in ordered
        for text in ((value, of_peak) if name in roofs else (value,))
    ]


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
