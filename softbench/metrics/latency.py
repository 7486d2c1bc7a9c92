"""Seconds that one call takes, as raw values: one per timed stretch of calls, never a mean of them.

How it is warmed up, sampled and stopped stands in `_timing.py`, what a stretch is in `_clock.py`.
CUDA: the value is taken between events, with a cold L2; a case whose host needs longer to issue a
call than its kernels need to run is marked `launch_bound`. That path has not run on a GPU yet.
"""

from __future__ import annotations

from collections.abc import Generator

from softbench.case import Measurement, Unsupported
from softbench.metrics._clock import clock_of
from softbench.metrics._kernels import recorded_first_call
from softbench.metrics._timing import timed
from softbench.protocol import Protocol
from softbench.workload import Workload

QUANTITIES = {"latency": ("s", "lower")}
REPEATED = True


def measure(
    workload: Workload, protocol: Protocol
) -> Generator[None, None, dict[str, Measurement]]:
    """Seconds per call, a value per stretch; yields where another case may run in between.

    Raises Unsupported on the meta device, where nothing runs; NonFiniteError for NaN.
    """
    if workload.case.device == "meta":
        raise Unsupported("nothing runs on the meta device, so nothing can be timed")
    first = recorded_first_call(workload)
    name, clock = clock_of(workload, workload.case.device, flush_l2=protocol.flush_l2)
    return {"latency": (yield from timed(workload, protocol, name, clock, first))}
