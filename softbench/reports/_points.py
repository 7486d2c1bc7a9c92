"""Records become points: one (series, mode, tokens, quantity) with its estimate or its failure.

A point whose repeats partly failed is a failure: the processes that survived are the lucky ones,
and their mean would hide it. A repeat that was only skipped says nothing about the others.
"""

from __future__ import annotations

import json
import math
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from softbench.case import Better, Case, Mode, Record, Status
from softbench.reports._remarks import Remarks, finite, remarks
from softbench.statistics.interval import Estimate, estimate

WORST_FIRST: tuple[Status, ...] = (
    "error",
    "out_of_memory",
    "timeout",
    "ok",
    "skipped",
    "unsupported",
)


@dataclass(frozen=True, order=True)
class Series:
    """What one line of a figure holds fixed; `params` is canonical JSON."""

    attention: str
    backend: str
    params: str
    compile: bool
    seed: int
    layout: str


@dataclass(frozen=True)
class Point:
    """One quantity of one case over its repeats; `estimate` is None unless status is ok.

    `repeats` are those of the estimate: what one repeat measured, one process did.
    """

    series: Series
    case: Case
    quantity: str
    unit: str
    better: Better
    status: Status
    estimate: Estimate | None
    repeats: tuple[int, ...]
    predicted: float | None
    reason: str | None
    record_ids: tuple[str, ...]
    remarks: Remarks

    @property
    def mode(self) -> Mode:
        """Forward, or forward and backward."""
        return self.case.mode

    @property
    def seq_len(self) -> int:
        """The number of tokens."""
        return self.case.shape.seq_len

    @property
    def height(self) -> float | None:
        """Where it is drawn: what was measured, else what was predicted, else nowhere."""
        return self.estimate.centre if self.estimate else self.predicted


def points(records: Iterable[Record]) -> list[Point]:
    """Every point of `records`, by series, mode, tokens and quantity.

    Of several records with the same resume key the last one counts: it was measured afresh.
    """
    latest = list({record.key: record for record in records}.values())
    layouts = _layouts({record.case.id: record.case for record in latest})
    cells: dict[tuple[str, str, str, str], list[Record]] = defaultdict(list)
    for record in latest:
        cell = (record.case.id, record.metric, record.protocol, record.environment)
        cells[cell].append(record)
    made = [_point(cell, layouts) for cell in cells.values()]
    return sorted(made, key=lambda p: (p.series, p.mode, p.seq_len, p.quantity))


def _point(cell: Sequence[Record], layouts: Mapping[str, str]) -> Point:
    repeats = sorted(cell, key=lambda record: record.repeat)
    status = min((record.status for record in repeats), key=WORST_FIRST.index)
    telling = [record for record in repeats if record.status == status]
    first = telling[0]
    measured = [record.values for record in telling] if status == "ok" else None
    return Point(
        series=_series(first.case, layouts[first.case.id]),
        case=first.case,
        quantity=first.metric,
        unit=first.unit,
        better=first.better,
        status=status,
        estimate=estimate(measured) if measured else None,
        repeats=tuple(record.repeat for record in telling),
        predicted=None if status in ("ok", "unsupported") else _predicted(repeats),
        reason=first.reason,
        record_ids=tuple(record.id for record in (telling if measured else repeats)),
        remarks=remarks(telling),
    )


def _predicted(repeats: Sequence[Record]) -> float | None:
    told = (finite(record.detail.get("predicted")) for record in repeats)
    return next((value for value in told if value is not None), None)


def _series(case: Case, layout: str) -> Series:
    params = json.dumps(case.params, sort_keys=True, separators=(",", ":"))
    return Series(case.attention, case.backend, params, case.compile, case.seed, layout)


def _layouts(cases: Mapping[str, Case]) -> dict[str, str]:
    """The shape of each case's token grid, told apart only where one length has several grids."""
    grids: dict[int, set[tuple[int, int] | None]] = defaultdict(set)
    for case in cases.values():
        grids[case.shape.seq_len].add(case.shape.grid)
    several = any(len(found) > 1 for found in grids.values())
    return {id_: _layout(case.shape.grid) if several else "" for id_, case in cases.items()}


def _layout(grid: tuple[int, int] | None) -> str:
    if grid is None:
        return "1-D"
    common = math.gcd(*grid)
    return f"{grid[0] // common}:{grid[1] // common} grid"
