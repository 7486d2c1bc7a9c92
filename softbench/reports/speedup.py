"""How many times as fast each backend is as its mechanism's eager one, and as the best softmax.

Markdown, LaTeX and CSV, one table for each mode and setting. A factor is the eager latency over the
backend's, above 1 where the backend is faster, with Welch's interval on the log medians of the
processes. The best softmax is, length by length, the softmax backend with the least latency; its
name stands beside the factor. The last column is the share of the machine's measured rate of matrix
products that the backend reached with the FLOPs it ran, recomputation included.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from softbench.case import Mode, Record
from softbench.reports import _machine, _notes, _tables
from softbench.reports._grid import ABSENT, Cell, Grid, value
from softbench.reports._groups import Group, groups
from softbench.reports._labels import MODE, labels, order
from softbench.reports._points import Point, Series
from softbench.reports._units import number, percent
from softbench.statistics.comparison import Ratio, ratio

PLAIN, RIVAL = "eager", "softmax"
HEADING = ("N", "Backend", "Latency (ms)", "Times eager", "Times the best softmax", "Of GEMM rate")
METHOD = (
    "Times: latency of the other over the backend's own, above 1 where the backend is faster; 95 % "
    "Welch intervals on the log medians of the processes. Of GEMM rate: FLOPs that ran, over the "
    "time, over the measured rate of matrix products."
)
Found = Mapping[tuple[Series, int], Point]


@dataclass(frozen=True)
class Speedup:
    """One backend at one length; the plain twin and the best softmax where they were measured."""

    own: Point
    plain: Point | None
    rival: Point | None

    @property
    def over_plain(self) -> Ratio | None:
        """Eager latency over its own."""
        return _over(self.plain, self.own)

    @property
    def over_rival(self) -> Ratio | None:
        """The best softmax's latency over its own."""
        return _over(self.rival, self.own)

    @property
    def gemm_fraction(self) -> float | None:
        """The share of the GEMM rate that its FLOPs reached."""
        found = self.own.remarks.roofline
        return found.gemm_fraction if found else None


def render(records: Sequence[Record], folder: Path) -> list[Path]:
    """Write speedup.md, speedup.tex and speedup.csv into `folder`; returns their paths.

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
    return _tables.write(folder, "speedup", sections, rows)


def speedups(group: Group, mode: Mode) -> list[Speedup]:
    """Every backend but the eager ones at every length, by length and then by mechanism."""
    found = {
        (point.series, point.seq_len): point
        for point in group.points
        if point.quantity == "latency" and point.mode == mode and point.estimate
    }
    others = [key for key in found if key[0].backend != PLAIN]
    others.sort(key=lambda key: (key[1], order(key[0])))
    return [
        Speedup(found[key], found.get((replace(key[0], backend=PLAIN), key[1])), _best(found, key))
        for key in others
    ]


def _best(found: Found, key: tuple[Series, int]) -> Point | None:
    """The fastest softmax of the same length, token grid and seed."""
    own, length = key
    rivals = [
        (point.estimate.centre, point)
        for (series, at), point in found.items()
        if at == length and series.attention == RIVAL and series != own and point.estimate
        if (series.layout, series.seed) == (own.layout, own.seed)
    ]
    return min(rivals, key=lambda rival: rival[0])[1] if rivals else None


def _parts(group: Group) -> list[tuple[Group, Mode, list[Speedup]]]:
    every = [(group, mode, speedups(group, mode)) for mode in group.modes]
    return [part for part in every if any(one.plain for one in part[2])]


def _section(group: Group, mode: Mode, every: Sequence[Speedup], folder: Path) -> _tables.Section:
    names, facts = labels(group.series), _machine.facts(folder, group)
    rows = tuple(
        (f"{one.own.seq_len:,}", names[one.own.series], tuple(map(Cell, _cells(one, names))))
        for one in every
    )
    timed = [point for one in every for point in (one.own, one.plain, one.rival) if point]
    notes = [_notes.setting(group, facts), METHOD, _notes.measured(timed, facts)]
    title = _tables.title(f"Speed of each backend, {MODE[mode]}", group)
    return _tables.Section(title, Grid(HEADING, rows, "rlrrrr"), notes, f"speedup_{mode}")


def _cells(one: Speedup, names: Mapping[Series, str]) -> list[str]:
    rival = _times(one.over_rival)
    if one.rival and rival != ABSENT:
        rival = f"{rival} ({names[one.rival.series]})"
    share = one.gemm_fraction
    reached = percent(share) if share is not None else ABSENT
    return [value(one.own), _times(one.over_plain), rival, reached]


def _times(found: Ratio | None) -> str:
    if found is None or found.centre is None:
        return ABSENT
    if found.low is None or found.high is None:
        return f"{number(found.centre, 2)}×"
    return f"{number(found.centre, 2)}× [{number(found.low, 2)}, {number(found.high, 2)}]"


def _over(other: Point | None, own: Point) -> Ratio | None:
    if other is None or other.estimate is None or own.estimate is None:
        return None
    return ratio(other.estimate, own.estimate)


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
            **group.fixed,
            "record_ids": " ".join(
                id_
                for point in (one.own, one.plain, one.rival)
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
