"""What every solver keeps, whatever it computes: widths, gradients, counts, refusals, no quiet NaN.

Broken on purpose, each of these turned a test here red: the matrix not widened, autocast left on,
the implicit gradient's sign, the ridge left out of one solver, one product more in a count, the
gradient left out of a count, the failed factorisation's mark ignored, a NaN dropped by the cut-off,
`unrolled` taken for implicit, the check of num_iters removed.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from matrices import DIRECT, ITERATIVE, SOLVERS, kernel, load, relative, ridged
from torch import Tensor

from softbench import plugins
from softbench.metrics._dispatch import DispatchCounter

WAYS = [(name, "implicit") for name in SOLVERS] + [(name, "unrolled") for name in ITERATIVE]


def test_these_are_all_solvers() -> None:
    assert plugins.names("inverse") == sorted(SOLVERS)


@pytest.mark.parametrize("name", SOLVERS)
@pytest.mark.parametrize("ridge", [0.0, 0.01, 0.05])
def test_well_conditioned_matrices_are_inverted(name: str, ridge: float) -> None:
    a = kernel(scale=2.0)
    found = load(name).invert(a, num_iters=30, ridge=ridge)
    assert relative(found, torch.from_numpy(np.linalg.inv(ridged(a, ridge).numpy()))) < 1e-12


@pytest.mark.parametrize("name", SOLVERS)
def test_the_ridge_is_0_01_unless_told(name: str) -> None:
    a = kernel(scale=2.0)
    told = load(name).invert(a, num_iters=7, ridge=0.01)
    assert torch.equal(load(name).invert(a, num_iters=7), told)


@pytest.mark.parametrize("name", SOLVERS)
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float32])
def test_narrow_matrices_are_inverted_in_float32(name: str, dtype: torch.dtype) -> None:
    a = kernel(scale=2.0).to(dtype)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        found = load(name).invert(a, num_iters=20)
    assert found.dtype == torch.float32
    assert relative(found, torch.linalg.inv(ridged(a.double()))) < 1e-5


@pytest.mark.parametrize("name", SOLVERS)
def test_the_implicit_gradient_is_that_of_an_inverse_with_this_result(name: str) -> None:
    a = kernel(scale=1.0).requires_grad_()
    g = torch.randn(a.shape, generator=torch.Generator().manual_seed(2)).double()
    x = load(name).invert(a, num_iters=4)
    (found,) = torch.autograd.grad(x, a, g)
    assert relative(found, -x.detach().mT @ g @ x.detach().mT) < 1e-14


@pytest.mark.parametrize("name", ITERATIVE)
def test_the_unrolled_gradient_is_that_of_the_steps(name: str) -> None:
    a = kernel(scale=1.0, m=3, batch_size=1, num_heads=1).requires_grad_()
    assert torch.autograd.gradcheck(
        lambda x: load(name).invert(x, num_iters=3, gradient="unrolled"), (a,)
    )


@pytest.mark.parametrize(("name", "gradient"), WAYS)
@pytest.mark.parametrize("mode", ["forward", "forward_backward"])
def test_flops_equal_a_dispatch_count(name: str, gradient: str, mode: str) -> None:
    """On meta tensors, so that a backward pass without values works too."""
    backward = mode == "forward_backward"
    a = torch.empty(2, 3, 7, 7, device="meta", requires_grad=backward)
    with DispatchCounter() as counter:
        x = load(name).invert(a, num_iters=6, gradient=gradient)
        if backward:
            torch.autograd.backward(x, torch.empty_like(x))
    formula = load(name).flops(7, 6, mode=mode, gradient=gradient)
    assert 6 * formula == counter.total
    assert (a.grad is not None) is backward


@pytest.mark.parametrize("name", DIRECT)
def test_a_nominal_count_says_so(name: str) -> None:
    assert "nominal" in (load(name).flops.__doc__ or "").lower()
    assert load(name).flops(49, 1) == load(name).flops(49, 20)


@pytest.mark.parametrize(
    ("name", "flops"),
    [
        ("newton", 20 * 2 * 2 * 49**3),
        ("newton_spd", 20 * 2 * 2 * 49**3),
        ("hyperpower", 20 * 4 * 2 * 49**3),
        ("cholesky", 49**3 + 49**2 + 49),
        ("spectral_newton", 11 * 49**3),
        ("svd", 23 * 49**3),
    ],
)
def test_flops_at_the_size_of_soft(name: str, flops: int) -> None:
    assert load(name).flops(49, 20) == flops


@pytest.mark.parametrize("name", SOLVERS)
@pytest.mark.parametrize("wrong", [float("nan"), float("inf")])
def test_what_is_not_finite_never_leaves_finite(name: str, wrong: float) -> None:
    a = kernel(scale=2.0)
    a[1, 2, 4, 3] = a[1, 2, 3, 4] = wrong
    try:
        found = load(name).invert(a, num_iters=20)
    except RuntimeError:  # what torch.linalg raises
        return
    assert not bool(torch.isfinite(found[1, 2]).all())


@pytest.mark.parametrize(("name", "made"), [("spectral_newton", "eigh"), ("svd", "svd")])
def test_a_factorisation_of_nan_gives_nan(
    name: str, made: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Some libraries answer NaN where others raise."""
    factorise = getattr(torch.linalg, made)

    def without_values(a: Tensor) -> tuple[Tensor, ...]:
        return tuple(part * torch.nan if part.ndim == 3 else part for part in factorise(a))

    monkeypatch.setattr(torch.linalg, made, without_values)
    assert bool(torch.isnan(load(name).invert(kernel(scale=2.0), num_iters=20)).all())


@pytest.mark.parametrize("name", SOLVERS)
def test_each_matrix_is_inverted_by_itself(name: str) -> None:
    a = kernel(scale=1.0)
    a[1] = a[1] * 3
    together = load(name).invert(a, num_iters=3)
    alone = torch.stack([load(name).invert(one[None], num_iters=3)[0] for one in a])
    assert relative(together, alone) < 1e-14


@pytest.mark.parametrize("name", [*ITERATIVE, "spectral_newton"])
def test_no_steps_are_refused(name: str) -> None:
    with pytest.raises(ValueError, match=f"num_iters is 0; {name} needs at least 1 step"):
        load(name).invert(kernel(scale=1.0), num_iters=0)


@pytest.mark.parametrize("name", DIRECT)
@pytest.mark.parametrize("gradient", ["unrolled", "exact"])
def test_where_there_are_no_steps_nothing_is_unrolled(name: str, gradient: Any) -> None:
    with pytest.raises(ValueError, match=f"{name} has no steps to differentiate, take 'implicit'"):
        load(name).invert(kernel(scale=1.0), num_iters=1, gradient=gradient)


@pytest.mark.parametrize("name", ITERATIVE)
def test_an_unknown_gradient_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match="gradient is 'exact'; it is 'implicit' or 'unrolled'"):
        load(name).invert(kernel(scale=1.0), num_iters=1, gradient="exact")
