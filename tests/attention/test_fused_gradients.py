"""Gradients of backend `fused` of SOFT and SOFT++: those of differences, and only first ones.

Mutants seen red: half of the gradient through X, by each of the two paths; the sums Pᵀ v and
X Pᵀ v taken for each other; pooled landmarks without a gradient; SOFT++'s X taken for a constant.
"""

from __future__ import annotations

from collections.abc import Callable
from types import ModuleType
from typing import Any

import pytest
import torch
from mechanism_checks import relative, seeded, tokens
from torch import Tensor

from softbench.attention import soft, soft_norm
from softbench.case import Shape
from softbench.kernels import low_rank

pytestmark = pytest.mark.skipif(not low_rank.is_built(), reason="no C++ compiler built the kernels")

BOTH = pytest.mark.parametrize("mechanism", [soft, soft_norm])


def test_gradients_are_those_of_differences_where_the_inverse_is_one() -> None:
    params = soft.Params(num_landmarks=4, inverse="cholesky", ridge=0.5)
    q, v = (tokens(1, 2, 12, 5, seed=seed, scale=0.5).requires_grad_() for seed in range(2))

    def call(q: Tensor, v: Tensor) -> Tensor:
        return soft.BACKENDS["fused"](q, None, v, params=params, weights={}, grid=(3, 4))

    assert torch.autograd.gradcheck(call, (q, v))


@pytest.mark.parametrize(
    ("landmarks", "operators"),
    [
        ("pool", {"soft"}),
        ("first", {"landmark_inverse", "low_rank"}),
        ("conv", {"landmark_inverse", "low_rank"}),
    ],
)
def test_gradients_are_those_of_differences_where_newton_has_converged(
    recorded_operators: Any, landmarks: Any, operators: set[str]
) -> None:
    """By each path to X; landmarks lie apart, for Newton's gradient is that of an inverse."""
    params = soft.Params(num_landmarks=4, landmarks=landmarks, num_newton_iters=40)
    inputs, call = called(soft, params)
    a_BHMM, x_BHMM = soft.landmark_inverse(inputs[0], None, params, drawn(soft, params), (4, 4))
    assert relative(x_BHMM @ a_BHMM, torch.eye(4).expand_as(a_BHMM)) < 1e-12
    with recorded_operators() as recorded:
        call(*inputs)
    assert {name for name, _ in recorded} & {"soft", "landmark_inverse", "low_rank"} == operators
    assert torch.autograd.gradcheck(call, inputs, atol=1e-7, rtol=1e-4)


@pytest.mark.parametrize("landmarks", ["pool", "first"])
@pytest.mark.parametrize("num_newton_iters", [3, 20])
def test_gradients_of_a_searched_step_are_those_of_differences(
    landmarks: Any, num_newton_iters: int
) -> None:
    """SOFT++ differentiates every step: its gradient is exact before the iteration converges."""
    params = soft_norm.Params(
        num_landmarks=4, landmarks=landmarks, num_newton_iters=num_newton_iters
    )
    inputs, call = called(soft_norm, params)
    assert torch.autograd.gradcheck(call, inputs, atol=1e-7, rtol=1e-4)


def drawn(mechanism: ModuleType, params: Any) -> dict[str, Tensor]:
    """What the mechanism learns for 4 x 4 tokens of 2 heads, in float64."""
    shape = Shape(num_heads=2, seq_len=16, head_dim=5, grid=(4, 4))
    weights = mechanism.weights(shape, params, seeded())
    return {name: weight.detach().double() for name, weight in weights.items()}


def called(mechanism: ModuleType, params: Any) -> tuple[tuple[Tensor, ...], Callable[..., Tensor]]:
    """Queries, values and weights, and the call of the fused backend that takes them."""
    q, v = (tokens(1, 2, 16, 5, seed=seed) for seed in range(2))
    weights = drawn(mechanism, params)

    def call(q: Tensor, v: Tensor, *learned: Tensor) -> Tensor:
        given = dict(zip(weights, learned, strict=True))
        out: Tensor = mechanism.BACKENDS["fused"](
            q, None, v, params=params, weights=given, grid=(4, 4)
        )
        return out

    return tuple(one.requires_grad_() for one in (q, v, *weights.values())), call


@BOTH
def test_a_graph_may_be_walked_twice(mechanism: ModuleType) -> None:
    q = tokens(1, 2, 49, 16).requires_grad_()
    out = mechanism.BACKENDS["fused"](
        q, None, q * 1, params=mechanism.Params(num_landmarks=9), weights={}, grid=(7, 7)
    )
    once, again = (
        torch.autograd.grad(out.sum(), q, retain_graph=True)[0].clone() for _ in range(2)
    )
    assert torch.equal(once, again)


@BOTH
def test_a_second_derivative_is_refused(mechanism: ModuleType) -> None:
    q = tokens(1, 1, 49, 8).requires_grad_()
    params = mechanism.Params(num_landmarks=9)
    out = mechanism.BACKENDS["fused"](q, None, q * 1, params=params, weights={}, grid=(7, 7))
    with pytest.raises(RuntimeError, match="no second"):
        torch.autograd.grad(out.sum(), q, create_graph=True)
