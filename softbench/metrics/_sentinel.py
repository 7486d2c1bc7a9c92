"""A small fixed piece of work, read now and then while cases take turns: does the machine drift?

A reading is the time of a matrix product and of a pass through memory, each the median of five
after two that are not counted, for they find their data wherever the case before left it. Readings
are `sentinel_seconds` apart, and further apart where they would take more than SHARE of the time.
Their reference is the lower quartile of all that this process has taken: what disturbs a machine
slows it, so the median of a disturbed start would be the disturbance itself, and the least is luck
that never comes again.
Drift is what two readings in a row say; one alone is an interruption. It tags what was sampled
meanwhile and deletes nothing. A record that was handed over before the reference had settled is not
tagged afterwards.
The CUDA path has not run on a GPU yet.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from itertools import pairwise
from statistics import median, quantiles
from time import perf_counter
from typing import Any

import torch

from softbench.case import CLOCKED, Measurement, Unsupported
from softbench.protocol import Protocol

# The side of the product and the float32 numbers of the pass: a millisecond each, or less.
SIZES = {"cpu": (320, 2**22), "cuda": (2048, 2**25)}
PASSES, UNCOUNTED = 5, 2
SHARE = 0.02

Found = Mapping[str, Measurement | Unsupported]


class Sentinel:
    """The readings of one device, from the first to the last of a process.

    `work` is read with a clock of the host; `sentinel_of` has the one that fits a device.
    """

    def __init__(
        self,
        work: Sequence[Callable[[], object]],
        protocol: Protocol,
        clock: Callable[[], float] = perf_counter,
    ) -> None:
        self._work, self._protocol, self._clock = work, protocol, clock
        self._next = 0.0
        self.readings: list[float] = []

    def look(self) -> None:
        """Take a reading, if it is time for one."""
        began = self._clock()
        if not self._work or (self.readings and began < self._next):
            return
        self.readings.append(sum(self._typical(part) for part in self._work))
        ended = self._clock()
        self._next = ended + max(self._protocol.sentinel_seconds, (ended - began) / SHARE)

    def last(self) -> int:
        """Which reading is the latest: where a case begins that starts now."""
        return max(0, len(self.readings) - 1)

    def witnessed(self, found: Found, units: Mapping[str, str], since: int) -> Found:
        """What a metric found; its times with the readings since then, and tagged if they drifted.

        units: of each quantity. Only a `Measurement` by the clock is touched.
        """
        said = self._said(since)
        return {
            name: _with(one, said)
            if isinstance(one, Measurement) and units.get(name) in CLOCKED
            else one
            for name, one in found.items()
        }

    def _said(self, since: int) -> dict[str, Any]:
        """Tags and readings since then, as they stand in a record."""
        if not self.readings:
            return {"tags": []}
        reference = reference_of(self.readings)
        ratios = [reading / reference for reading in self.readings[since:]]
        tags = ["drift"] if drifted(ratios, self._protocol.sentinel_tolerance) else []
        told = {"reference": reference, "ratios": [round(ratio, 3) for ratio in ratios]}
        return {"tags": tags, "sentinel": told}

    def _typical(self, part: Callable[[], object]) -> float:
        for _ in range(UNCOUNTED):
            part()
        return median(self._seconds(part) for _ in range(PASSES))

    def _seconds(self, part: Callable[[], object]) -> float:
        start = self._clock()
        part()
        return self._clock() - start


def sentinel_of(device: str, protocol: Protocol) -> Sentinel:
    """The sentinel of `device`; nothing runs on the meta device, so that it has no readings."""
    if device == "meta":
        return Sentinel((), protocol)
    side, length = SIZES[device.partition(":")[0]]
    square, result = (torch.full((side, side), 0.5, device=device) for _ in range(2))
    passed = torch.full((length,), 0.5, device=device)

    def wait() -> None:
        if device != "cpu":
            torch.cuda.synchronize(device)

    def product() -> None:
        torch.mm(square, square, out=result)
        wait()

    def through_memory() -> None:
        passed.mul_(1.0)
        wait()

    return Sentinel((product, through_memory), protocol)


def reference_of(readings: Sequence[float]) -> float:
    """The lower quartile of the readings."""
    return quantiles(readings, n=4, method="inclusive")[0] if len(readings) > 1 else readings[0]


def drifted(ratios: Sequence[float], tolerance: float) -> bool:
    """Whether two in a row, or all there are, lie further than `tolerance` from 1."""
    off = [abs(ratio - 1) > tolerance for ratio in ratios]
    return bool(off) and (all(off) or any(one and other for one, other in pairwise(off)))


def _with(one: Measurement, said: Mapping[str, Any]) -> Measurement:
    tags = [*one.detail.get("tags", ()), *said["tags"]]
    return replace(one, detail={**one.detail, **said, "tags": tags})
