"""What one step takes and leaves by the allocator's own account, and storages counted once.

CPU: the profiler's allocator events, in the order in which they happened. CUDA: the caching
allocator's counters, which know the highest point and not the way; whole blocks of 512 bytes.
The CUDA path is exercised with a stand-in only and has not run on a GPU yet.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import accumulate

import torch
from torch import Tensor
from torch.autograd.profiler import profile

from softbench.workload import Workload


@dataclass(frozen=True)
class Taken:
    """Bytes of one step above its start: the most at one time, and what was left at its end.

    output: the whole of the storage behind the output, which is part of what is left.
    """

    peak: int
    left: int
    output: int


def taken(workload: Workload) -> Taken:
    """One step, its output and gradients still there when it is asked what is left."""
    if workload.case.device.startswith("cuda"):
        return _on_cuda(workload)
    with profile(profile_memory=True) as profiler:
        output = workload.step()
    results = profiler.kineto_results
    assert results is not None  # the profiler has been entered and left
    changes = [
        (event.start_ns(), event.nbytes())
        for event in results.events()
        if event.name() == "[memory]"
    ]
    # Stable sort by time alone: events of one nanosecond keep the order they were recorded in.
    changes.sort(key=lambda change: change[0])
    sizes = [size for _, size in changes]
    return Taken(peak_above_start(sizes), sum(sizes), storage_bytes([output]))


def peak_above_start(changes: Iterable[int]) -> int:
    """The highest point of a walk of allocations (positive) and frees (negative) from zero."""
    return max(0, *accumulate(changes, initial=0), 0)


def storage_bytes(tensors: Iterable[Tensor]) -> int:
    """Bytes of the storages behind `tensors`, each once: a view keeps the whole of its base."""
    storages = {tensor.untyped_storage()._cdata: tensor.untyped_storage() for tensor in tensors}
    return sum(storage.nbytes() for storage in storages.values())


def _on_cuda(workload: Workload) -> Taken:
    device = workload.case.device
    workload.synchronize()
    before = torch.cuda.memory_allocated(device)
    torch.cuda.reset_peak_memory_stats(device)
    output = workload.step()
    workload.synchronize()
    peak = torch.cuda.max_memory_allocated(device) - before
    left = torch.cuda.memory_allocated(device) - before
    return Taken(peak, left, storage_bytes([output]))
