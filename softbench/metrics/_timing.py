"""The timing of one case: a first call that is looked at, a warm-up, timed stretches, all as told.

A stretch lasts at least `stretch_seconds` (or one call); how many calls that is, is found while
warming up. Warm-up ends when two stretches in a row agree, or at its cap. Sampling ends when the
interval of the median is narrow enough, or when the seconds are spent; the record says which. A
slow case may use `slow_seconds` to reach three stretches.
What times a case yields between stretches, so that the cases of a block can run interleaved at
random.
"""

from __future__ import annotations

from collections.abc import Generator, Sequence
from dataclasses import dataclass
from math import ceil
from statistics import median
from typing import Any

import torch

from softbench.case import Measurement
from softbench.kernels import low_rank
from softbench.metrics._clock import Clock, Stretch
from softbench.metrics._kernels import FirstCall
from softbench.metrics._median_interval import relative_width
from softbench.protocol import Protocol
from softbench.workload import Workload, backend_ran

# Calls are planned for a little more than the shortest stretch: a call may run faster than before.
MARGIN = 1.2
FEWEST = 3


@dataclass(frozen=True)
class WarmUp:
    """What warming up found: calls per timed stretch, and the stretches and seconds it took."""

    calls: int
    stretches: int
    seconds: float
    agreed: bool


def timed(
    workload: Workload, protocol: Protocol, name: str, clock: Clock, first: FirstCall
) -> Generator[None, None, Measurement]:
    """Seconds per call, a value per stretch of `clock`, which is called `name` in the record.

    first: the case's first call, made by the caller, so that its failure is told before a clock is.
    """
    warm_up = yield from warm(clock, protocol)
    stretches, stopped_by = yield from sample(clock, warm_up.calls, protocol)
    detail: dict[str, Any] = {
        "clock": name,
        "stopped_by": stopped_by,
        "calls_per_stretch": warm_up.calls,
        "warmup_stretches": warm_up.stretches,
        "warmup_seconds": first.seconds + warm_up.seconds,
        "warmup_agreed": warm_up.agreed,
        "timed_seconds": sum(stretch.elapsed for stretch in stretches),
        "backend_ran": backend_ran(workload.case),
        "kernels": first.kernels,
    }
    if workload.case.device.startswith("cuda"):
        detail |= against_host(stretches, first)
    else:
        detail |= instructions()
    return Measurement([stretch.seconds for stretch in stretches], detail)


def instructions() -> dict[str, Any]:
    """The vector instructions that torch takes on this processor, and the build of our kernels."""
    return {
        "cpu_capability": torch.backends.cpu.get_cpu_capability(),
        "kernel_build": low_rank.build(),
    }


def warm(clock: Clock, protocol: Protocol) -> Generator[None, None, WarmUp]:
    """Run stretches until two in a row agree or `warmup_seconds` are spent."""
    stretch = clock(1)
    spent, count, agreed = stretch.elapsed, 1, False
    while not agreed and spent < protocol.warmup_seconds:
        yield
        before = stretch
        stretch = clock(calls_for(stretch, protocol))
        spent, count = spent + stretch.elapsed, count + 1
        agreed = _agree(before, stretch, protocol.warmup_agreement)
    yield
    return WarmUp(calls_for(stretch, protocol), count, spent, agreed)


def sample(
    clock: Clock, calls: int, protocol: Protocol
) -> Generator[None, None, tuple[list[Stretch], str]]:
    """Timed stretches until the median is known well enough ("width") or the "budget" is spent."""
    stretches = [clock(calls)]
    spent = stretches[0].elapsed
    while not (narrow := _narrow_enough(stretches, protocol)) and _affords_more(
        len(stretches), spent, protocol
    ):
        yield
        stretches.append(clock(calls))
        spent += stretches[-1].elapsed
    return stretches, "width" if narrow else "budget"


def against_host(stretches: Sequence[Stretch], first: FirstCall) -> dict[str, Any]:
    """Seconds that the host and the kernels took of a call, and whether the host takes the longer.

    Stretches are on CUDA. Events alone would not tell: on an idle device they hold what the host
    took. So the host is held against the kernels of the first call, and against the events where
    these are shorter: a first call may have tried several kernels, or have been seen by nobody.
    """
    host = [stretch.host_seconds for stretch in stretches]
    told = [median(stretch.seconds for stretch in stretches), first.kernel_seconds]
    device = min(seconds for seconds in told if seconds is not None)
    return {
        "host_seconds": host,
        "kernel_seconds": first.kernel_seconds,
        "launch_bound": median(host) > device,
    }


def calls_for(stretch: Stretch, protocol: Protocol) -> int:
    """How many calls as long as this stretch's fill the shortest timed stretch, at least one."""
    if stretch.seconds >= protocol.stretch_seconds:
        return 1
    # A clock too coarse for one call still says that more calls are needed.
    return ceil(MARGIN * protocol.stretch_seconds / max(stretch.seconds, 1e-7))


def _affords_more(stretches: int, spent: float, protocol: Protocol) -> bool:
    """Below three stretches nothing is known of the spread, so a slow case may use more time."""
    if stretches < FEWEST:
        return spent * (stretches + 1) / stretches <= protocol.slow_seconds
    return spent < protocol.sample_seconds


def _narrow_enough(stretches: list[Stretch], protocol: Protocol) -> bool:
    if len(stretches) < protocol.min_stretches:
        return False
    return relative_width([stretch.seconds for stretch in stretches]) <= protocol.target_width


def _agree(one: Stretch, other: Stretch, tolerance: float) -> bool:
    shorter, longer = sorted((one.seconds, other.seconds))
    return longer - shorter <= tolerance * shorter
