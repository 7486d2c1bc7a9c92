"""The memory of one step, taken apart: each part a quantity of its own, in bytes.

Counted from tensors, each storage once and whole, however small the view that keeps it:
- input_memory: the inputs; parameter_memory: weights, learned and drawn; output_memory: the output.
- saved_memory: what autograd keeps for the backward beyond inputs and weights; 0 in forward.

Told by the allocator (`_allocator.py`), which knows nothing of what predicts it:
- workspace_memory: what the step takes and gives back: its peak above the start (that is
  peak_memory, a metric of its own) less the output and gradients that it leaves.
- allocated_memory: all of the case at the worst moment: what lived before it (inputs, weights and,
  in forward_backward, the cotangent) and its peak. CUDA's allocator serves others too, the sentinel
  and libraries: its highest reading stands in the detail, and what of it is not the case's, with
  what rounding to blocks adds, as `foreign`.
- reserved_memory: what the caching allocator held of the device by then, for the case and others;
  device_memory: what was taken on the whole device at the end, by whatever process. CUDA only.
- resident_memory: the most physical memory of this process, libraries included (`_resident.py`).

So allocated = inputs + weights + cotangent + peak_memory, and peak_memory = workspace + output +
gradients (an output that is a view of an input is not new). Some call workspace what is called
peak_memory here; the two are kept apart because only one of them is given back.
A warm-up comes first, and every part has a call of its own where its instrument would disturb
another's. The CUDA path is exercised with stand-ins only and has not run on a GPU yet.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from softbench.case import Measurement, Unsupported
from softbench.metrics._allocator import Taken, storage_bytes, taken
from softbench.metrics._finite import first_call
from softbench.metrics._resident import resident_bytes
from softbench.protocol import Protocol
from softbench.workload import Workload

PARTS = (
    "input", "output", "parameter", "saved", "workspace", "allocated", "reserved", "device",
    "resident",
)  # fmt: skip
QUANTITIES = {f"{part}_memory": ("byte", "lower") for part in PARTS}
REPEATED = True
CALLS = 4  # of a case, which `softbench plan` counts on
Parts = Mapping[str, Measurement | Unsupported]


def measure(workload: Workload, protocol: Protocol) -> Parts:
    """Whole bytes of each part. Raises Unsupported on the meta device; NonFiniteError."""
    if workload.case.device == "meta":
        raise Unsupported("the meta device allocates nothing; ask for predicted_peak_memory")
    first_call(workload)
    learned = storage_bytes(workload.module.parameters())
    counted = {
        "input_memory": Measurement([storage_bytes(workload.inputs)]),
        "parameter_memory": Measurement([storage_bytes(_weights(workload))], {"learned": learned}),
        "saved_memory": Measurement([saved_bytes(workload)]),
    }
    on_cuda = workload.case.device.startswith("cuda")
    allocated = _by_cuda(workload) if on_cuda else _by_events(workload)
    workload.clear_gradients()
    resident = _resident(workload)
    workload.clear_gradients()
    return {**counted, **allocated, "resident_memory": resident}


def saved_bytes(workload: Workload) -> int:
    """Bytes that one step keeps for its backward, without what lived before it."""
    old = {tensor.untyped_storage()._cdata for tensor in _before(workload)}
    found: dict[int, int] = {}

    def pack(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        if storage._cdata not in old:
            found[storage._cdata] = storage.nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        workload.step()
    workload.clear_gradients()
    return sum(found.values())


def _by_events(workload: Workload) -> dict[str, Measurement | Unsupported]:
    """On the CPU, which has no allocator that keeps memory back, and no memory of its own."""
    step = taken(workload)
    lived = storage_bytes(_before(workload))
    none = Unsupported("the CPU has no caching allocator, and no memory of its own")
    detail = {"instrument": "profiler allocator events", "lived_before": lived}
    found = _of_step(step, detail)
    allocated = Measurement([lived + step.peak], detail)
    return {
        **found, "allocated_memory": allocated, "reserved_memory": none, "device_memory": none
    }  # fmt: skip


def _by_cuda(workload: Workload) -> dict[str, Measurement | Unsupported]:
    """On CUDA; what the allocator keeps of other cases is given back first."""
    device = workload.case.device
    torch.cuda.empty_cache()
    step = taken(workload)
    free, total = torch.cuda.mem_get_info(device)
    lived = storage_bytes(_before(workload))
    highest = torch.cuda.max_memory_allocated(device)
    allocated = lived + step.peak
    detail: dict[str, object] = {
        "instrument": "cuda caching allocator",
        "lived_before": lived,
        "highest": highest,
        "foreign": highest - allocated,
    }
    return {
        **_of_step(step, detail),
        "allocated_memory": Measurement([allocated], detail),
        "reserved_memory": Measurement([torch.cuda.max_memory_reserved(device)], detail),
        "device_memory": Measurement([total - free], {"instrument": "cudaMemGetInfo"}),
    }


def _of_step(step: Taken, detail: dict[str, object]) -> dict[str, Measurement | Unsupported]:
    return {
        "output_memory": Measurement([step.output]),
        "workspace_memory": Measurement([step.peak - step.left], detail | {"left": step.left}),
    }


def _resident(workload: Workload) -> Measurement | Unsupported:
    try:
        peak, before = resident_bytes(workload.step)
    except Unsupported as unsupported:
        return unsupported
    # Measured, not counted: it differs from process to process, so it is no whole number here.
    return Measurement([float(peak)], {"instrument": "VmHWM", "before": before})


def _weights(workload: Workload) -> list[Tensor]:
    return [*workload.module.parameters(), *workload.module.buffers()]


def _before(workload: Workload) -> list[Tensor]:
    """All that lives before a step."""
    cotangent = [] if workload.cotangent is None else [workload.cotangent]
    return [*workload.inputs, *_weights(workload), *cotangent]
