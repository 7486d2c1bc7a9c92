"""X of SOFT, compiled, held to the plain iteration on the plain kernel.

Mutants seen red: diagonal blocks not mirrored, columns left over taken from X in place of X R, X R
taken for symmetric, the ridge left out, the gradient of A not made symmetric, the last tile's
vectors one token short.
"""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from softbench.attention._gaussian import gaussian_kernel
from softbench.inverse import newton
from softbench.kernels import landmark_inverse, low_rank

pytestmark = pytest.mark.skipif(not low_rank.is_built(), reason="no C++ compiler built the kernels")


def landmarks(number: int, *, width: int = 12, spread: float = 0.7) -> Tensor:
    generator = torch.Generator().manual_seed(number)
    return spread * torch.randn(2, 3, number, width, generator=generator, dtype=torch.float64)


def both(l_BHMD: Tensor, num_iters: int, ridge: float) -> list[list[Tensor]]:
    """X and the landmarks' gradient, compiled and plain."""
    told = []
    for compiled in (True, False):
        given = l_BHMD.clone().requires_grad_()
        if compiled:
            x_BHMM = landmark_inverse.inverse(given, num_iters=num_iters, ridge=ridge)
        else:
            a_BHMM = gaussian_kernel(given, given)
            x_BHMM = newton.invert(a_BHMM, num_iters=num_iters, ridge=ridge)
        # A cotangent that is not symmetric shows a factor on the wrong side.
        cotangent = torch.arange(x_BHMM.numel(), dtype=x_BHMM.dtype).reshape(x_BHMM.shape).cos()
        (gradient,) = torch.autograd.grad(x_BHMM, given, cotangent)
        told.append([x_BHMM.detach(), gradient])
    return told


def distance(found: Tensor, wanted: Tensor) -> float:
    return float((found - wanted).norm() / wanted.norm())


@pytest.mark.parametrize("number", [*range(1, 35), 48, 49, 50, 64, 71, 100])
def test_any_number_of_landmarks_gives_the_plain_result(number: int) -> None:
    found, wanted = both(landmarks(number), num_iters=7, ridge=0.02)
    assert distance(found[0], wanted[0]) < 1e-11
    if number > 1:  # one landmark has no distance, and no gradient
        assert distance(found[1], wanted[1]) < 1e-9


@pytest.mark.parametrize("num_iters", [20, 40])
def test_rounding_does_no_more_than_in_the_plain_iteration(num_iters: int) -> None:
    # Landmarks this near one another make A ill-conditioned: what rounding adds in one step would
    # grow in the next, were X and R taken to commute.
    l_BHMD = landmarks(49, width=8, spread=0.3)
    _, (wanted, _) = both(l_BHMD, num_iters, ridge=0.01)
    (found, _), (plain, _) = both(l_BHMD.float(), num_iters, ridge=0.01)
    assert distance(found.double(), wanted) < 2 * distance(plain.double(), wanted)


def test_no_steps_are_refused() -> None:
    with pytest.raises(ValueError, match="num_iters is 0; newton needs at least 1 step"):
        landmark_inverse.inverse(landmarks(4), num_iters=0, ridge=0.01)


def test_a_second_derivative_is_refused() -> None:
    given = landmarks(4).requires_grad_()
    x_BHMM = landmark_inverse.inverse(given, num_iters=3, ridge=0.01)
    with pytest.raises(RuntimeError, match="no second derivative"):
        torch.autograd.grad(x_BHMM.sum(), given, create_graph=True)
