"""Seconds that one call takes, as raw values: one per timed stretch of calls, never a mean of them.

A stretch lasts at least `stretch_seconds` (or one call); how many calls that is, is found while
warming up. Warm-up ends when two stretches in a row agree, or at its cap. Sampling ends when the
interval of the median is narrow enough, or when the seconds are spent; the record says which. A
slow case may use `slow_seconds` to reach three stretches.
`measure` yields between stretches, so that the cases of a block can run interleaved at random.
CUDA: device time is the value; a case whose host needs longer to issue a call than the device needs
to run it is marked `launch_bound`. That path has not run on a GPU yet.
"""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass
from math import ceil
from typing import Any

from softbench.case import Measurement, Unsupported
from softbench.metrics._clock import Clock, Stretch, clock_of
from softbench.metrics._finite import first_call
from softbench.metrics._median_interval import relative_width
from softbench.protocol import Protocol
from softbench.workload import Workload, backend_ran

QUANTITIES = {"latency": ("s", "lower")}
REPEATED = True
# Calls are planned for a little more than the shortest stretch: a call may run faster than before.
MARGIN = 1.2
FEWEST = 3


@dataclass(frozen=True)
class WarmUp:
    """What warming up found: calls per timed stretch, and how many stretches it took."""

    calls: int
    stretches: int
    agreed: bool


def measure(
    workload: Workload, protocol: Protocol
) -> Generator[None, None, dict[str, Measurement]]:
    """Seconds per call, a value per stretch; yields where another case may run in between.

    Raises Unsupported on the meta device, where nothing runs; NonFiniteError for NaN.
    """
    if workload.case.device == "meta":
        raise Unsupported("nothing runs on the meta device, so nothing can be timed")
    first_call(workload)
    name, clock = clock_of(workload, flush_l2=protocol.flush_l2)
    warm_up = yield from warm(clock, protocol)
    stretches, stopped_by = yield from sample(clock, warm_up.calls, protocol)
    detail = _detail(stretches, warm_up) | {"clock": name, "stopped_by": stopped_by}
    detail["backend_ran"] = backend_ran(workload.case)
    if workload.case.device.startswith("cuda"):
        detail |= _against_host(stretches)
    return {"latency": Measurement([stretch.seconds for stretch in stretches], detail)}


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
    return WarmUp(calls_for(stretch, protocol), count, agreed)


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


def _detail(stretches: list[Stretch], warm_up: WarmUp) -> dict[str, Any]:
    return {
        "calls_per_stretch": warm_up.calls,
        "warmup_stretches": warm_up.stretches,
        "warmup_agreed": warm_up.agreed,
        "timed_seconds": sum(stretch.elapsed for stretch in stretches),
    }


def _against_host(stretches: list[Stretch]) -> dict[str, Any]:
    host = [stretch.host_seconds for stretch in stretches]
    device = [stretch.seconds for stretch in stretches]
    return {"host_seconds": host, "launch_bound": sum(host) > sum(device)}
