"""Learned parameters of the module: what an optimiser would update.

Drawn tensors (random features, landmark indices) are buffers and counted apart, in `detail`.
"""

from __future__ import annotations

from softbench.case import Measurement
from softbench.protocol import Protocol
from softbench.workload import Workload

QUANTITIES = {"parameters": ("count", "lower")}
REPEATED = False


def measure(workload: Workload, protocol: Protocol) -> dict[str, Measurement]:
    """The number of learned scalars; `detail` has them by name and the buffers' number."""
    by_name = {name: weight.numel() for name, weight in workload.module.named_parameters()}
    buffers = sum(buffer.numel() for buffer in workload.module.buffers())
    detail = {"by_name": by_name, "buffers": buffers}
    return {"parameters": Measurement([sum(by_name.values())], detail)}
