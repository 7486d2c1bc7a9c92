"""SOFT against the released code's outputs, landmarks, inverses and gradients.

The value convolution is most of the output, so the attention term is compared by itself too:
the golden output less a convolution computed here, filter by filter, in float64.

Broken on purpose, each of these turned a test here red: α with 2 in place of 0.9·2, α from the
ridged matrix, no ridge, 19 steps, no division of q by D^(1/4), division by √D, landmarks divided by
D^(1/4) again, tokens read column by column, landmarks in column order, LayerNorm left out, its eps
1e-3, tanh-GELU, exp without its ½, P Pᵀ without X, the value convolution with one filter for all
heads, the unrolled gradient in place of the implicit one. Mistakes in α and the ridge turn
tests/inverse/test_newton.py red as well, at the first iteration they touch. Two stay green here and
are held elsewhere: the clamp (tests/attention/test_soft.py), which float64 values do not need, and
the implicit gradient in place of the unrolled one (test_soft.py and test_newton.py), which is the
same where the iteration has converged, as in the rectangular case.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import pytest
import torch
from torch import Tensor
from torch.nn import functional

from softbench.attention import _landmarks, soft
from softbench.attention._gaussian import gaussian_kernel, gaussian_kernel_by_ones, scaled
from softbench.inverse import newton

NAMES = {
    "landmark_conv": "Qlandmark_op.weight",
    "landmark_norm_weight": "Qnorm_act.0.weight",
    "landmark_norm_bias": "Qnorm_act.0.bias",
    "value_conv": "conv.weight",
}
CASES = ("stage3_14x14", "rect_12x8_r4")
PRECISIONS = [(torch.float64, 1e-9, 1e-7), (torch.float32, 7e-5, 6e-4)]


class Released(NamedTuple):
    """One golden case as our call: inputs that want gradients, options, and the values."""

    q: Tensor
    v: Tensor
    weights: dict[str, Tensor]
    grid: tuple[int, int]
    num_landmarks: int
    conv_kernel_size: int
    values: dict[str, Tensor]

    def params(self, **changed: Any) -> soft.Params:
        options: dict[str, Any] = {
            "num_landmarks": self.num_landmarks,
            "landmarks": "conv",
            "conv_kernel_size": self.conv_kernel_size,
        }
        return soft.Params(**options | changed)

    def attend(self, params: soft.Params) -> Tensor:
        return soft.attend(
            self.q, None, self.v, params=params, weights=self.weights, grid=self.grid
        )


@pytest.fixture
def released(golden: Any, golden_meta: Any, request: pytest.FixtureRequest) -> Released:
    case, dtype = request.param
    values, about = golden("soft", case), golden_meta("soft")["cases"][case]
    leaf = {name: tensor.to(dtype, copy=True).requires_grad_() for name, tensor in values.items()}
    return Released(
        q=leaf["q"],
        v=leaf["v"],
        weights={ours: leaf[theirs] for ours, theirs in NAMES.items()},
        grid=(about["H"], about["W"]),
        num_landmarks=about["landmarks"],
        conv_kernel_size=about["conv_kernel"],
        values=values,
    )


def each_precision(cases: tuple[str, ...] = CASES) -> pytest.MarkDecorator:
    return pytest.mark.parametrize(
        ("released", "output_bound", "gradient_bound"),
        [((case, dtype), out, grad) for case in cases for dtype, out, grad in PRECISIONS],
        indirect=["released"],
        ids=[f"{case}-{dtype}" for case in cases for dtype, _, _ in PRECISIONS],
    )


def relative(found: Tensor | None, wanted: Tensor) -> float:
    assert found is not None
    return float((found.detach().double() - wanted).norm() / wanted.norm())


def filtered_values(released: Released) -> Tensor:
    """The value convolution spelt out: an image for each head and channel, a filter a head."""
    v, weights = released.values["v"], released.values["conv.weight"]
    batch_size, num_heads, _, head_dim = v.shape
    out = torch.empty_like(v)
    for b in range(batch_size):
        for h in range(num_heads):
            for d in range(head_dim):
                image = v[b, h, :, d].reshape(1, 1, *released.grid)
                out[b, h, :, d] = functional.conv2d(
                    image, weights[h][None], padding="same"
                ).flatten()
    return out


@each_precision()
def test_outputs(released: Released, output_bound: float, gradient_bound: float) -> None:
    assert relative(released.attend(released.params()), released.values["out"]) < output_bound


@each_precision()
def test_attention_term_by_itself(
    released: Released, output_bound: float, gradient_bound: float
) -> None:
    wanted = released.values["out"] - filtered_values(released)
    assert wanted.norm() > 0.1 * released.values["out"].norm()
    found = released.attend(released.params(conv_kernel_size=0))
    assert relative(found, wanted) < output_bound


@each_precision()
def test_landmarks_in_their_order(
    released: Released, output_bound: float, gradient_bound: float
) -> None:
    landmarks = _landmarks.sample(
        scaled(released.q), "conv", released.num_landmarks, released.weights, released.grid
    )
    assert relative(landmarks, released.values["landmarks"]) < output_bound


@pytest.mark.parametrize("released", [(case, torch.float64) for case in CASES], indirect=True)
@pytest.mark.parametrize("kernel", [gaussian_kernel, gaussian_kernel_by_ones])
def test_inverse_of_the_landmark_kernel(released: Released, kernel: Any) -> None:
    landmarks = released.values["landmarks"]
    x = newton.invert(kernel(landmarks, landmarks), num_iters=20)
    assert relative(x, released.values["inv20"]) < 1e-9


@each_precision()
def test_gradients(released: Released, output_bound: float, gradient_bound: float) -> None:
    out = released.attend(released.params())
    torch.autograd.backward(out, released.values["cot"].to(out.dtype))
    assert relative(released.q.grad, released.values["d_q"]) < gradient_bound
    if "d_v" in released.values:
        assert relative(released.v.grad, released.values["d_v"]) < gradient_bound
    for ours, theirs in NAMES.items():
        found = released.weights[ours].grad
        assert relative(found, released.values[f"d_{theirs}"]) < gradient_bound, ours


@each_precision(("rect_12x8_r4",))
def test_gradients_through_every_step(
    released: Released, output_bound: float, gradient_bound: float
) -> None:
    out = released.attend(released.params(gradient="unrolled"))
    torch.autograd.backward(out, released.values["cot"].to(out.dtype))
    assert relative(released.q.grad, released.values["unrolled_d_q"]) < gradient_bound
    for ours, theirs in NAMES.items():
        if ours != "value_conv":
            found, wanted = released.weights[ours].grad, released.values[f"unrolled_d_{theirs}"]
            assert relative(found, wanted) < gradient_bound, ours
