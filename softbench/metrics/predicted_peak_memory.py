"""`peak_memory` predicted before anything is allocated, by following storages on meta tensors.

The same definition as peak_memory: the most bytes alive during one step, without those that lived
before it. Nothing is computed, so a million tokens take as long as a hundred.
CPU, float32: agrees with the allocator's events to a few bytes for plain operators, flash attention
and most convolutions, these two through workspace formulas (see _workspace.py for what is missing).
CUDA: kernel workspace and the allocator's rounding are not in it; never compared with a GPU yet.
A fused attention is the CPU's flash operator on every device, whatever SDPA would choose there.
"""

from __future__ import annotations

from softbench.case import Case, Measurement
from softbench.metrics._liveness import LivenessTracker
from softbench.metrics._meta import meta_workload
from softbench.metrics._workspace import cpu_workspace, no_workspace
from softbench.protocol import Protocol
from softbench.workload import Workload

QUANTITIES = {"predicted_peak_memory": ("byte", "lower")}
REPEATED = False


def measure(workload: Workload, protocol: Protocol) -> dict[str, Measurement]:
    """The predicted peak in whole bytes; works on every device, meta included."""
    peak = predict(workload.case)
    detail = {"instrument": "storage liveness on meta tensors"}
    return {"predicted_peak_memory": Measurement([peak], detail)}


def predict(case: Case) -> int:
    """Predicted peak_memory of `case` in bytes, measuring nothing. Raises Unsupported."""
    workload = meta_workload(case)
    tracker = LivenessTracker(cpu_workspace if case.device == "cpu" else no_workspace)
    with tracker:
        output = workload.step()
    del output
    return tracker.peak
