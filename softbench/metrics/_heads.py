"""A case's heads and mechanism, for metrics that look into an operator and not at its speed."""

from __future__ import annotations

from types import ModuleType

from torch import Tensor

from softbench import plugins
from softbench.case import Case, Unsupported
from softbench.workload import Workload, build, params_of


def mechanism_at_operator_level(case: Case) -> ModuleType:
    """The case's mechanism. Raises Unsupported at another level and on the meta device."""
    if case.level != "operator":
        raise Unsupported(f"it is told of given heads; take level operator, not {case.level}")
    if case.device == "meta":
        raise Unsupported("the meta device computes no values to compare")
    return plugins.load("attention", case.attention)


def without_convolution(case: Case) -> Workload:
    """The forward workload of `case` without a value convolution: the attention term alone."""
    changes: dict[str, object] = {"mode": "forward"}
    if "conv_kernel_size" in type(params_of(case)).model_fields:
        changes["params"] = {**case.params, "conv_kernel_size": 0}
    return build(case.model_copy(update=changes))


def heads_of(workload: Workload) -> tuple[Tensor, Tensor, Tensor]:
    """Queries, keys and values in float64, [B, H, N, D]; shared keys are the queries."""
    q_BHND, *others = (tensor.detach().double() for tensor in workload.inputs)
    k_BHND = others[0] if len(others) == 2 else q_BHND
    return q_BHND, k_BHND, others[-1]
