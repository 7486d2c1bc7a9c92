"""Newton's iteration against the released code's values, step by step, and against its limits.

Broken on purpose, each of these turned a test here red: α with 2 in place of 0.9·2, α from the
matrix with its ridge, α over the whole batch, no ridge, ridge of 0.02, X_0 = αA, one step more or
less, gradient without its sign, gradient without transposes, autocast left on (forward, backward),
TF32 left on or the setting not put back, α detached in the unrolled gradient, a second derivative
let pass, one product fewer in the count.
"""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.utils.flop_counter import FlopCounterMode

from softbench.inverse import newton

CASES = ("m8", "m16_hard")
GRADIENTS: tuple[Literal["implicit", "unrolled"], ...] = ("implicit", "unrolled")


def relative(found: Tensor, wanted: Tensor) -> float:
    return float((found.detach().double() - wanted).norm() / wanted.norm())


def matrices(packed: Tensor, m: int) -> Tensor:
    """Symmetric [..., m, m] of stored upper triangles; others are stored whole already."""
    if packed.shape[-1] == m:
        return packed
    full = packed.new_zeros(*packed.shape[:-1], m, m)
    rows, columns = (torch.from_numpy(index) for index in np.triu_indices(m))
    full[..., rows, columns] = packed
    full[..., columns, rows] = packed
    return full


def kernel(scale: float, m: int = 8, batch_size: int = 2) -> Tensor:
    """Gaussian kernels of random points: the wider they lie, the better conditioned."""
    points = scale * torch.randn(batch_size, 1, m, 3, generator=torch.Generator().manual_seed(0))
    return torch.exp(-torch.cdist(points.double(), points.double()).square() / 2)


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("gradient", GRADIENTS)
def test_every_iteration_equals_the_released_code(golden: Any, case: str, gradient: Any) -> None:
    values = golden("newton", case)
    m = values["cot"].shape[-1]
    a = matrices(values["A"], m)
    for steps, wanted in enumerate(matrices(values["X"], m), start=1):
        found = newton.invert(a, num_iters=steps, gradient=gradient)
        assert relative(found, wanted) < 1e-9, f"step {steps}"


@pytest.mark.parametrize("case", CASES)
def test_float32_stays_near(golden: Any, case: str) -> None:
    values = golden("newton", case)
    m = values["cot"].shape[-1]
    a = matrices(values["A"], m).float()
    for steps, wanted in enumerate(matrices(values["X"], m), start=1):
        assert relative(newton.invert(a, num_iters=steps), wanted) < 8e-5, f"step {steps}"


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize(("gradient", "name"), [("implicit", "d_A"), ("unrolled", "unrolled_d_A")])
@pytest.mark.parametrize(("dtype", "bound"), [(torch.float64, 1e-7), (torch.float32, 4e-4)])
def test_gradients_equal_the_released_code(
    golden: Any, case: str, gradient: Any, name: str, dtype: torch.dtype, bound: float
) -> None:
    values = golden("newton", case)
    m = values["cot"].shape[-1]
    a = matrices(values["A"], m).to(dtype).requires_grad_()
    x = newton.invert(a, num_iters=20, gradient=gradient)
    torch.autograd.backward(x, values["cot"].to(dtype))
    assert a.grad is not None
    assert relative(a.grad, values[name]) < bound


def test_unconverged_result_is_the_filter_that_the_docstring_says(golden: Any) -> None:
    a = matrices(golden("newton", "m16_hard")["A"], 16)
    ridged = a + 0.01 * torch.eye(16, dtype=torch.float64)
    alpha = 1.8 / a.sum(-1).max() ** 2
    w, vectors = torch.linalg.eigh(ridged)
    filtered = (1 - (1 - alpha * w**2) ** 2**12) / w
    found = newton.invert(a, num_iters=12)
    assert relative(found, vectors * filtered[..., None, :] @ vectors.mT) < 1e-9
    assert relative(found, torch.linalg.inv(ridged)) > 0.1


