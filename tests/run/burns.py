"""A metric that keeps a processor busy for three seconds; made for tests."""

from __future__ import annotations

import time

from softbench.case import Measurement
from softbench.protocol import Protocol
from softbench.workload import Workload

QUANTITIES = {"burnt": ("ns", "lower")}
REPEATED = True


def measure(workload: Workload, protocol: Protocol) -> dict[str, Measurement]:
    """When it began and when it ended."""
    began = time.time_ns()
    while time.time_ns() - began < 3e9:
        pass
    return {"burnt": Measurement([began, time.time_ns()])}
