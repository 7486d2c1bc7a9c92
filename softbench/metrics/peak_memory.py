"""Peak of live tensor bytes during one step, minus the bytes that lived before it.

Inputs, weights and the cotangent live before the step and are not in it; the output, what is saved
for backward, kernel workspace and the gradients are. A warm-up step comes first, so that nothing
allocated once and for all is charged to the step; its output and gradients are dropped.
CPU: the profiler's allocator events, cumulated above the start of the step.
CUDA: the caching allocator's own peak, reset right before the step; whole blocks of 512 bytes.
The CUDA path is exercised with a stand-in only and has not run on a GPU yet.
"""

from __future__ import annotations

from collections.abc import Iterable
from itertools import accumulate

import torch
from torch.autograd.profiler import profile

from softbench.case import Measurement, Unsupported
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
    on_cuda = workload.case.device.startswith("cuda")
    peak = cuda_peak(workload) if on_cuda else cpu_peak(workload)
    workload.clear_gradients()
    instrument = "cuda caching allocator" if on_cuda else "profiler allocator events"
    return {"peak_memory": Measurement([peak], {"instrument": instrument})}


def cpu_peak(workload: Workload) -> int:
    """Peak bytes above the start of one step, from the profiler's CPU allocator events."""
    with profile(profile_memory=True) as profiler:
        output = workload.step()
    del output
    results = profiler.kineto_results
    assert results is not None  # the profiler has been entered and left
    changes = [
        (event.start_ns(), event.nbytes())
        for event in results.events()
        if event.name() == "[memory]"
    ]
    # Stable sort by time alone: events of one nanosecond keep the order they were recorded in.
    changes.sort(key=lambda change: change[0])
    return peak_above_start(size for _, size in changes)


def peak_above_start(changes: Iterable[int]) -> int:
    """The highest point of a walk of allocations (positive) and frees (negative) from zero."""
    return max(0, *accumulate(changes, initial=0), 0)


def cuda_peak(workload: Workload) -> int:
    """Peak bytes above the start of one step, from CUDA's caching allocator."""
    device = workload.case.device
    workload.synchronize()
    before = torch.cuda.memory_allocated(device)
    torch.cuda.reset_peak_memory_stats(device)
    output = workload.step()
    workload.synchronize()
    peak = torch.cuda.max_memory_allocated(device) - before
    del output
    return peak
