"""NaN in an output or a gradient is an error of the case, found before anything is timed.

Broken on purpose, each of these turned a test here red: the call left out of latency, left out of
peak_memory, gradients not looked at, gradients left behind, infinity taken for a number.
"""

from __future__ import annotations

from types import ModuleType
from typing import Any

import pytest
import torch
from metric_cases import make, standing_in
from torch import Tensor

from softbench.metrics import latency, peak_memory
from softbench.metrics._finite import NonFiniteError, first_call
from softbench.protocol import Protocol
from softbench.workload import Workload, build

X = torch.ones(4)


def spoiled(value: float) -> Workload:
    return standing_in(lambda x: x * torch.tensor([1, value, value, 1]), X)


@pytest.mark.parametrize("metric", [latency, peak_memory], ids=["latency", "peak_memory"])
@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
def test_no_speed_and_no_memory_of_what_is_not_finite(metric: ModuleType, value: float) -> None:
    with pytest.raises(NonFiniteError, match="the output has 2 of 4 entries NaN or infinite"):
        for _ in metric.measure(spoiled(value), Protocol()):
            pass


def test_a_gradient_that_is_not_finite_is_an_error() -> None:
    x = torch.zeros(4, requires_grad=True)
    workload = standing_in(lambda x: x.sqrt(), x, cotangent=X, mode="forward_backward")
    with pytest.raises(NonFiniteError, match="the gradient of input 0 has 4 of 4"):
        first_call(workload)


def test_a_good_case_is_left_without_gradients() -> None:
    workload = build(make("soft", mode="forward_backward", level="layer", seq_len=49))
    first_call(workload)
    tensors: list[Tensor] = [*workload.inputs, *workload.module.parameters()]
    assert all(tensor.grad is None for tensor in tensors)


def test_a_weights_gradient_is_named() -> None:
    weighted = torch.nn.Linear(4, 1, bias=False)
    x = torch.full((4,), float("inf"))
    workload = standing_in(lambda _: X, X, mode="forward_backward", cotangent=X)
    workload.module.register_module("linear", weighted)
    weighted.weight.grad = x[None]
    stepped: Any = Stepped(workload)
    with pytest.raises(NonFiniteError, match=r"the gradient of linear.weight has 4 of 4"):
        first_call(stepped)


class Stepped:
    """A workload whose step leaves gradients as they are."""

    def __init__(self, workload: Workload) -> None:
        self.module, self.inputs = workload.module, workload.inputs

    def step(self) -> Tensor:
        return X
