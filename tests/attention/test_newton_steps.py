"""Lean steps are the plain ones, and their backward pass has no subnormal numbers.

Mutants seen red: nothing taken for zero; a least gradient that is the same for every gradient, or
of every head, or not small; NaN that comes in taken for zero; a factor of a product not transposed;
the gradient by the first X left out; a second derivative let through; eager's steps in fused.
"""

from __future__ import annotations

from typing import Any

import pytest
import torch
from mechanism_checks import relative, tokens
from torch import Tensor

from softbench.attention import _newton_steps, soft_norm
from softbench.attention._gaussian import gaussian_kernel
from softbench.kernels import low_rank

TINY = torch.finfo(torch.float32).tiny


def with_gradient(
    steps: _newton_steps.Steps, cotangent_BHMM: Tensor, spread: float, num_iters: int
) -> list[Tensor]:
    """X of every head and the gradient by its A; neither A nor the first X is quite symmetric."""
    l_BHMD = tokens(2, 3, 20, 8, scale=spread)
    skews = (1 + 1e-3 * tokens(2, 3, 20, 20, seed=seed) for seed in (2, 3))
    a_BHMM = (gaussian_kernel(l_BHMD, l_BHMD) * next(skews)).requires_grad_()
    norm_BH = a_BHMM.sum(-1).amax(-1)
    first_BHMM = next(skews) * a_BHMM / norm_BH[..., None, None] ** 2
    x_BHMM = steps(a_BHMM, first_BHMM, num_iters)
    (da_BHMM,) = torch.autograd.grad(x_BHMM, a_BHMM, cotangent_BHMM)
    return [*x_BHMM.flatten(0, 1), *da_BHMM.flatten(0, 1)]


@pytest.mark.parametrize("spread", [0.3, 1.0, 2.0])
@pytest.mark.parametrize("num_iters", [1, 5, 20])
@pytest.mark.parametrize("size", [1.0, 1e-140])
def test_lean_steps_are_the_plain_ones(spread: float, num_iters: int, size: float) -> None:
    """However far they have converged, and however small the gradient that comes in."""
    cotangent = size * tokens(2, 3, 20, 20, seed=1)
    cotangent[:, 0] *= 1e-30  # a head whose gradient is small beside another's
    found = with_gradient(_newton_steps.lean, cotangent, spread, num_iters)
    wanted = with_gradient(_newton_steps.plain, cotangent, spread, num_iters)
    assert max(map(relative, found, wanted)) < 1e-11


def test_nan_stays_nan() -> None:
    cotangent = tokens(2, 3, 20, 20, seed=1)
    cotangent[0, 0, 3, 4] = torch.nan
    gradients = with_gradient(_newton_steps.lean, cotangent, 1.0, 20)[6:]
    assert [bool(one.isnan().any()) for one in gradients] == [True, *[False] * 5]


@pytest.mark.skipif(not low_rank.is_built(), reason="no C++ compiler built the kernels")
@pytest.mark.parametrize(("backend", "many"), [("fused", False), ("eager", True)])
def test_only_eager_has_subnormal_gradients(
    recorded_operators: Any, backend: str, many: bool
) -> None:
    """One or two tokens a landmark: A is near the identity and steps converge soon."""
    q, v, cotangent = (tokens(1, 2, 80, 64, seed=seed).float() for seed in range(3))
    params = soft_norm.Params()
    out = soft_norm.BACKENDS[backend](
        q.requires_grad_(), None, v.requires_grad_(), params=params, weights={}, grid=None
    )
    with recorded_operators() as operators:
        torch.autograd.backward(out, cotangent)
    made = [one for _, one in operators if isinstance(one, Tensor) and one.is_floating_point()]
    subnormal = sum(int(((one != 0) & (one.abs() < TINY)).sum()) for one in made)
    assert subnormal > 10_000 if many else subnormal == 0


def test_a_second_derivative_is_refused() -> None:
    a_BHMM = torch.eye(3, dtype=torch.float64).expand(1, 1, 3, 3).clone().requires_grad_()
    x_BHMM = _newton_steps.lean(a_BHMM, 0.5 * a_BHMM, 3)
    with pytest.raises(RuntimeError, match=r"soft_norm .* no second derivative"):
        torch.autograd.grad(x_BHMM.sum(), a_BHMM, create_graph=True)
