"""A metric in five turns that says when each was and in which process; made for tests."""

from __future__ import annotations

import os
import time
from collections.abc import Generator

from softbench.case import Measurement
from softbench.protocol import Protocol
from softbench.workload import Workload

QUANTITIES = {"turns": ("ns", "lower")}
REPEATED = True


def measure(
    workload: Workload, protocol: Protocol
) -> Generator[None, None, dict[str, Measurement]]:
    """The times of the turns."""
    times: list[int | float] = []
    for _ in range(5):
        times.append(time.perf_counter_ns())
        workload.step()
        yield
    return {"turns": Measurement(times, {"pid": os.getpid()})}
