"""`softbench compare A B`: two results folders cell by cell, judged where that means anything.

A cell is a case and a quantity. Times and memory are judged between runs of one machine and one
protocol only; counts are judged anywhere. It is no gate: it runs after the fact, and A was measured
before B, so that what the machine did in between is in the difference.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from softbench.cli.ending import BadInputError
from softbench.cli.sides import Side, only_below, read_side
from softbench.environment import Environment
from softbench.reports._labels import STATUS
from softbench.reports._points import Point
from softbench.statistics.comparison import Ratio, ratio
from softbench.statistics.crossover import compare as by_every_call

MACHINE = ("system", "cpu", "cores", "memory", "gpus", "driver")
CHANCE = 0.05  # how often 95 % intervals differ though nothing does
FEWEST_TO_ORDER = 4  # processes a side that judge without an interval
Verdict = Literal["A better", "B better", "no difference seen", "equal", "not judged"]


@dataclass(frozen=True)
class Cell:
    """One case and quantity in both: B / A where that means anything, the verdict, its reason.

    A cell that has an interval has a verdict, and one that is judged without has a count on each
    side, or calls so few that all of them had to agree.
    """

    a: Point
    b: Point
    ratio: Ratio | None
    verdict: Verdict
    reason: str | None

    @property
    def by_interval(self) -> bool:
        """Whether an interval judged it, which differs by chance; a count does not."""
        return self.ratio is not None and self.ratio.low is not None

    @property
    def by_every_call(self) -> bool:
        """Whether it has no interval and is no count, but all its calls agreed."""
        bare = self.ratio is not None and self.ratio.low is None and not self.ratio.exact
        return bare and self.verdict != "not judged"


@dataclass(frozen=True)
class Comparison:
    """Two sides, what sets them apart, the cells of both and those of one alone.

    `machine` and `versions`: what differs, with the value in A and in B. `barrier` is why nothing
    but counts is judged, None where everything may be.
    """

    a: Side
    b: Side
    machine: dict[str, tuple[Any, Any]]
    versions: dict[str, tuple[Any, Any]]
    barrier: str | None
    cells: tuple[Cell, ...]
    only_a: tuple[Point, ...]
    only_b: tuple[Point, ...]

    @property
    def by_interval(self) -> tuple[int, int]:
        """How many cells were judged by intervals, and how many of them differ."""
        measured = [cell for cell in self.cells if cell.by_interval]
        return len(measured), sum("better" in cell.verdict for cell in measured)

    @property
    def by_every_call(self) -> int:
        """How many cells without interval differ in every call."""
        return sum(cell.by_every_call for cell in self.cells)

    @property
    def refused(self) -> bool:
        """Whether the barrier kept a cell from being judged."""
        return self.barrier is not None and any(cell.reason == self.barrier for cell in self.cells)


def compare_folders(first: Path, second: Path) -> Comparison:
    """The comparison of two results folders, or of the only one below each.

    Raises BadInputError where there are several or they have no cell in common, RecordsError where
    one cannot be read.
    """
    folders = [only_below(first), only_below(second)]
    if folders[0].resolve() == folders[1].resolve():
        raise BadInputError(f"{first} and {second} are the same results; name two")
    a, b = (read_side(folder) for folder in folders)
    machine, versions = _differing(a.environment, b.environment)
    barrier = "another machine" if machine else None
    if a.protocol != b.protocol:
        barrier = barrier or "another protocol"
    common = [key for key in a.cells if key in b.cells]
    if not common:
        raise BadInputError(
            f"no cell in common: {a.folder} has {len(a.cells)}, {b.folder} has {len(b.cells)}, "
            "none of the same case and quantity"
        )
    return Comparison(
        a,
        b,
        machine,
        versions,
        barrier,
        cells=tuple(_cell(a.cells[key], b.cells[key], barrier) for key in common),
        only_a=tuple(point for key, point in a.cells.items() if key not in b.cells),
        only_b=tuple(point for key, point in b.cells.items() if key not in a.cells),
    )


def _differing(
    a: Environment, b: Environment
) -> tuple[dict[str, tuple[Any, Any]], dict[str, tuple[Any, Any]]]:
    """What differs of the machine, and of the versions and settings that ran on it."""
    left, right = a.model_dump(mode="json"), b.model_dump(mode="json")
    left |= left.pop("libraries")
    right |= right.pop("libraries")
    differ = {
        name: (left.get(name), right.get(name))
        for name in dict.fromkeys([*left, *right])
        if left.get(name) != right.get(name)
    }
    # torch brings a CUDA of its own: without a device it is a version like any other.
    facts = (*MACHINE, "cuda") if a.gpus or b.gpus else MACHINE
    machine = {name: pair for name, pair in differ.items() if name in facts}
    return machine, {name: pair for name, pair in differ.items() if name not in facts}


def _cell(a: Point, b: Point, barrier: str | None) -> Cell:
    if a.estimate is None or b.estimate is None:
        return Cell(a, b, None, "not judged", _without_value(a, b))
    found = ratio(b.estimate, a.estimate)
    if barrier and not (found.exact and _counted(a)):
        return Cell(a, b, None, "not judged", barrier)
    side = _by_calls(a, b) if found.side is None else found.side
    if side is None:
        return Cell(a, b, found, "not judged", found.without_interval)
    if side == 0:
        return Cell(a, b, found, "equal" if found.exact else "no difference seen", None)
    return Cell(
        a, b, found, "B better" if (side < 0) == (a.better == "lower") else "A better", None
    )


def _counted(point: Point) -> bool:
    """Whether it is a count by its nature: measured bytes that never differ are none."""
    return point.unit not in ("s", "byte") or point.quantity.startswith("predicted_")


def _by_calls(a: Point, b: Point) -> int | None:
    """Where calls are too few for an interval: 1 or -1 if every call of B differs from all of A.

    Over four processes each, two of the 70 ways to order them say so by chance: 3 %. Over three it
    would be two of 20, which is more than an interval errs.
    """
    if a.estimate is None or b.estimate is None:
        return None
    if min(a.estimate.num_processes, b.estimate.num_processes) < FEWEST_TO_ORDER:
        return None
    said = by_every_call(b.estimate, a.estimate, "lower")
    return {"better": -1, "not better": 1, "undetermined": None}[said]


def _without_value(a: Point, b: Point) -> str:
    lacking = {side: STATUS[p.status] for side, p in (("A", a), ("B", b)) if not p.estimate}
    if len(lacking) == 2 and lacking["A"] == lacking["B"]:
        return f"{lacking['A']} in both"
    return ", ".join(f"{status} in {side}" for side, status in lacking.items())
