"""Each backend at each length beside its mechanism's eager one and beside the best softmax."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from softbench.case import Mode
from softbench.reports._groups import Group
from softbench.reports._labels import order
from softbench.reports._points import Point, Series
from softbench.statistics.comparison import Ratio, ratio

PLAIN, RIVAL, WORK = "eager", "softmax", "macs"
Found = Mapping[tuple[Series, int], Point]


@dataclass(frozen=True)
class Speedup:
    """One backend at one length; the plain twin and the best softmax where they were measured.

    work: its multiply-adds, without norms by products, the iterative solver and recomputation.
    """

    own: Point
    plain: Point | None
    rival: Point | None
    work: Point | None

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

    @property
    def over_floor(self) -> float | None:
        """Its time over what the multiply-adds of `work` would take at the GEMM rate."""
        found, work = self.own.remarks.roofline, self.work and self.work.estimate
        if not found or not work or not work.centre or not self.own.estimate:
            return None
        return self.own.estimate.centre * found.gemm / (2 * work.centre)


def speedups(group: Group, mode: Mode) -> list[Speedup]:
    """Every backend but the eager ones at every length, by length and then by mechanism."""
    found = {
        (point.series, point.seq_len): point
        for point in group.points
        if point.quantity == "latency" and point.mode == mode and point.estimate
    }
    work = {
        (point.series, point.seq_len): point
        for point in group.points
        if point.quantity == WORK and point.mode == mode
    }
    others = [key for key in found if key[0].backend != PLAIN]
    others.sort(key=lambda key: (key[1], order(key[0])))
    return [
        Speedup(
            own=found[key],
            plain=found.get((replace(key[0], backend=PLAIN), key[1])),
            rival=_best(found, key),
            work=work.get(key),
        )
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


def used(every: Sequence[Speedup]) -> list[Point]:
    """Every point that a factor is made of."""
    return [point for one in every for point in (one.own, one.plain, one.rival) if point]


def _over(other: Point | None, own: Point) -> Ratio | None:
    if other is None or other.estimate is None or own.estimate is None:
        return None
    return ratio(other.estimate, own.estimate)