@pytest.mark.parametrize("gradient", GRADIENTS)
def test_converged_result_is_the_inverse(gradient: Any) -> None:
    a = kernel(scale=2.0)
    true_inverse = torch.linalg.inv(a + 0.01 * torch.eye(8, dtype=torch.float64))
    assert relative(newton.invert(a, num_iters=30, gradient=gradient), true_inverse) < 1e-12


def test_each_matrix_has_its_own_start() -> None:
    a = kernel(scale=1.0)
    a[1] = a[1] * 3
    together = newton.invert(a, num_iters=3)
    alone = torch.cat([newton.invert(one[None], num_iters=3) for one in a])
    assert torch.equal(together, alone)


@pytest.mark.parametrize(("gradient", "num_iters"), [("implicit", 30), ("unrolled", 3)])
def test_gradient_equals_finite_differences(gradient: Any, num_iters: int) -> None:
    """Implicit where it has converged; unrolled wherever it stands."""
    a = kernel(scale=2.0, m=4).requires_grad_()
    assert torch.autograd.gradcheck(
        lambda x: newton.invert(x, num_iters=num_iters, gradient=gradient), (a,)
    )


def test_second_derivative_of_the_implicit_gradient_is_refused() -> None:
    a = kernel(scale=2.0).requires_grad_()
    x = newton.invert(a, num_iters=5)
    with pytest.raises(RuntimeError, match="has no second one; use gradient='unrolled'"):
        torch.autograd.grad(x.sum(), a, create_graph=True)


def test_autocast_and_tf32_do_not_reach_inside() -> None:
    a = kernel(scale=1.0).float().requires_grad_()
    (plain_grad,) = torch.autograd.grad(newton.invert(a, num_iters=20).square().sum(), a)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        x = newton.invert(a, num_iters=20)
        (grad,) = torch.autograd.grad(x.square().sum(), a)
    assert x.dtype == torch.float32
    assert torch.equal(x, newton.invert(a, num_iters=20))
    assert torch.equal(grad, plain_grad)


def test_matmul_precision_is_highest_inside_and_put_back(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[str] = []
    start = newton._start

    def spy(a_BHMM: Tensor) -> Tensor:
        seen.append(torch.get_float32_matmul_precision())
        return start(a_BHMM)

    monkeypatch.setattr(newton, "_start", spy)
    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision("medium")
    try:
        newton.invert(kernel(scale=1.0), num_iters=1)
        after = torch.get_float32_matmul_precision()
    finally:
        torch.set_float32_matmul_precision(before)
    assert (seen, after) == (["highest"], "medium")


@pytest.mark.parametrize("gradient", GRADIENTS)
@pytest.mark.parametrize("mode", ["forward", "forward_backward"])
def test_flops_equal_a_dispatch_count(gradient: Any, mode: Any) -> None:
    a = torch.empty(1, 1, 7, 7, device="meta", requires_grad=mode == "forward_backward")
    with FlopCounterMode(display=False) as counter:
        x = newton.invert(a, num_iters=6, gradient=gradient)
        if mode == "forward_backward":
            torch.autograd.backward(x, torch.empty_like(x))
    assert newton.flops(7, 6, mode=mode, gradient=gradient) == counter.get_total_flops()


@pytest.mark.parametrize(("ridge", "converges"), [(0.05, True), (0.06, False)])
def test_a_ridge_above_a_twentieth_of_the_norm_is_too_large(ridge: float, converges: bool) -> None:
    """The largest eigenvalue of the identity with its ridge is 1 + ridge, α is 1.8."""
    a = torch.eye(5, dtype=torch.float64)[None, None]
    found = newton.invert(a, num_iters=30, ridge=ridge)
    assert (relative(found, a / (1 + ridge)) < 1e-9) is converges


def test_what_is_refused() -> None:
    with pytest.raises(ValueError, match="num_iters is 0; newton needs at least 1 step"):
        newton.invert(kernel(scale=1.0), num_iters=0)
    with pytest.raises(ValueError, match="gradient is 'exact'; it is 'implicit' or 'unrolled'"):
        newton.invert(kernel(scale=1.0), num_iters=1, gradient="exact")  # type: ignore[arg-type]
