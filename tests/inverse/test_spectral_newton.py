"""One eigendecomposition against the steps that it stands for: goldens, every count, both widths.

Broken on purpose, each of these turned a test here red: α with 2 for 0.9·2, α with the ridge, the
ridge left out of the eigenvalues, 2T for 2^T, one step more, no bound on the
doublings, an αw² above 1 taken as it is, the eigenvalue 0 divided by, eigenvectors not transposed.
"""

from __future__ import annotations

from typing import Any

import pytest
import torch
from matrices import relative, ridged
from test_newton import CASES, matrices
from torch import Tensor

from softbench.inverse import newton, spectral_newton


@pytest.mark.parametrize("case", CASES)
def test_every_step_equals_the_released_code(golden: Any, case: str) -> None:
    values = golden("newton", case)
    m = values["cot"].shape[-1]
    a = matrices(values["A"], m)
    for steps, wanted in enumerate(matrices(values["X"], m), start=1):
        assert relative(spectral_newton.invert(a, num_iters=steps), wanted) < 1e-9, f"step {steps}"


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize(("dtype", "bound"), [(torch.float64, 1e-7), (torch.float32, 4e-4)])
def test_gradients_equal_the_released_code(
    golden: Any, case: str, dtype: torch.dtype, bound: float
) -> None:
    values = golden("newton", case)
    a = matrices(values["A"], values["cot"].shape[-1]).to(dtype).requires_grad_()
    x = spectral_newton.invert(a, num_iters=20)
    (found,) = torch.autograd.grad(x, a, values["cot"].to(dtype))
    assert relative(found, values["d_A"]) < bound


def line(m: int, spacing: float) -> Tensor:
    """[1, 1, m, m] kernel of points on a line: the nearer, the less it can be inverted."""
    at = spacing * torch.arange(m, dtype=torch.float64)
    return torch.exp(-((at[:, None] - at) ** 2) / 2)[None, None]


@pytest.mark.parametrize("spacing", [2.0, 0.2, 0.01])
def test_it_is_newton_after_every_step(spacing: float) -> None:
    a = line(49, spacing)
    for steps in range(1, 31):
        wanted = newton.invert(a, num_iters=steps)
        found = spectral_newton.invert(a, num_iters=steps)
        assert relative(found, wanted) < 1e-10, f"step {steps}"


def test_at_the_worst_newton_is_far_from_converged_and_it_is_too() -> None:
    a = line(49, 0.01)
    found = spectral_newton.invert(a, num_iters=20)
    assert relative(found, torch.linalg.inv(ridged(a))) > 0.5


@pytest.mark.parametrize("spacing", [2.0, 0.5, 0.2, 0.05, 0.01])
def test_float32_stays_near(spacing: float) -> None:
    a = line(49, spacing).float()
    wanted = newton.invert(a.double(), num_iters=20)
    assert relative(spectral_newton.invert(a, num_iters=20), wanted) < 2e-4


def test_without_a_ridge_round_off_does_not_grow() -> None:
    """Rank 25 of 49: Newton in float32 is lost before step 80, this is where it was."""
    points = torch.randn(49, 25, generator=torch.Generator().manual_seed(4))
    a = (points.abs() @ points.abs().mT)[None, None]
    lost = newton.invert(a, num_iters=80, ridge=0.0)
    assert not bool(torch.isfinite(lost).all())
    kept = spectral_newton.invert(a, num_iters=20, ridge=0.0)
    assert bool(torch.isfinite(kept).all())


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_an_eigenvalue_that_is_nothing_to_its_dtype_stays_finite(dtype: torch.dtype) -> None:
    a = torch.diag(torch.tensor([1e-30, 1e-3, 1.0], dtype=dtype))[None, None]
    found = spectral_newton.invert(a, num_iters=2000, ridge=0.0)
    assert bool(torch.isfinite(found).all())


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_any_number_of_steps_is_finite(dtype: torch.dtype) -> None:
    a = torch.diag(torch.tensor([0.0, 1e-3, 1.0], dtype=dtype))[None, None]
    found = spectral_newton.invert(a, num_iters=1000, ridge=0.0)
    assert torch.allclose(found[0, 0].diagonal(), torch.tensor([0.0, 1e3, 1.0], dtype=dtype))


def test_steps_that_overshoot_do_so_as_newtons_do() -> None:
    """αw² above 1, where 1 - αw² is negative and its powers are not."""
    a = torch.tensor([[[[1.0, 0.0], [0.0, 0.97]]]]).double()
    for steps in (1, 2, 3):
        wanted = newton.invert(a, num_iters=steps)
        assert relative(spectral_newton.invert(a, num_iters=steps), wanted) < 1e-14


def test_it_costs_less_than_twenty_steps() -> None:
    assert spectral_newton.flops(49, 20) < newton.flops(49, 20) / 7
