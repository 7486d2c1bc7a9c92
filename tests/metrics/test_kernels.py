"""What really ran, and that finding it out costs a slow case no call.

Mutants seen red: the innermost operators taken, rules taken for kernels, views and allocations
left in, a name for each time it ran, threads mixed up, events of the host or named stretches among
the kernels of the device, no time told in place of none seen, a call of its own for the profiler, a
compiled case profiled while it compiles, the first call not looked at.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pytest
import torch
from metric_cases import Calls, drain, make, standing_in
from torch import Tensor
from torch._C._autograd import DeviceType

from softbench.kernels import low_rank
from softbench.metrics import latency
from softbench.metrics._finite import NonFiniteError
from softbench.metrics._kernels import (
    MOST_NAMES,
    Span,
    cpu_kernels,
    cuda_kernels,
    is_kernel,
    recorded_first_call,
)
from softbench.protocol import Protocol
from softbench.workload import Workload, build

FLASH = "aten::_scaled_dot_product_flash_attention_for_cpu"


@pytest.mark.parametrize(
    ("fields", "kernels"),
    [
        ({"backend": "eager"}, ["aten::div", "aten::bmm", "aten::_softmax"]),
        ({"backend": "sdpa"}, [FLASH]),
        ({"backend": "sdpa", "mode": "forward_backward"}, [FLASH, f"{FLASH}_backward"]),
    ],
)
def test_the_operators_that_compute_are_named(fields: Any, kernels: list[str]) -> None:
    found = recorded_first_call(build(make("softmax", seq_len=16, **fields))).kernels
    assert found[: len(kernels)] == kernels
    assert set(found) - set(kernels) <= {"aten::copy_"}  # gradients in their own layout


def test_the_record_names_them() -> None:
    assert latency_detail()["kernels"] == [FLASH]


def latency_detail() -> dict[str, Any]:
    """Of a short measurement of fused softmax."""
    protocol = Protocol(warmup_seconds=0.01, sample_seconds=0.01, min_stretches=3)
    workload = build(make("softmax", backend="sdpa", seq_len=16))
    return drain(latency.measure(workload, protocol))[1]["latency"].detail


def test_the_record_says_which_instructions_ran() -> None:
    detail = latency_detail()
    assert detail["cpu_capability"] == torch.backends.cpu.get_cpu_capability()
    assert detail["kernel_build"] == low_rank.build()


@pytest.mark.parametrize(
    ("name", "kernel"),
    [
        ("aten::bmm", True),
        ("aten::sum", True),
        ("aten::clone", True),
        ("aten::mkldnn_convolution", True),
        ("softbench::of_a_library_unknown", True),
        ("aten::matmul", False),
        ("aten::softmax", False),
        ("aten::linear", False),
        ("aten::slice", False),
        ("aten::as_strided", False),
        ("aten::empty", False),
        ("aten::convolution", False),
        ("autograd::engine::evaluate_function: BmmBackward0", False),
        ("BmmBackward0", False),
    ],
)
def test_a_kernel_is_what_computes_or_moves(name: str, kernel: bool) -> None:
    assert is_kernel(name) is kernel


def test_what_an_operator_calls_for_itself_is_part_of_it() -> None:
    spans = [
        Span("aten::matmul", 0, 100, thread=1),
        Span("aten::bmm", 10, 90, thread=1),
        Span("aten::copy_", 20, 30, thread=1),
        Span("aten::exp", 25, 28, thread=2),
        Span("aten::copy_", 90, 95, thread=1),
        Span("aten::bmm", 100, 110, thread=1),
    ]
    assert cpu_kernels(spans) == ["aten::bmm", "aten::exp", "aten::copy_"]


@dataclass
class Event:
    """What the profiler says of one event."""

    called: str
    start: int
    where: Any
    took: int = 100
    named: bool = False

    def name(self) -> str:
        return self.called

    def start_ns(self) -> int:
        return self.start

    def duration_ns(self) -> int:
        return self.took

    def device_type(self) -> Any:
        return self.where

    def is_user_annotation(self) -> bool:
        return self.named


def test_on_cuda_the_kernels_of_the_device_are_named_in_their_order() -> None:
    cuda, cpu = DeviceType.CUDA, DeviceType.CPU
    events = [
        Event("softmax_kernel", 5, cuda),
        Event("aten::bmm", 0, cpu),
        Event("gemm_kernel", 3, cuda),
        Event("gemm_kernel", 9, cuda, took=50),
        Event("a stretch of the program", 3, cuda, took=10_000, named=True),
    ]
    names, seconds = cuda_kernels(events)
    assert names == ["gemm_kernel", "softmax_kernel"]
    assert seconds == pytest.approx(250e-9)
    many = [Event(f"kernel {number}", number, cuda) for number in range(100)]
    assert len(cuda_kernels(many)[0]) == MOST_NAMES
    assert cuda_kernels(events[1:2]) == ([], None)


@pytest.mark.parametrize(("compiled", "calls"), [(False, 1), (True, 2)])
def test_the_first_call_is_the_one_profiled_and_no_other_is_made(
    compiled: bool, calls: int
) -> None:
    profiled: list[bool] = []

    def step(x: Tensor) -> Tensor:
        profiled.append(torch._C._autograd._profiler_enabled())
        return x + 1

    case = make(compile=compiled)
    first = recorded_first_call(Workload(case, Calls(step), (torch.ones(4),), None))
    assert profiled == [False] * (calls - 1) + [True]
    assert first.kernels == ["aten::add"]
    assert first.seconds > 0
    assert first.kernel_seconds is None


def test_the_profiled_call_is_looked_at() -> None:
    with pytest.raises(NonFiniteError, match="the output has 4 of 4"):
        recorded_first_call(standing_in(lambda x: x * float("nan"), torch.ones(4)))
