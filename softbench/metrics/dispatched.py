"""What PyTorch dispatches in one step: its operators, and the FLOPs of their products.

Both are counted on meta tensors, so they are exact and the same on every machine. The FLOPs are
those that the code asks for, whatever the mechanism's closed form says: an extra product shows here
(and is an error in `flops`, where the two must agree). A compiled kernel is one operator, counted
by the work it declares: what changes inside it does not show.

A program may take another path on a device than on meta. So the operators of a small case are also
counted where it runs, on a CPU: their names say which kernels it asked PyTorch for.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any

from torch._ops import OpOverload
from torch.utils._python_dispatch import TorchDispatchMode

from softbench.case import Case, Measurement
from softbench.metrics._dispatch import DispatchCounter, operator_name
from softbench.metrics._fused import FusedAttention
from softbench.metrics._meta import meta_workload
from softbench.metrics.predicted_peak_memory import peak_of
from softbench.protocol import Protocol
from softbench.workload import Workload, backend_ran, build

# A case that asks for more is not run for its operators: a count costs no time that one notices.
MOST_FLOPS = 10**9
MOST_BYTES = 2**28

QUANTITIES = {"dispatched_flops": ("FLOP", "lower"), "operators": ("count", "lower")}
REPEATED = False


class OperatorCounter(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Counts the operators dispatched while it is entered, by name."""

    def __init__(self) -> None:
        """Start with nothing counted."""
        super().__init__()  # type: ignore[no-untyped-call]
        self.by_name: Counter[str] = Counter()

    def __torch_dispatch__(
        self,
        func: OpOverload,
        types: Any,
        args: tuple[Any, ...] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        """Run `func` and count it."""
        self.by_name[operator_name(func)] += 1
        return func(*args, **(kwargs or {}))


def measure(workload: Workload, protocol: Protocol) -> dict[str, Measurement]:
    """Both counts of one step; `detail` has each by operator, and what runs for the backend.

    on_device: the operators where the case runs; None where it is large, or no CPU's.
    Raises UnknownOperatorError for an operator whose FLOPs nobody can tell.
    """
    case = workload.twin_of or workload.case
    flops, operators = _counted(case)
    shared = {"backend_ran": backend_ran(case)}
    by_product = {"by_operator": dict(sorted(flops.by_operator.items())), **shared}
    on_device = _on_device(case) if flops.total <= MOST_FLOPS else None
    by_name = {"by_operator": _sorted(operators), "on_device": on_device, **shared}
    return {
        "dispatched_flops": Measurement([flops.total], by_product),
        "operators": Measurement([operators.by_name.total()], by_name),
    }


def _counted(case: Case) -> tuple[DispatchCounter, OperatorCounter]:
    """The second step of the meta twin under both counters: a first one may make what it keeps."""
    workload = meta_workload(case)
    flops, operators = DispatchCounter(), OperatorCounter()
    with FusedAttention(case.device):
        workload.step()
        with operators, flops:
            workload.step()
    return flops, operators


def _on_device(case: Case) -> dict[str, int] | None:
    """The operators of the case's own step, by name; None for what is large, or of no CPU."""
    if case.device != "cpu" or case.compile or peak_of(meta_workload(case), "cpu") > MOST_BYTES:
        return None
    workload = build(case)
    workload.step()
    with OperatorCounter() as operators:
        workload.step()
    return _sorted(operators)


def _sorted(operators: OperatorCounter) -> dict[str, int]:
    return dict(sorted(operators.by_name.items()))
