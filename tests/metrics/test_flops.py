"""FLOPs: closed form against dispatch count, and the counter against numbers worked out by hand.

Mutants that turned a test here red: unknown operators silently zero; the flash backward counted as
four products; groups ignored in the convolution's backward; solver left in `macs`; recomputation
left in `macs`; the comparison of the two counts removed.
"""

from __future__ import annotations

from typing import Any

import pytest
import torch
from metric_cases import make
from torch import Tensor
from torch.nn import functional as F  # noqa: N812 - the field's own short name

from softbench.attention import softmax
from softbench.case import Case, Measurement, Shape
from softbench.metrics import flops
from softbench.metrics._dispatch import DispatchCounter, UnknownOperatorError
from softbench.protocol import Protocol
from softbench.workload import build

MECHANISMS = [("softmax", "eager"), ("softmax", "sdpa"), ("soft", "eager")]


def measured(case: Case) -> dict[str, Measurement]:
    return flops.measure(build(case), Protocol())


@pytest.mark.parametrize(("attention", "backend"), MECHANISMS)
@pytest.mark.parametrize("level", ["operator", "layer"])
@pytest.mark.parametrize("mode", ["forward", "forward_backward"])
def test_closed_form_and_dispatch_agree(
    attention: str, backend: str, level: str, mode: str
) -> None:
    found = measured(make(attention, backend=backend, level=level, mode=mode))["flops"]
    assert found.values[0] == sum(found.detail["by_operator"].values()) > 0


@pytest.mark.parametrize("backend", ["eager", "sdpa"])
def test_softmax_forward_is_two_products_of_the_scores(backend: str) -> None:
    shape = Shape(batch_size=2, num_heads=3, seq_len=50, head_dim=8)
    found = measured(make(shape=shape, backend=backend))
    assert found["flops"].values == [4 * 2 * 3 * 50**2 * 8]
    assert found["macs"].values == [2 * 2 * 3 * 50**2 * 8]


def test_flash_backward_computes_the_scores_once_more() -> None:
    eager = measured(make(mode="forward_backward"))["flops"]
    fused = measured(make(mode="forward_backward", backend="sdpa"))["flops"]
    product = 2 * 8 * 196**2 * 64
    assert (eager.values[0], fused.values[0]) == (6 * product, 7 * product)
    assert fused.detail["model_flops"] == eager.values[0]


def test_macs_leave_out_norms_solver_and_recomputation() -> None:
    found = measured(make("soft", params={"num_landmarks": 49}))
    terms = found["flops"].detail["terms"]
    assert terms["norms"] > 0
    left = found["flops"].values[0] - terms["norms"] - terms["solver"]
    assert found["macs"].values == [left // 2]
    assert found["macs_with_newton"].values == [left // 2 + terms["solver"] // 2]
    assert terms["solver"] == 20 * 2 * 2 * 8 * 49**3


def test_macs_do_not_count_recomputation() -> None:
    case = make(mode="forward_backward")
    fused = case.model_copy(update={"backend": "sdpa"})
    assert measured(case)["macs"].values == measured(fused)["macs"].values


def test_counts_that_differ_are_an_error_with_both_numbers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(softmax, "flops", lambda *args, **named: {"products": 7})
    with pytest.raises(
        flops.CountsDifferError, match=rf"says 7 FLOPs.*count {4 * 8 * 196**2 * 64}"
    ):
        measured(make())


def test_an_operator_nobody_counts_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    def attend(q_BHND: Tensor, k_BHND: Tensor, v_BHND: Tensor, **named: Any) -> Tensor:
        inverse: Tensor = torch.linalg.inv(q_BHND.mT @ q_BHND)
        return v_BHND @ inverse

    monkeypatch.setitem(softmax.BACKENDS, "eager", attend)
    with pytest.raises(UnknownOperatorError, match=r"aten\.linalg_inv_ex"):
        measured(make())


@pytest.mark.parametrize(
    "solve",
    [
        torch.linalg.inv, torch.linalg.cholesky, torch.linalg.svd, torch.linalg.eigh,
        torch.linalg.pinv, torch.linalg.qr, torch.cholesky_inverse, torch.linalg.matrix_exp,
        lambda a: torch.linalg.solve(a, a), lambda a: torch.cdist(a, a), torch.fft.fft,
        lambda a: torch.linalg.solve_triangular(a, a, upper=True),
        lambda a: F.bilinear(a, a, a.expand(6, 6, 6)),
    ],
)  # fmt: skip
def test_nothing_dense_passes_as_free(solve: Any) -> None:
    a = torch.empty(6, 6, device="meta")
    counter = DispatchCounter()
    known = (UnknownOperatorError, NotImplementedError)
    try:
        with counter:
            solve(a)
    except known:
        return
    assert counter.total > 0


def counted(function: Any, *tensors: Tensor, backward: bool = False) -> int:
    counter = DispatchCounter()
    with counter:
        output = function(*tensors)
        if backward:
            output.backward(torch.empty_like(output))
    return counter.total


def meta(*sizes: int) -> Tensor:
    return torch.empty(*sizes, device="meta", requires_grad=True)


def test_products_count_two_per_multiply_add() -> None:
    assert counted(torch.mm, meta(3, 5), meta(5, 7)) == 2 * 3 * 5 * 7
    assert counted(torch.matmul, meta(2, 4, 3, 5), meta(2, 4, 5, 7)) == 2 * 8 * 3 * 5 * 7
    assert counted(F.linear, meta(3, 5), meta(7, 5), meta(7)) == 2 * 3 * 5 * 7
    assert counted(torch.baddbmm, meta(2, 3, 7), meta(2, 3, 5), meta(2, 5, 7)) == 2 * 2 * 105
    assert counted(torch.addbmm, meta(3, 7), meta(2, 3, 5), meta(2, 5, 7)) == 2 * 2 * 105
    assert counted(torch.mv, meta(3, 5), meta(5)) == 2 * 3 * 5
    assert counted(torch.dot, meta(5), meta(5)) == 2 * 5
    assert counted(torch.mm, meta(3, 5), meta(5, 7), backward=True) == 3 * 2 * 3 * 5 * 7


@pytest.mark.parametrize("groups", [1, 2, 4])
def test_convolution_counts_every_tap_and_its_backward_twice_that(groups: int) -> None:
    x, weight = meta(2, 4, 9, 9), meta(8, 4 // groups, 3, 3)
    forward = 2 * (2 * 8 * 4 * 4) * (4 // groups * 9)

    def convolve(image: Tensor, kernel: Tensor) -> Tensor:
        return F.conv2d(image, kernel, stride=2, groups=groups)

    assert counted(convolve, x, weight) == forward
    assert counted(convolve, x, weight, backward=True) == 3 * forward
    assert counted(convolve, x.detach(), weight, backward=True) == 2 * forward


def test_transposed_convolution_counts_every_tap_of_its_input() -> None:
    assert counted(F.conv_transpose2d, meta(1, 4, 5, 5), meta(4, 6, 3, 3)) == 2 * 4 * 25 * 6 * 9


def test_elementwise_work_views_and_reductions_are_outside_the_boundary() -> None:
    def light(x: Tensor) -> Tensor:
        y = F.gelu(F.layer_norm(x.transpose(1, 2), (6,)).softmax(-1)).clamp(min=0).exp()
        return F.adaptive_avg_pool2d(torch.cat([y, y])[None], 3).sum()

    assert counted(light, meta(4, 6, 8), backward=True) == 0
