"""Points that may share a figure: everything but mechanism, variant, mode and tokens is alike."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from softbench.case import Mode, Record
from softbench.reports._labels import order
from softbench.reports._points import Point, Series, points

MODES: tuple[Mode, ...] = ("forward", "forward_backward")
# What a figure holds fixed, each with how a file name says it.
FIXED = {
    "level": "{}",
    "device": "{}",
    "dtype": "{}",
    "batch_size": "B{}",
    "num_heads": "H{}",
    "head_dim": "D{}",
    "inputs": "{}",
    "environment": "environment-{:.8}",
    "protocol": "protocol-{:.8}",
}


@dataclass(frozen=True)
class Group:
    """The points of one figure, what they hold fixed, and the suffix that tells it from others."""

    fixed: dict[str, str | int]
    suffix: str
    points: tuple[Point, ...]
    records: tuple[Record, ...]

    @property
    def series(self) -> list[Series]:
        """The lines, the core six first."""
        return sorted({point.series for point in self.points}, key=order)

    @property
    def modes(self) -> list[Mode]:
        """The modes that occur, forward first."""
        return [mode for mode in MODES if any(point.mode == mode for point in self.points)]

    def holds(self, quantity: str) -> bool:
        """Whether there is anything but "unsupported" to show of `quantity`."""
        return any(p.quantity == quantity and p.status != "unsupported" for p in self.points)


def groups(records: Sequence[Record]) -> list[Group]:
    """The figures that `records` make, named by what differs between them.

    Raises ValueError if there is nothing to show.
    """
    if not records:
        raise ValueError("no records to report on: the results are empty; run the suite first")
    parts: dict[tuple[str | int, ...], list[Record]] = defaultdict(list)
    for record in records:
        parts[tuple(_fixed(record).values())].append(record)
    telling = _telling(parts)
    return [_group(part, telling) for _, part in sorted(parts.items(), key=lambda kv: str(kv[0]))]


def _group(records: Sequence[Record], telling: Iterable[str]) -> Group:
    fixed = _fixed(records[0])
    suffix = "".join("_" + FIXED[name].format(fixed[name]) for name in telling)
    return Group(fixed, suffix.replace(":", "-"), tuple(points(records)), tuple(records))


def _fixed(record: Record) -> dict[str, str | int]:
    case, shape = record.case, record.case.shape
    return {
        "level": case.level,
        "device": case.device,
        "dtype": case.dtype,
        "batch_size": shape.batch_size,
        "num_heads": shape.num_heads,
        "head_dim": shape.head_dim,
        "inputs": case.inputs,
        "environment": record.environment,
        "protocol": record.protocol,
    }


def _telling(parts: Iterable[tuple[str | int, ...]]) -> list[str]:
    """The fixed things in which some parts differ."""
    columns = zip(FIXED, zip(*parts, strict=True), strict=True)
    return [name for name, column in columns if len(set(column)) > 1]
