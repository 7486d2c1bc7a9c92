"""The closed forms of FLOPs against what torch dispatches and what fvcore counts.

Broken on purpose, each of these turned a test here red: gradients counted as once the forward
pass, norms counted once or with a gradient for the ones, the landmarks' own kernel left out, the
solver for one head only, recomputation left out, three projections for four, taps without the
channels, the stride not squared; recomputation for one fused softmax alone, SOFT++'s steps counted
forward only, one compression for Linformer's two, a gradient of W and no denominator for Performer,
three products a step for Nyströmformer's four, a product by an operator that fvcore has no rule
for, a product of N × N among SOFT's landmarks in the backend alone.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from types import ModuleType
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from softbench.attention import (
    linformer,
    nystromformer,
    performer,
    soft,
    soft_norm,
    softmax,
)
from softbench.attention._weights import register, registered
from softbench.case import Case, Shape
from softbench.inverse import newton
from softbench.metrics import flops
from softbench.metrics._fvcore import BlindError, multiply_adds

# Batch, heads, sides and width all differ, so that one taken for another is seen.
SHAPE = Shape(batch_size=2, num_heads=3, head_dim=5, grid=(12, 8))  # type: ignore[call-arg]
CASES: list[tuple[ModuleType, str, dict[str, Any]]] = [
    (softmax, "eager", {}),
    (softmax, "sdpa", {}),
    (soft, "eager", {"num_landmarks": 4}),
    (soft, "eager", {"num_landmarks": 7, "landmarks": "random", "gradient": "unrolled"}),
    (soft, "eager", {"num_landmarks": 6, "landmarks": "conv", "conv_kernel_size": 5}),
    (softmax, "flash", {}),
    (softmax, "efficient", {}),
    (softmax, "math", {}),
    (soft_norm, "eager", {"num_landmarks": 4}),
    (soft_norm, "eager", {"num_landmarks": 6, "landmarks": "conv", "conv_kernel_size": 5}),
    (linformer, "eager", {"projection_length": 7}),
    (linformer, "eager", {"projection_length": 7, "per_head": True, "share": "kv"}),
    (performer, "eager", {"num_features": 11}),
    (performer, "eager", {"kernel": "relu", "detach_max": False}),
    (nystromformer, "eager", {"num_landmarks": 7}),
    (nystromformer, "eager", {"num_pinv_iters": 3, "conv_kernel_size": 9}),
    (linformer, "fused", {"projection_length": 7}),
    (linformer, "fused", {"projection_length": 7, "per_head": True, "share": "kv"}),
    (performer, "fused", {"num_features": 11}),
    (performer, "fused", {"kernel": "relu", "detach_max": False}),
    (nystromformer, "fused", {"num_landmarks": 7}),
    (nystromformer, "fused", {"num_pinv_iters": 3, "conv_kernel_size": 9}),
]
# fvcore takes PyTorch's attention for nothing; an inverse is told to it as SOFT's own, see below.
SEEN_BY_FVCORE = [case for case in CASES if case[1] == "eager" and "gradient" not in case[2]]


def flash_forward(q: Any, k: Any, v: Any, *_: Any, **__: Any) -> int:
    return 4 * int(math.prod(q) * k[2])


def flash_backward(grad: Any, q: Any, k: Any, *_: Any, **__: Any) -> int:
    """Scores again, and two products for the gradient of each of the two."""
    return 10 * int(math.prod(q) * k[2])


def summed_in_place(total: Any, a: Any, b: Any, *_: Any, **__: Any) -> int:
    return 2 * int(math.prod(a) * b[-1])


def favor_forward(q: Any, k: Any, v: Any, w: Any, *_: Any, **__: Any) -> int:
    """Features of queries and of keys, and their products with values and a column of ones."""
    features = int(math.prod(q[:3]) * w[0])
    return int(2 * 2 * features * q[3] + 2 * 2 * features * (v[3] + 1))


def favor_backward(grad: Any, *given: Any, **named: Any) -> int:
    """Both features again, one gradient of each, as W has none, and two of each product."""
    q, _, v, w = given[:4]
    features = int(math.prod(q[:3]) * w[0])
    return int(2 * (2 + 2) * features * q[3] + 2 * 4 * features * (v[3] + 1))


def convolution_gradients(grad: Any, x: Any, weight: Any, *_: Any, **__: Any) -> int:
    """Of input and weight, each as many multiply-adds as the convolution itself.

    PyTorch's own rule counts the weight's gradient once too often for every group but one.
    """
    return 2 * 2 * int(math.prod(grad) * math.prod(weight[1:]))


class Operator(nn.Module):
    """A mechanism's operator level as a module, for counters that want one."""

    def __init__(self, mechanism: ModuleType, params: Any, backend: str) -> None:
        super().__init__()
        self.mechanism, self.params, self.backend = mechanism, params, backend
        drawn = mechanism.weights(SHAPE, params, torch.Generator().manual_seed(0))
        self.names = tuple(drawn)
        register(self, drawn)

    def forward(self, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        keys = None if hasattr(self.mechanism, "SHARES_KEYS") else k
        attention = self.mechanism.BACKENDS[self.backend]
        out: Tensor = attention(
            q, keys, v, params=self.params, weights=registered(self, self.names), grid=SHAPE.grid
        )
        return out


def built(mechanism: ModuleType, params: Any, level: str, backend: str) -> nn.Module:
    if level == "operator":
        return Operator(mechanism, params, backend)
    generator = torch.Generator().manual_seed(0)
    layer: nn.Module = mechanism.Attention(SHAPE, params, backend=backend, generator=generator)
    return layer


def sizes(level: str) -> list[tuple[int, ...]]:
    batch_size, num_heads = SHAPE.batch_size, SHAPE.num_heads
    if level == "layer":
        return [(batch_size, SHAPE.seq_len, num_heads * SHAPE.head_dim)]
    return [(batch_size, num_heads, SHAPE.seq_len, SHAPE.head_dim)] * 3


def dispatched(module: nn.Module, level: str, mode: str) -> int:
    """FLOPs of one call on meta tensors."""
    inputs = [
        torch.empty(size, device="meta", requires_grad=mode != "forward") for size in sizes(level)
    ]
    aten = torch.ops.aten
    rules: Any = {
        aten._scaled_dot_product_flash_attention_for_cpu: flash_forward,
        aten._scaled_dot_product_flash_attention_for_cpu_backward: flash_backward,
        aten.convolution_backward: convolution_gradients,
        aten.addmm_: summed_in_place,
        aten.baddbmm_: summed_in_place,
        torch.ops.softbench.favor: favor_forward,
        torch.ops.softbench.favor_backward: favor_backward,
    }
    with FlopCounterMode(display=False, custom_mapping=rules) as counter:
        out = module.to("meta")(*inputs)
        if mode == "forward_backward":
            torch.autograd.backward(out, torch.empty_like(out))
    return int(counter.get_total_flops())


@pytest.mark.parametrize(("mechanism", "backend", "fields"), CASES)
@pytest.mark.parametrize("level", ["operator", "layer"])
@pytest.mark.parametrize("mode", ["forward", "forward_backward"])
def test_closed_form_equals_dispatch(
    mechanism: ModuleType, backend: str, fields: dict[str, Any], level: str, mode: str
) -> None:
    params = mechanism.Params(**fields)
    terms = mechanism.flops(SHAPE, params, level=level, backend=backend, mode=mode)
    assert sum(terms.values()) == dispatched(built(mechanism, params, level, backend), level, mode)


@pytest.mark.parametrize(("mechanism", "backend", "fields"), SEEN_BY_FVCORE)
@pytest.mark.parametrize("level", ["operator", "layer"])
def test_closed_form_is_twice_the_macs_of_fvcore(
    mechanism: ModuleType, backend: str, fields: dict[str, Any], level: str
) -> None:
    params = mechanism.Params(**fields)
    inputs = tuple(torch.zeros(size) for size in sizes(level))
    module = built(mechanism, params, level, backend)
    counted = multiply_adds(module, inputs, lambda m: newton.flops(m, 20) // 2)
    terms = mechanism.flops(SHAPE, params, level=level, backend=backend, mode="forward")
    assert sum(terms.values()) == 2 * counted


def test_fvcore_says_what_it_cannot_see() -> None:
    inputs = tuple(torch.zeros(size) for size in sizes("operator"))
    with pytest.raises(BlindError, match="scaled_dot_product_attention"):
        multiply_adds(Operator(softmax, softmax.Params(), "sdpa"), inputs, lambda m: 0)


@pytest.mark.parametrize("backend", ["eager", "sdpa"])
def test_softmax_is_quadratic(backend: str) -> None:
    shape = Shape(batch_size=2, num_heads=8, seq_len=784, head_dim=64)
    terms = softmax.flops(
        shape, softmax.Params(), level="operator", backend=backend, mode="forward"
    )
    assert sum(terms.values()) == 4 * 2 * 8 * 784**2 * 64


def soft_case(seq_len: int) -> Case:
    params = soft.Params().model_dump(mode="json")
    shape = Shape(batch_size=2, num_heads=3, seq_len=seq_len, head_dim=16)
    return Case(
        level="operator", attention="soft", params=params, backend="eager", shape=shape,
        inputs="normal", dtype="float32", device="meta", mode="forward", compile=False, seed=0,
    )  # fmt: skip


@pytest.mark.parametrize(
    "count",
    [
        lambda case: sum(flops.closed_form(case).values()),
        lambda case: flops.dispatch_count(case).total,
    ],
    ids=["closed form", "dispatch count"],
)
def test_soft_is_linear_but_for_what_tokens_do_not_enter(count: Callable[[Case], int]) -> None:
    # The landmarks' own kernel, its norms by products with ones, and 20 steps.
    fixed = 2 * 3 * (3 * 2 * 49**2 * 16 + 20 * 2 * 2 * 49**3)
    assert count(soft_case(2 * 784)) - 2 * count(soft_case(784)) == -fixed
