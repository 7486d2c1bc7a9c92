"""Backends `fused` of Linformer, Performer and Nyströmformer, held to their eager ones.

Values and gradients; the goldens hold them too, in each mechanism's own tests.

Mutants seen red:
- Performer: ε left out of the sums over keys, of queries' features, of the gradient of the sums or
  of values; the norm of queries or of keys without gradient; the wrong sign at the keys' maximum;
  queries' maxima always constants; relu's gradient everywhere, relu with the other kernel's ε;
  queries left narrow.
- Nyströmformer: segment means without gradient, longer segments taken for shorter, a mean's
  gradient not divided, landmarks not divided by D^¼.
- Linformer: E for the values too, a projection's gradient from one image.
- All: a second derivative let through, an empty batch given to PyTorch's kernel, tokens left
  narrow, heads always together in one image.
"""

from __future__ import annotations

from types import ModuleType
from typing import Any

import pytest
import torch
from fused_checks import EVERY, LAYOUTS, MAXIMA, NAMES, RANK, both, call
from mechanism_checks import farthest, laid_out, relative, seeded, tokens
from torch import Tensor

from softbench.attention import linformer, nystromformer, performer
from softbench.case import Shape


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize(
    ("mechanism", "options"),
    [
        (linformer, {}),
        (linformer, {"share": "kv"}),
        (linformer, {"per_head": True}),
        (linformer, {"share": "kv", "per_head": True}),
        (performer, {}),
        (performer, {"num_features": 7, "kernel": "relu"}),
        (performer, {"epsilon": 1e-2}),
        (performer, {"epsilon": 0.0}),
        (performer, MAXIMA),
        (nystromformer, {}),
        (nystromformer, {"num_landmarks": 50, "conv_kernel_size": 33}),
        (nystromformer, {"num_pinv_iters": 2, "pinv_init": "original"}),
    ],
)
def test_it_equals_eager_in_values_and_gradients(
    mechanism: ModuleType, options: dict[str, Any], layout: str
) -> None:
    assert (
        farthest(both(mechanism, (2, 3, 205, 20), layout=layout, **options), num_inputs=3) < 1e-10
    )


@EVERY
@pytest.mark.parametrize("sizes", [(1, 1, 49, 1), (1, 2, 1, 8), (3, 1, 64, 5), (1, 9, 600, 64)])
def test_every_size_will_do(mechanism: ModuleType, sizes: tuple[int, ...]) -> None:
    options: dict[str, Any] = {RANK[mechanism]: min(7, sizes[2])}
    found, wanted = both(mechanism, sizes, **options)
    assert relative(found[0], wanted[0]) < 1e-10
    # A softmax over one token has no gradient, which is then rounding alone.
    parts = zip(found, wanted, strict=True)
    assert all(relative(one, other) < 1e-10 for one, other in parts if other.norm() > 1e-6)


@pytest.mark.parametrize(
    ("mechanism", "output_bound", "gradient_bound"),
    [(linformer, 4e-6, 6e-6), (performer, 3e-6, 7e-6), (nystromformer, 6e-6, 2e-4)],
    ids=NAMES,
)
def test_float32_is_near_eager_in_float64(
    mechanism: ModuleType, output_bound: float, gradient_bound: float
) -> None:
    found, wanted = both(mechanism, (1, 2, 196, 64), torch.float32)
    assert relative(found[0], wanted[0]) < output_bound
    assert max(map(relative, found, wanted)) < gradient_bound


@EVERY
@pytest.mark.parametrize(("dtype", "bound"), [(torch.bfloat16, 3e-2), (torch.float16, 4e-3)])
def test_narrow_dtypes_are_near_eager_in_float64(
    mechanism: ModuleType, dtype: torch.dtype, bound: float
) -> None:
    found, wanted = both(mechanism, (1, 2, 196, 64), dtype)
    assert {one.dtype for one in found} == {dtype}
    assert max(map(relative, found, wanted)) < bound


@EVERY
@pytest.mark.parametrize("sizes", [(0, 2, 49, 16), (2, 0, 49, 16)])
def test_an_empty_batch_has_an_empty_answer(mechanism: ModuleType, sizes: tuple[int, ...]) -> None:
    params = mechanism.Params()
    weights = mechanism.weights(Shape(num_heads=2, seq_len=49, head_dim=16), params, seeded())
    heads = [torch.zeros(sizes, requires_grad=True) for _ in range(3)]
    out = mechanism.BACKENDS["fused"](*heads, params=params, weights=weights, grid=None)
    out.sum().backward()
    assert out.shape == sizes
    assert all(one.grad is not None and one.grad.shape == sizes for one in heads)


@pytest.mark.parametrize(
    ("mechanism", "options"),
    [
        (linformer, {}),
        (performer, {"epsilon": 1e-2, "detach_max": False}),
        (performer, {"kernel": "relu"}),
        (nystromformer, {"conv_kernel_size": 3}),
    ],
)
def test_gradients_are_those_of_differences(mechanism: ModuleType, options: dict[str, Any]) -> None:
    params = mechanism.Params(**{RANK[mechanism]: 4}, **options)
    shape = Shape(num_heads=2, seq_len=12, head_dim=5)
    weights = {
        key: one.detach().double()
        for key, one in mechanism.weights(shape, params, seeded()).items()
    }
    heads = [tokens(1, 2, 12, 5, seed=seed).requires_grad_() for seed in range(3)]

    def call(*heads: Tensor) -> Tensor:
        out: Tensor = mechanism.BACKENDS["fused"](*heads, params=params, weights=weights, grid=None)
        return out

    assert torch.autograd.gradcheck(call, heads)


@EVERY
@pytest.mark.parametrize("layout", ["plain", "layer"])
def test_gradients_lie_in_memory_as_heads_do(mechanism: ModuleType, layout: str) -> None:
    """So that whoever collects them need not copy them into another order."""
    heads = [laid_out(tokens(2, 3, 40, 8, seed=seed), layout).requires_grad_() for seed in range(3)]
    gradients = torch.autograd.grad(call(mechanism, "fused", *heads).sum(), heads)
    assert [one.stride() for one in gradients] == [one.stride() for one in heads]


@EVERY
@pytest.mark.parametrize("which", range(3))
def test_nan_stays_nan(mechanism: ModuleType, which: int) -> None:
    heads = [tokens(1, 1, 40, 16, seed=seed) for seed in range(3)]
    heads[which][0, 0, 5, 3] = torch.nan
    assert call(mechanism, "fused", *heads).isnan().any()


@EVERY
def test_a_second_derivative_is_refused(mechanism: ModuleType) -> None:
    x = tokens(1, 1, 40, 8).requires_grad_()
    out = call(mechanism, "fused", x, x * 1, x * 1)
    with pytest.raises(RuntimeError, match="fused backend has no second derivative; take eager"):
        torch.autograd.grad(out.sum(), x, create_graph=True)


@EVERY
@pytest.mark.parametrize("threads", [2, 3])
def test_threads_change_nothing(mechanism: ModuleType, threads: int) -> None:
    alone = both(mechanism, (1, 5, 196, 16))[0]
    torch.set_num_threads(threads)
    try:
        together = both(mechanism, (1, 5, 196, 16))[0]
    finally:
        torch.set_num_threads(1)
    assert max(map(relative, together, alone)) < 1e-11
