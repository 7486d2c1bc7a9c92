"""The iterations against what their docstrings say they compute, step by step, and what they cost.

Broken on purpose, each of these turned a test here red: newton_spd started from the matrix, its
norm taken without the ridge, its step without the 2; hyperpower with 14 for 15, started from R in
place of Rᵀ, with the square of one norm, its norm over the whole batch.
"""

from __future__ import annotations

import pytest
import torch
from matrices import ITERATIVE, kernel, load, relative, ridged, steps_to, with_eigenvalues
from torch import Tensor

from softbench.inverse import hyperpower, newton, newton_spd


def by_eigenvalues(r: Tensor, filtered: Tensor) -> Tensor:
    vectors = torch.linalg.eigh(r).eigenvectors
    matrix: Tensor = (vectors * filtered[..., None, :]) @ vectors.mT
    return matrix


@pytest.mark.parametrize("scale", [2.0, 0.2])
@pytest.mark.parametrize("steps", range(1, 16))
def test_newton_spd_is_the_filter_it_says(scale: float, steps: int) -> None:
    a = kernel(scale)
    r = ridged(a)
    w = torch.linalg.eigvalsh(r)
    norm = r.sum(-1).amax(-1)[..., None]
    found = newton_spd.invert(a, num_iters=steps)
    assert relative(found, by_eigenvalues(r, (1 - (1 - w / norm) ** 2**steps) / w)) < 1e-9


@pytest.mark.parametrize("scale", [2.0, 0.2])
@pytest.mark.parametrize("steps", range(1, 13))
def test_hyperpower_is_the_filter_it_says(scale: float, steps: int) -> None:
    a = kernel(scale)
    r = ridged(a)
    w = torch.linalg.eigvalsh(r)
    missing = 1 - w**2 / r.sum(-1).amax(-1)[..., None] ** 2
    for _ in range(steps):
        missing = missing**3 * (0.75 + 0.25 * missing)
    found = hyperpower.invert(a, num_iters=steps)
    assert relative(found, by_eigenvalues(r, (1 - missing) / w)) < 1e-9


def test_hyperpower_takes_matrices_that_are_not_symmetric() -> None:
    draws = torch.randn(2, 3, 7, 7, generator=torch.Generator().manual_seed(3)).double()
    # A rotation: started from itself in place of its transpose, the iteration diverges.
    a = torch.linalg.qr(draws).Q
    found = hyperpower.invert(a, num_iters=30, ridge=0.0)
    assert relative(found, torch.linalg.inv(a)) < 1e-12


def test_hyperpower_starts_from_the_transpose_over_both_norms() -> None:
    a = torch.rand(2, 3, 5, 5, generator=torch.Generator().manual_seed(6)).double()
    norms = a.sum(-2).amax(-1) * a.sum(-1).amax(-1)
    z = a.mT / norms[..., None, None]
    one = torch.eye(5).double()
    wanted = z @ (13 * one - a @ z @ (15 * one - a @ z @ (7 * one - a @ z))) / 4
    assert relative(hyperpower.invert(a, num_iters=1, ridge=0.0), wanted) < 1e-14


@pytest.mark.parametrize(
    ("name", "steps", "products"),
    [("newton", 23, 46), ("newton_spd", 14, 28), ("hyperpower", 15, 60)],
)
def test_matrix_products_to_a_millionth_at_a_condition_of_a_thousand(
    name: str, steps: int, products: int
) -> None:
    """κ = ‖A‖₁/λ_min, as steps are told by it; the matrix is diagonal, so ‖A‖₁ is the largest.

    At step 14 hyperpower is 1.9e-6 away.
    """
    a = torch.linspace(1e-3, 1, 16, dtype=torch.float64).diag()[None, None]
    assert steps_to(1e-6, load(name), a, ridge=0.0) == steps
    assert load(name).flops(16, steps) == products * 2 * 16**3


def test_the_identity_start_halves_the_steps_at_the_ridges_condition() -> None:
    """κ = 4,900 is what the ridge of 0.01 leaves of 49 landmarks that coincide."""
    w = torch.cat([torch.full((48,), 0.01), torch.tensor([49.0])]).double()
    a = w.diag()[None, None]
    assert (steps_to(1e-6, newton, a, 0.0), steps_to(1e-6, newton_spd, a, 0.0)) == (28, 17)


@pytest.mark.parametrize("name", ITERATIVE)
def test_steps_enough_invert_what_is_badly_conditioned(name: str) -> None:
    a = with_eigenvalues(torch.logspace(-3, 0, 16, dtype=torch.float64))
    assert relative(load(name).invert(a, num_iters=40), torch.linalg.inv(ridged(a))) < 1e-10
