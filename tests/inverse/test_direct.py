"""Cholesky and singular values against numpy, and where there is no inverse.

Broken on purpose, each of these turned a test here red: the upper factor taken for the lower, the
failed factorisation's mark ignored, the cut-off a hundred times larger or left out, 1/s of what is
dropped, the factors' order swapped.
"""

from __future__ import annotations

import numpy as np
import pytest
import torch
from matrices import kernel, relative, ridged
from torch import Tensor

from softbench.inverse import cholesky, newton, svd


def rank_two() -> Tensor:
    points = torch.randn(2, 3, 6, 2, generator=torch.Generator().manual_seed(5)).double()
    return points @ points.mT


@pytest.mark.parametrize("solver", [cholesky, svd], ids=["cholesky", "svd"])
@pytest.mark.parametrize("scale", [2.0, 0.2, 0.01])
def test_the_true_inverse_at_any_condition(solver: object, scale: float) -> None:
    a = kernel(scale, m=25)
    wanted = torch.from_numpy(np.linalg.inv(ridged(a).numpy()))
    assert relative(solver.invert(a, num_iters=1), wanted) < 1e-10  # type: ignore[attr-defined]


def test_cholesky_is_where_newton_goes_and_not_where_twenty_steps_end() -> None:
    a = kernel(0.1, m=25)
    found = cholesky.invert(a)
    assert relative(newton.invert(a, num_iters=45), found) < 1e-6
    assert relative(newton.invert(a, num_iters=20), found) > 0.2


@pytest.mark.parametrize("steps", [1, 20])
def test_direct_solvers_take_no_steps(steps: int) -> None:
    a = kernel(0.5)
    assert torch.equal(cholesky.invert(a, num_iters=steps), cholesky.invert(a))
    assert torch.equal(svd.invert(a, num_iters=steps), svd.invert(a))


def test_cholesky_of_what_is_not_positive_definite_is_nan_and_only_there() -> None:
    a = kernel(2.0)
    a[1, 2] = -a[1, 2]
    found = cholesky.invert(a)
    assert bool(torch.isnan(found[1, 2]).all())
    assert bool(torch.isfinite(found[0]).all())


def test_svd_is_the_pseudo_inverse_of_a_deficient_matrix() -> None:
    a = rank_two()
    wanted = torch.from_numpy(np.linalg.pinv(a.numpy(), hermitian=True))
    assert relative(svd.invert(a, ridge=0.0), wanted) < 1e-9


@pytest.mark.parametrize(("size", "kept"), [(0.5, False), (2.0, True)])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_the_cut_off_is_where_it_says(size: float, kept: bool, dtype: torch.dtype) -> None:
    cutoff = 3 * torch.finfo(dtype).eps * 4.0
    a = torch.diag(torch.tensor([4.0, 1.0, size * cutoff], dtype=dtype))[None, None]
    found = svd.invert(a, ridge=0.0)[0, 0, 2, 2]
    assert float(found) == (pytest.approx(1 / (size * cutoff), rel=1e-3) if kept else 0.0)
