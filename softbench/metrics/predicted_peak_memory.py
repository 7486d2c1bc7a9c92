"""`peak_memory` predicted before anything is allocated, by following storages on meta tensors.

The same definition as peak_memory: the most bytes alive during one step, without those that lived
before it. Nothing is computed, so a million tokens take as long as a hundred.
CPU: held against the allocator's events, float32 and float64 agree within 1 % for every mechanism,
backend and mode at the levels operator and layer, and within 2 % for the models of the packaged
suites; kernels with workspace through formulas (_workspace.py). bfloat16 and float16 do but for
what oneDNN packs for their products, 0.05 to 0.9 MiB a call and thread, which is not in it: at 784
tokens 85 to 100 % are predicted, less below, more above.
CUDA: the fused attention of the device is named explicitly (_fused.py), its workspace follows the
sources (_cuda_workspace.py), and sizes are rounded as its allocator does; never compared with a GPU
yet. What cuDNN's convolutions take is not known.
"""

from __future__ import annotations

from softbench.case import Case, Measurement
from softbench.metrics._cuda_workspace import BLOCK_BYTES, cuda_workspace
from softbench.metrics._fused import FusedAttention
from softbench.metrics._liveness import LivenessTracker
from softbench.metrics._meta import meta_workload
from softbench.metrics._workspace import cpu_workspace, no_workspace
from softbench.protocol import Protocol
from softbench.workload import Workload

QUANTITIES = {"predicted_peak_memory": ("byte", "lower")}
REPEATED = False


def measure(workload: Workload, protocol: Protocol) -> dict[str, Measurement]:
    """The predicted peak in whole bytes; works on every device, meta included."""
    peak = predict(workload.twin_of or workload.case)
    detail = {"instrument": "storage liveness on meta tensors"}
    return {"predicted_peak_memory": Measurement([peak], detail)}


def predict(case: Case) -> int:
    """Predicted peak_memory of `case` in bytes, measuring nothing. Raises Unsupported."""
    return peak_of(meta_workload(case), case.device)


def peak_of(workload: Workload, device: str) -> int:
    """The same for a meta workload that is built already, of a case on `device`."""
    tracker = _tracker(device)
    with FusedAttention(device), tracker:
        output = workload.step()
    del output
    return tracker.peak


def _tracker(device: str) -> LivenessTracker:
    if device.startswith("cuda"):
        return LivenessTracker(cuda_workspace, BLOCK_BYTES)
    return LivenessTracker(cpu_workspace if device == "cpu" else no_workspace)
