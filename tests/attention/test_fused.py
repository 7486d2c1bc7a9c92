"""Backend `fused` of SOFT and SOFT++, held to the eager one: values and gradients.

Queries are small, so that kernels lie near one and the attention's own term does not vanish.

Mutant seen red: the last Newton step mirrored.
"""

from __future__ import annotations

from types import ModuleType
from typing import Any

import pytest
import torch
from mechanism_checks import farthest, relative, seeded, tokens
from torch import Tensor

from softbench.attention import soft, soft_norm
from softbench.case import Shape
from softbench.kernels import low_rank

pytestmark = pytest.mark.skipif(not low_rank.is_built(), reason="no C++ compiler built the kernels")

GRIDS = {49: (7, 7), 50: None, 60: (6, 10), 196: (14, 14), 203: (7, 29), 400: None}
BOTH = pytest.mark.parametrize("mechanism", [soft, soft_norm])


def both(
    mechanism: ModuleType,
    sizes: tuple[int, ...],
    dtype: torch.dtype = torch.float64,
    backend: str = "fused",
    **options: Any,
) -> tuple[list[Tensor], list[Tensor]]:
    """Output and gradients of q, v and every weight, of the backend in `dtype` and of eager."""
    grid = GRIDS[sizes[2]]
    shape = Shape(
        batch_size=sizes[0], num_heads=sizes[1], seq_len=sizes[2], head_dim=sizes[3], grid=grid
    )
    params = mechanism.Params(**options)
    told = []
    for name, kind in ((backend, dtype), ("eager", torch.float64)):
        q, v, cotangent = (tokens(*sizes, seed=seed, scale=0.5) for seed in range(3))
        weights = mechanism.weights(shape, params, seeded())
        inputs = {"q": q, "v": v, **weights}
        made = {
            key: one.detach().to(kind).requires_grad_() if one.is_floating_point() else one
            for key, one in inputs.items()
        }
        kept = dict(made)
        out = mechanism.BACKENDS[name](
            made.pop("q"), None, made.pop("v"), params=params, weights=made, grid=shape.grid
        )
        out.backward(cotangent.to(kind))
        told.append([out, *(one.grad for one in kept.values() if one.requires_grad)])
    return told[0], told[1]


@BOTH
@pytest.mark.parametrize(
    ("sizes", "options"),
    [
        ((2, 3, 196, 64), {}),
        ((1, 2, 203, 32), {}),  # windows that overlap, tiles that are not full
        ((1, 2, 60, 8), {"num_landmarks": 16}),
        ((2, 1, 50, 20), {"num_landmarks": 7}),  # a row of tokens, vectors that are not full
        ((1, 1, 49, 16), {"num_landmarks": 49}),
        ((1, 2, 400, 64), {"num_landmarks": 100}),
        ((1, 1, 50, 3), {"num_landmarks": 2}),
        ((1, 2, 196, 16), {"landmarks": "first", "num_landmarks": 5}),
        ((1, 2, 196, 16), {"landmarks": "random", "num_landmarks": 20}),
        ((1, 2, 196, 16), {"landmarks": "conv", "num_landmarks": 49}),
        ((2, 2, 196, 16), {"conv_kernel_size": 5}),
        ((2, 2, 60, 8), {"conv_kernel_size": 3, "num_landmarks": 9}),
    ],
)
def test_it_equals_eager_in_values_and_gradients(
    mechanism: ModuleType, sizes: tuple[int, ...], options: dict[str, Any]
) -> None:
    assert farthest(both(mechanism, sizes, **options), num_inputs=2) < 1e-10


@pytest.mark.parametrize(
    "options", [{"inverse": "cholesky"}, {"gradient": "unrolled"}, {"inverse": "svd", "ridge": 0.1}]
)
def test_every_solver_is_to_be_had(options: dict[str, Any]) -> None:
    assert farthest(both(soft, (1, 2, 196, 16), **options), num_inputs=2) < 1e-10


@BOTH
@pytest.mark.parametrize(
    ("dtype", "bound"), [(torch.float32, 2e-4), (torch.bfloat16, 2e-2), (torch.float16, 4e-3)]
)
def test_narrow_dtypes_are_near_eager_in_float64(
    mechanism: ModuleType, dtype: torch.dtype, bound: float
) -> None:
    options: dict[str, Any] = {
        "num_newton_iters": 6
    }  # further on rounding grows with the condition number
    found, wanted = both(mechanism, (1, 2, 196, 64), dtype, **options)
    assert {one.dtype for one in found} == {dtype}
    assert relative(found[0], wanted[0]) < bound


@BOTH
@pytest.mark.parametrize("threads", [2, 3])
def test_threads_change_nothing(mechanism: ModuleType, threads: int) -> None:
    alone = both(mechanism, (1, 5, 196, 16))[0]
    torch.set_num_threads(threads)
    try:
        together = both(mechanism, (1, 5, 196, 16))[0]
    finally:
        torch.set_num_threads(1)
    assert max(map(relative, together, alone)) < 1e-12


@BOTH
@pytest.mark.parametrize("num_tokens", [784, 3136])
def test_float32_is_as_near_float64_as_the_eager_one(
    mechanism: ModuleType, num_tokens: int
) -> None:
    # All twenty steps: what rounding does to X shows in the output, not in the norm of X.
    side = round(num_tokens**0.5)
    options: dict[str, Any] = {"params": mechanism.Params(), "weights": {}, "grid": (side, side)}
    q, v, cotangent = (tokens(1, 2, num_tokens, 64, seed=s, scale=0.5) for s in range(3))
    told = {}
    for name, kind in (
        ("eager", torch.float64),
        ("eager", torch.float32),
        ("fused", torch.float32),
    ):
        given = (q.to(kind).requires_grad_(), v.to(kind).requires_grad_())
        out = mechanism.BACKENDS[name](given[0], None, given[1], **options)
        told[name, kind] = [out, *torch.autograd.grad(out, given, cotangent.to(kind))]
    exact = told["eager", torch.float64]
    bounds = {soft: (7e-5, 6e-4), soft_norm: (4e-6, 2e-5)}[mechanism]
    for i, bound in enumerate((bounds[0], bounds[1], bounds[1])):
        plain = relative(told["eager", torch.float32][i], exact[i])
        assert relative(told["fused", torch.float32][i], exact[i]) < max(bound, 3 * plain)
