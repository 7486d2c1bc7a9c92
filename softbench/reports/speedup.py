"""How many times as fast each backend is as its mechanism's eager one, and as the best softmax.

A figure and tables in Markdown, LaTeX and CSV, for each mode and setting. A factor is the eager
latency over the backend's, above 1 where the backend is faster, with Welch's interval on the log
medians of the processes. The best softmax is, length by length, the softmax backend with the least
latency; its name stands beside the factor. Then the share of the machine's measured rate of matrix
products that the backend reached with the FLOPs it ran, recomputation included; and the time over
the arithmetic floor: what the multiply-adds that the mechanism cannot do without take at that rate.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from softbench.case import Mode, Record
from softbench.reports import _factors, _machine, _notes, _sheet, _speedups, _tables
from softbench.reports._figure import own_settings
from softbench.reports._grid import ABSENT, Cell, Grid, value
from softbench.reports._groups import Group, groups
from softbench.reports._labels import MODE, labels
from softbench.reports._points import Series
from softbench.reports._speedups import Speedup
from softbench.reports._units import number, percent
from softbench.statistics.comparison import Ratio

HEADING = (
    "N",
    "Backend",
    "Latency (ms)",
    "Times eager",
    "Times the best softmax",
    "Of GEMM rate",
    "Over the floor",
)
METHOD = (
    "Times: latency of the other over the backend's own, above 1 where the backend is faster; 95 % "
    "Welch intervals on the log medians of the processes. Of GEMM rate: FLOPs that ran, over the "
    "time, over the measured rate of matrix products. Over the floor: the time over what the "
    "multiply-adds of the mechanism would take at that rate, without norms by products, the "
    "iteration of the inverse, and recomputation."
)
FIGURE = (
    "Times: latency of the other over the backend's own, above 1 where the backend is faster. "
    "Bars: 95 % Welch intervals on the log medians of the processes."
)


def render(records: Sequence[Record], folder: Path) -> list[Path]:
    """Write speedup[_suffix].pdf, .svg, .png and speedup.md, .tex, .csv; returns their paths.

    Raises ValueError if no backend was timed beside its mechanism's eager one.
    """
    found = [part for group in groups(records) for part in _parts(group)]
    if not found:
        raise ValueError(
            "nothing to compare: no mechanism has a latency both by its backend eager and by "
            "another one; give it backend: [eager, fused] in the suite"
        )
    sections = [_section(*part, folder) for part in found]
    rows = [row for group, _, every in found for row in _rows(group, every)]
    drawn = {group.suffix: group for group, _, _ in found}
    figures = [path for group in drawn.values() for path in _figure(group, folder)]
    return [*figures, *_tables.write(folder, "speedup", sections, rows)]


def _parts(group: Group) -> list[tuple[Group, Mode, list[Speedup]]]:
    every = [(group, mode, _speedups.speedups(group, mode)) for mode in group.modes]
    return [part for part in every if any(one.plain for one in part[2])]


def _figure(group: Group, folder: Path) -> list[Path]:
    """Times eager on the left; times the best softmax on the right, where there is one."""
    every = [one for mode in group.modes for one in _speedups.speedups(group, mode)]
    columns = {
        "times eager": [_factor(one, one.over_plain) for one in every if one.over_plain],
        "times the best softmax": [
            _factor(one, one.over_rival)
            for one in every
            if one.over_rival and one.own.series.attention != _speedups.RIVAL
        ],
    }
    facts = _machine.facts(folder, group)
    steady = _notes.steadiness(_speedups.used(every), facts)
    notes = [" ".join([_notes.setting(group, facts), FIGURE, steady]).strip()]
    folder.mkdir(parents=True, exist_ok=True)
    with own_settings():
        drawn = {name: factors for name, factors in columns.items() if factors}
        figure = _factors.draw(drawn, labels(group.series), notes)
        return _sheet.write(figure, folder / f"speedup{group.suffix}")


def _factor(one: Speedup, found: Ratio) -> _factors.Factor:
    return _factors.Factor(one.own.series, one.own.mode, one.own.seq_len, found)


def _section(group: Group, mode: Mode, every: Sequence[Speedup], folder: Path) -> _tables.Section:
    names, facts = labels(group.series), _machine.facts(folder, group)
    rows = tuple(
        (f"{one.own.seq_len:,}", names[one.own.series], tuple(map(Cell, _cells(one, names))))
        for one in every
    )
    notes = [_notes.setting(group, facts), METHOD, _notes.measured(_speedups.used(every), facts)]
    title = _tables.title(f"Speed of each backend, {MODE[mode]}", group)
    return _tables.Section(title, Grid(HEADING, rows, "rlrrrrr"), notes, f"speedup_{mode}")


def _cells(one: Speedup, names: Mapping[Series, str]) -> list[str]:
    rival = _times(one.over_rival)
    if one.rival and rival != ABSENT:
        rival = f"{rival} ({names[one.rival.series]})"
    share = one.gemm_fraction
    reached = percent(share) if share is not None else ABSENT
    floor = f"{number(one.over_floor, 2)}×" if one.over_floor is not None else ABSENT
    return [value(one.own), _times(one.over_plain), rival, reached, floor]


def _times(found: Ratio | None) -> str:
    if found is None or found.centre is None:
        return ABSENT
    if found.low is None or found.high is None:
        return f"{number(found.centre, 2)}×"
    return f"{number(found.centre, 2)}× [{number(found.low, 2)}, {number(found.high, 2)}]"


def _rows(group: Group, every: Sequence[Speedup]) -> list[dict[str, object]]:
    names = labels(group.series)
    return [
        {
            "label": names[one.own.series],
            "params": one.own.series.params,
            "mode": one.own.mode,
            "seq_len": one.own.seq_len,
            "seconds": one.own.estimate.centre if one.own.estimate else None,
            **_ends("over_eager", one.over_plain),
            "best_softmax": names[one.rival.series] if one.rival else None,
            **_ends("over_best_softmax", one.over_rival),
            "gemm_fraction": one.gemm_fraction,
            "over_floor": one.over_floor,
            **group.fixed,
            "record_ids": " ".join(
                id_
                for point in (one.own, one.plain, one.rival, one.work)
                if point
                for id_ in point.record_ids
            ),
        }
        for one in every
    ]


def _ends(name: str, found: Ratio | None) -> dict[str, float | None]:
    return {
        name: found.centre if found else None,
        f"{name}_low": found.low if found else None,
        f"{name}_high": found.high if found else None,
    }
