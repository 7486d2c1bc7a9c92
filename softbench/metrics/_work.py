"""What one call of a case has to do: FLOPs, bytes to move, exponentials, operators.

Counted on the case's meta twin, so nothing is computed and no length is too long. FLOPs are the
mechanism's or the model's own closed form; the rest is what PyTorch dispatches, views left out.
Compulsory bytes are what no implementation can do without: inputs and weights read once, the output
and the gradients written once. Moved bytes are what this implementation reads and writes, operator
by operator; a tensor that is expanded counts the memory behind it. A fused attention moves its
inputs and outputs alone, and puts every score through the exponential, in its backward once more.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import prod
from typing import Any

from torch import Tensor
from torch._ops import OpOverload
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from softbench.case import Case
from softbench.kernels import costs
from softbench.metrics import flops
from softbench.metrics._dispatch import FUSED_ATTENTION, operator_name
from softbench.metrics._fused import FusedAttention
from softbench.metrics._meta import meta_workload
from softbench.workload import Workload
from softbench.workload.inputs import torch_dtype
from softbench.workload.outputs import output_numel

EXPONENTIAL = frozenset(
    f"aten::{name}"
    for name in ("exp", "exp2", "expm1", "_softmax", "_safe_softmax", "_log_softmax", "logsumexp")
)
FUSED = frozenset(f"aten::{name}" for name in FUSED_ATTENTION)
# They name memory or take it, and move nothing.
MOVES_NOTHING = frozenset(
    f"aten::{name}"
    for name in ("_unsafe_view", "empty", "empty_like", "new_empty", "new_empty_strided", "resize")
)
# Above this glibc's malloc fetches fresh pages from the system for every tensor, and clears them;
# below it a tensor gets what an earlier one gave back (M_MMAP_THRESHOLD's maximum on 64 bits).
FRESH_BYTES = 2**25


@dataclass(frozen=True)
class Work:
    """Of one call. fresh_bytes: on a CPU, of the bytes written those into pages just fetched."""

    flops: int
    compulsory_bytes: int
    moved_bytes: int
    exponentials: int
    operators: int
    fresh_bytes: int = 0


class WorkCounter(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Counts bytes, exponentials and operators while it is entered."""

    def __init__(self) -> None:
        """Start with nothing counted."""
        super().__init__()  # type: ignore[no-untyped-call]
        self.moved_bytes = self.fresh_bytes = self.exponentials = self.operators = 0

    def __torch_dispatch__(
        self,
        func: OpOverload,
        types: Any,
        args: tuple[Any, ...] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        """Run `func` and count what it does."""
        output = func(*args, **(kwargs or {}))
        name = operator_name(func)
        if not func.is_view and name not in MOVES_NOTHING:
            self._count(name, args, _tensors((args, kwargs)), _tensors(output))
        return output

    def _count(
        self, name: str, args: tuple[Any, ...], read: list[Tensor], written: list[Tensor]
    ) -> None:
        self.operators += 1
        self.moved_bytes += sum(_bytes_behind(tensor) for tensor in (*read, *written))
        self.exponentials += _exponentials(name, args, written)
        old = {tensor.untyped_storage()._cdata for tensor in read}
        new = (one for one in written if one.untyped_storage()._cdata not in old)
        self.fresh_bytes += sum(one.nbytes for one in new if one.nbytes > FRESH_BYTES)


def work_of(case: Case) -> Work:
    """The work of one call of `case`. Raises Unsupported."""
    workload = meta_workload(case)
    with WorkCounter() as counter, FusedAttention(case.device):
        workload.step()
    return counted(case, workload, counter)


def counted(case: Case, workload: Workload, counter: WorkCounter) -> Work:
    """The work of `case` whose meta `workload` took one step under `counter`."""
    return Work(
        flops=sum(flops.closed_form(case).values()),
        compulsory_bytes=_compulsory_bytes(workload),
        moved_bytes=counter.moved_bytes,
        exponentials=counter.exponentials,
        operators=counter.operators,
        fresh_bytes=counter.fresh_bytes if case.device == "cpu" else 0,
    )


def _compulsory_bytes(workload: Workload) -> int:
    module, case = workload.module, workload.case
    read = [*workload.inputs, *module.parameters(), *module.buffers()]
    output = output_numel(case) * torch_dtype(case.dtype).itemsize
    once = sum(tensor.nbytes for tensor in read) + output
    if workload.cotangent is None:
        return once
    return once + gradient_bytes(workload) + workload.cotangent.nbytes


def gradient_bytes(workload: Workload) -> int:
    """Of the gradients that a step writes, of inputs and weights; 0 in forward."""
    if workload.cotangent is None:
        return 0
    tensors = (*workload.inputs, *workload.module.parameters())
    return sum(tensor.nbytes for tensor in tensors if tensor.requires_grad)


def _exponentials(name: str, args: tuple[Any, ...], written: list[Tensor]) -> int:
    if name in EXPONENTIAL:
        return int(args[0].numel())
    if name in FUSED:
        return _scores(*args[:2])
    if name.removesuffix("_backward") in FUSED:
        return _scores(*args[1:3])
    return costs.exponentials(name, args)


def _scores(q_BHND: Tensor, k_BHSD: Tensor) -> int:
    return int(prod(q_BHND.shape[:-1]) * k_BHSD.shape[-2])


def _tensors(values: Any) -> list[Tensor]:
    return [leaf for leaf in tree_leaves(values) if isinstance(leaf, Tensor)]


def _bytes_behind(tensor: Tensor) -> int:
    sizes = zip(tensor.shape, tensor.stride(), strict=True)
    return prod(size for size, stride in sizes if stride) * tensor.element_size()
