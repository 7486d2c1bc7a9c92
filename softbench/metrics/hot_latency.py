"""Seconds that one call takes on CUDA with its inputs in the L2, if they fit: no flush in between.

The cold figure is `latency`; which of the two a program will see depends on what runs before it.
On a CPU `latency` is hot already, so that there is nothing to add.
It has not run on a GPU yet.
"""

from __future__ import annotations

from collections.abc import Generator

from softbench.case import Measurement, Unsupported
from softbench.metrics._clock import clock_of
from softbench.metrics._kernels import recorded_first_call
from softbench.metrics._timing import timed
from softbench.protocol import Protocol
from softbench.workload import Workload

QUANTITIES = {"hot_latency": ("s", "lower")}
REPEATED = True


def measure(
    workload: Workload, protocol: Protocol
) -> Generator[None, None, dict[str, Measurement]]:
    """Seconds per call, a value per stretch; yields where another case may run in between.

    Raises Unsupported where `latency` is this number, and on the meta device; NonFiniteError.
    """
    device = workload.case.device
    if not device.startswith("cuda"):
        where = "the CPU is hot already" if device == "cpu" else f"{device} cannot be timed"
        raise Unsupported(f"latency on {where}")
    if not protocol.flush_l2:
        raise Unsupported("latency is hot already: this protocol flushes no L2")
    first = recorded_first_call(workload)
    name, clock = clock_of(workload, device, flush_l2=False)
    return {"hot_latency": (yield from timed(workload, protocol, name, clock, first))}
