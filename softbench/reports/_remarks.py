"""What a worker remarked beside its values: the launches bound it, the machine drifted, the roofs.

A remark of any repeat is one of the whole point; a figure of the roofs is the median of the repeats
that have it. The rates stay apart, repeat by repeat: each is a process of its own.
"""

from __future__ import annotations

import math
import statistics
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from softbench.case import Record

RATES = ("gemm", "stream", "exponential")


@dataclass(frozen=True)
class Roofline:
    """What a case reached of the rates measured on its machine (FLOP/s, byte/s, 1/s).

    fraction: the least seconds that the rates allow over the seconds taken; gemm_fraction: FLOP/s
    over those of the matrix product; bound: the rate that sets the least seconds; intensity: FLOPs
    for each byte that must move, None where the record does not tell the bytes.
    """

    flops: float
    seconds: float
    gemm: float
    stream: float
    exponential: float
    bound: str
    least_seconds: float
    fraction: float
    gemm_fraction: float
    intensity: float | None

    @property
    def attained(self) -> float:
        """FLOP/s as measured."""
        return self.flops / self.seconds


@dataclass(frozen=True)
class Remarks:
    """Of one point; asked: the bytes that were asked for when memory ran out.

    backend: the one that ran, "eager and fused" of several; None where it is not told.
    rates: what the process of each repeat measured of its machine (FLOP/s, byte/s, 1/s).
    """

    launch_bound: bool = False
    drifted: bool = False
    asked: float | None = None
    backend: str | None = None
    roofline: Roofline | None = None
    rates: Mapping[int, Mapping[str, float]] = field(default_factory=dict)


def remarks(records: Sequence[Record]) -> Remarks:
    """What the records of one cell say besides their values."""
    details = [record.detail for record in records]
    return Remarks(
        launch_bound=any(detail.get("launch_bound") is True for detail in details),
        drifted=any("drift" in _tags(detail) for detail in details),
        asked=next((told for d in details if (told := finite(d.get("asked"))) is not None), None),
        backend=" and ".join(sorted(_backends(details))) or None,
        roofline=_roofline([record for record in records if record.status == "ok"]),
        rates={record.repeat: found for record in records if (found := _rates(record))},
    )


def finite(value: object) -> float | None:
    """A finite number as such; None for anything else that a detail may hold."""
    number = isinstance(value, int | float) and not isinstance(value, bool)
    return float(value) if number and math.isfinite(value) else None  # type: ignore[arg-type]


def _tags(detail: Mapping[str, Any]) -> Iterable[object]:
    tags = detail.get("tags")
    return tags if isinstance(tags, list) else []


def _backends(details: Sequence[Mapping[str, Any]]) -> set[str]:
    told = (detail.get("backend_ran") for detail in details)
    return {backend for backend in told if isinstance(backend, str)}


def _rates(record: Record) -> dict[str, float]:
    """The rates that the record of a time tells, by name."""
    told = record.detail.get("roofline")
    if not isinstance(told, Mapping):
        return {}
    return {name: rate for name in RATES if (rate := finite(told.get(name)))}


def _roofline(records: Sequence[Record]) -> Roofline | None:
    told = [found for record in records if (found := _one(record))]
    if not told:
        return None
    middle = {
        name: statistics.median(getattr(one, name) for one in told)
        for name in ("flops", "seconds", *RATES, "least_seconds", "fraction", "gemm_fraction")
    }
    intensities = [one.intensity for one in told if one.intensity is not None]
    bound = Counter(one.bound for one in told).most_common(1)[0][0]
    intensity = statistics.median(intensities) if intensities else None
    return Roofline(**middle, bound=bound, intensity=intensity)


def _one(record: Record) -> Roofline | None:
    """Of one record; None if it tells no roofs, or not all of them."""
    detail = record.detail.get("roofline")
    if not isinstance(detail, Mapping):
        return None
    names = (*RATES, "least_seconds", "fraction", "gemm_fraction")
    numbers = {name: finite(detail.get(name)) for name in names}
    flops, known = finite(record.detail.get("flops")), {k: v for k, v in numbers.items() if v}
    if not flops or len(known) < len(names):
        return None
    return Roofline(
        flops=flops,
        seconds=statistics.median(record.values),
        bound=str(detail.get("bound")),
        intensity=_intensity(flops, known, detail),
        **known,
    )


def _intensity(flops: float, known: Mapping[str, float], detail: Mapping[str, Any]) -> float | None:
    """FLOPs a byte; where moving the bytes sets the bound, the bound tells how many they are."""
    moved = finite(detail.get("compulsory_bytes"))
    if moved is None and detail.get("bound") == "stream":
        moved = known["least_seconds"] * known["stream"]
    return flops / moved if moved else None
