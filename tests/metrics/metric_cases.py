"""Cases and stand-in workloads that the metrics' tests share."""

from __future__ import annotations

from collections.abc import Callable, Generator
from typing import Any, TypeVar

from torch import Tensor, nn

from softbench.case import Case, Shape
from softbench.workload import Workload

T = TypeVar("T")


def make(attention: str = "softmax", seq_len: int = 196, **fields: Any) -> Case:
    """A case with everything at its plainest but `fields`."""
    plain: dict[str, Any] = {
        "level": "operator", "params": {}, "backend": "eager", "inputs": "normal",
        "dtype": "float32", "device": "cpu", "mode": "forward", "compile": False, "seed": 0,
    }  # fmt: skip
    shape = fields.pop("shape", Shape(seq_len=seq_len))
    return Case(attention=attention, shape=shape, **{**plain, **fields})


class Calls(nn.Module):
    """A module that calls one function of its inputs."""

    def __init__(self, function: Callable[..., Tensor]) -> None:
        super().__init__()
        self.function = function

    def forward(self, *inputs: Tensor) -> Tensor:
        return self.function(*inputs)


def standing_in(
    function: Callable[..., Tensor], *inputs: Tensor, cotangent: Tensor | None = None, **fields: Any
) -> Workload:
    """A workload whose step calls `function` on `inputs`."""
    return Workload(make(**fields), Calls(function), inputs, cotangent)


def drain(generator: Generator[None, None, T]) -> tuple[int, T]:
    """How often a generator yields, and what it returns."""
    yields = 0
    while True:
        try:
            next(generator)
        except StopIteration as stop:
            return yields, stop.value
        yields += 1
