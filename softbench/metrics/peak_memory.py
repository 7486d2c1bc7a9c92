"""Peak of live tensor bytes during one step, minus the bytes that lived before it.

Inputs, weights and the cotangent live before the step and are not in it; the output, what is saved
for backward, kernel workspace and the gradients are. A warm-up step comes first, so that nothing
allocated once and for all is charged to the step; its output and gradients are dropped.
CPU: the profiler's allocator events, cumulated above the start of the step.
CUDA: the caching allocator's own peak, reset right before the step; whole blocks of 512 bytes.
The CUDA path is exercised with a stand-in only and has not run on a GPU yet.
"""

from __future__ import annotations

from softbench.case import Measurement, Unsupported
from softbench.metrics._allocator import taken
from softbench.metrics._finite import first_call
from softbench.protocol import Protocol
from softbench.workload import Workload

QUANTITIES = {"peak_memory": ("byte", "lower")}
REPEATED = True


def measure(workload: Workload, protocol: Protocol) -> dict[str, Measurement]:
    """One step's peak in whole bytes. Raises Unsupported on the meta device; NonFiniteError."""
    if workload.case.device == "meta":
        raise Unsupported("the meta device allocates nothing; ask for predicted_peak_memory")
    first_call(workload)
    peak = taken(workload).peak
    workload.clear_gradients()
    on_cuda = workload.case.device.startswith("cuda")
    instrument = "cuda caching allocator" if on_cuda else "profiler allocator events"
    return {"peak_memory": Measurement([peak], {"instrument": instrument})}
