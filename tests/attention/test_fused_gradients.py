"""Gradients of backend `fused` of SOFT and SOFT++: those of differences, and only first ones."""

from __future__ import annotations

from types import ModuleType

import pytest
import torch
from mechanism_checks import tokens
from torch import Tensor

from softbench.attention import soft, soft_norm
from softbench.kernels import low_rank

pytestmark = pytest.mark.skipif(not low_rank.is_built(), reason="no C++ compiler built the kernels")

BOTH = pytest.mark.parametrize("mechanism", [soft, soft_norm])


def test_gradients_are_those_of_differences_where_the_inverse_is_one() -> None:
    params = soft.Params(num_landmarks=4, inverse="cholesky", ridge=0.5)
    q, v = (tokens(1, 2, 12, 5, seed=seed, scale=0.5).requires_grad_() for seed in range(2))

    def call(q: Tensor, v: Tensor) -> Tensor:
        return soft.BACKENDS["fused"](q, None, v, params=params, weights={}, grid=(3, 4))

    assert torch.autograd.gradcheck(call, (q, v))


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
