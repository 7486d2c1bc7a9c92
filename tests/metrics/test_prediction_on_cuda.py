"""Predictions for CUDA: the operator its fused attention is, what that takes, whole blocks.

No GPU is needed, and none has been asked yet: what is held here is what PyTorch's sources say.
Mutants seen red: the CPU's operator on CUDA, the N × N form for a plug-in's call, a mask ignored,
float64 given a kernel that has none, no gradient of the queries in float32, tokens or head_dim not
rounded, sizes not rounded.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from metric_cases import make, standing_in
from torch import Tensor
from torch.nn import functional

from softbench.case import Case, Shape
from softbench.metrics._cuda_workspace import cuda_workspace
from softbench.metrics._fused import FusedAttention
from softbench.metrics._liveness import LivenessTracker
from softbench.metrics._meta import meta_workload
from softbench.metrics.predicted_peak_memory import peak_of, predict

SDPA = functional.scaled_dot_product_attention
FUSED = "_scaled_dot_product_{}"


def names(case: Case, recorded: Any) -> set[str]:
    workload = meta_workload(case)
    with recorded() as operators, FusedAttention(case.device):
        workload.step()
    return {name for name, _ in operators}


@pytest.mark.parametrize("backend", ["sdpa", "flash"])
@pytest.mark.parametrize(
    ("device", "dtype", "operator"),
    [
        ("cpu", "bfloat16", "flash_attention_for_cpu"),
        ("meta", "float32", "flash_attention_for_cpu"),
        ("cuda", "bfloat16", "flash_attention"),
        ("cuda:1", "float16", "flash_attention"),
        ("cuda", "float32", "efficient_attention"),
    ],
)
def test_the_fused_operator_is_the_devices_own(
    recorded_operators: Any, backend: str, device: str, dtype: str, operator: str
) -> None:
    case = make(backend=backend, device=device, dtype=dtype, mode="forward_backward")
    found = names(case, recorded_operators)
    assert {FUSED.format(operator), FUSED.format(f"{operator}_backward")} <= found
    assert "bmm" not in found


def test_float64_has_no_fused_operator_on_cuda(recorded_operators: Any) -> None:
    found = names(make(backend="sdpa", device="cuda", dtype="float64"), recorded_operators)
    assert "bmm" in found
    assert not any(name.startswith(FUSED.format("")) for name in found)


@pytest.mark.parametrize("device", ["cpu", "cuda"])
@pytest.mark.parametrize("backend", ["math", "eager"])
def test_what_is_not_fused_stays_so(recorded_operators: Any, backend: str, device: str) -> None:
    assert "bmm" in names(make(backend=backend, device=device), recorded_operators)


@pytest.mark.parametrize("device", ["cpu", "cuda"])
def test_a_plug_in_that_calls_pytorchs_attention_is_fused_too(device: str) -> None:
    x = torch.empty(1, 8, 4096, 64, device="meta", dtype=torch.bfloat16)
    workload = standing_in(
        lambda x: SDPA(x, x, x), x, shape=Shape(seq_len=4096), device="meta", dtype="bfloat16"
    )
    assert x.nbytes <= peak_of(workload, device) < 2 * x.nbytes


def test_a_masked_attention_is_left_alone(recorded_operators: Any) -> None:
    x = torch.empty(1, 1, 64, 64, device="meta")
    with recorded_operators() as operators, FusedAttention("cuda"):
        SDPA(x, x, x, is_causal=True)
    assert "bmm" in {name for name, _ in operators}


def test_values_are_left_alone() -> None:
    x = torch.randn(1, 1, 4, 4)
    with FusedAttention("cuda"):
        assert torch.equal(SDPA(x, x, x), SDPA(x, x, x))


def beyond(backward: Callable[..., Any], *, seq_len: int, head_dim: int) -> int:
    """Workspace of a backward of 2 heads of so many bfloat16 tokens."""
    q_BHND = torch.empty(1, 2, seq_len, head_dim, device="meta", dtype=torch.bfloat16)
    return cuda_workspace(backward, (q_BHND, q_BHND), None)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("seq_len", "head_dim", "rows", "width"),
    [(128, 32, 128, 32), (129, 33, 256, 64), (1000, 64, 1024, 64), (64, 136, 128, 192)],
)
def test_flash_accumulates_the_queries_gradient_in_float32(
    seq_len: int, head_dim: int, rows: int, width: int
) -> None:
    flash = torch.ops.aten._scaled_dot_product_flash_attention_backward.default
    assert beyond(flash, seq_len=seq_len, head_dim=head_dim) == 4 * 2 * rows * (width + 1)


def test_the_efficient_kernel_does_so_in_tiles() -> None:
    efficient = torch.ops.aten._scaled_dot_product_efficient_attention_backward.default
    tiles = 2 * 2 * (4 * 64 * 64 + 16)
    assert beyond(efficient, seq_len=100, head_dim=64) == 4 * 2 * 100 + tiles
    assert beyond(efficient, seq_len=128, head_dim=65) == 4 * 2 * 128 + 2 * tiles


def test_flash_of_a_million_tokens() -> None:
    """The figure of the shared notes: B = 1, H = 8, D = 64 in half precision, 1,056 MiB."""
    case = make(backend="sdpa", device="cuda", dtype="float16", seq_len=1 << 20)
    assert predict(case) / 2**20 == pytest.approx(1056, abs=0.01)


def test_the_allocator_hands_out_whole_blocks() -> None:
    def two(x: Tensor) -> Tensor:
        return x[:1].neg() + x[:129].neg()

    tracker = LivenessTracker(cuda_workspace, block_bytes=512)
    x = torch.empty(1000, device="meta")
    with tracker:
        output = standing_in(two, x, device="meta").step()
    del output
    assert tracker.peak == 512 + 1024 + 1024
