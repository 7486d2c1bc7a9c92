"""A count that says in which process it was taken; made for tests."""

from __future__ import annotations

import os

from softbench.case import Measurement
from softbench.protocol import Protocol
from softbench.workload import Workload

QUANTITIES = {"taken_once": ("1", "lower"), "and_twice": ("1", "higher")}
REPEATED = False


def measure(workload: Workload, protocol: Protocol) -> dict[str, Measurement]:
    """Two constants."""
    detail = {"pid": os.getpid()}
    return {"taken_once": Measurement([1], detail), "and_twice": Measurement([2], detail)}
