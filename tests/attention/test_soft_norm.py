"""SOFT++ against the released code's values, its limit, its line search, and what it refuses.

Broken on purpose, each of these turned a test here red: no normalisation, s on one side only,
D⁻¹ for D^(-½), a ridge of 0.01, no halving, a halving too many, halving at 1.1, the diagonal of A²
counted twice, α with 0.9 · 2, α detached, α of the matrix where the batch was asked for and the
other way round, another default scope, D^½ for D^¼, the clamp left out, autocast left on.
"""

from __future__ import annotations

from typing import Any, get_args

import numpy as np
import pytest
import torch
from mechanism_checks import attend, leaves, relative, seeded, tokens
from pydantic import ValidationError
from torch import Tensor

from softbench.attention import _landmarks, soft_norm
from softbench.attention._line_search import Scope, invert_by_line_search, step_size
from softbench.case import Shape

PRECISIONS = [(torch.float64, 1e-9, 1e-7), (torch.float32, 4e-6, 2e-5)]
SCOPES: tuple[Scope, ...] = get_args(Scope)
NAMES = {
    "landmark_conv": "Qlandmark_op.weight",
    "landmark_norm_weight": "Qnorm_act.0.weight",
    "landmark_norm_bias": "Qnorm_act.0.bias",
    "value_conv": "conv.weight",
}
RELEASED = soft_norm.Params(num_landmarks=6, landmarks="conv", scope="batch", conv_kernel_size=5)


def golden_call(params: soft_norm.Params, leaf: dict[str, Tensor]) -> Tensor:
    weights = {ours: leaf[theirs] for ours, theirs in NAMES.items()}
    return soft_norm.attend(
        leaf["q"], None, leaf["v"], params=params, weights=weights, grid=(12, 8)
    )


@pytest.mark.parametrize(("dtype", "output_bound", "gradient_bound"), PRECISIONS)
def test_goldens(
    golden: Any, dtype: torch.dtype, output_bound: float, gradient_bound: float
) -> None:
    values = golden("soft_norm", "rect_12x8_r4")
    leaf = leaves(values, dtype)
    out = golden_call(RELEASED, leaf)
    torch.autograd.backward(out, leaf["cot"].detach())
    assert relative(out, values["out"]) < output_bound
    for name in ("q", "v", *NAMES.values()):
        assert relative(leaf[name].grad, values[f"d_{name}"]) < gradient_bound, name


@pytest.mark.parametrize(("dtype", "output_bound", "gradient_bound"), PRECISIONS)
def test_attention_term_by_itself(
    golden: Any, dtype: torch.dtype, output_bound: float, gradient_bound: float
) -> None:
    values = golden("soft_norm", "rect_12x8_r4")
    params = RELEASED.model_copy(update={"conv_kernel_size": 0})
    assert values["out_noconv"].norm() > 0.1 * values["out"].norm()
    assert relative(golden_call(params, leaves(values, dtype)), values["out_noconv"]) < output_bound


def test_landmarks(golden: Any) -> None:
    values = golden("soft_norm", "rect_12x8_r4")
    weights = {ours: values[theirs] for ours, theirs in NAMES.items()}
    found = _landmarks.sample(values["q"] / 8**0.25, "conv", 6, weights, (12, 8))
    assert relative(found, values["landmarks"]) < 1e-9


def matrices(packed: Tensor, m: int) -> Tensor:
    """Symmetric [..., m, m] of stored upper triangles; others are stored whole already."""
    if packed.shape[-1] == m:
        return packed
    full = packed.new_zeros(*packed.shape[:-1], m, m)
    rows, columns = (torch.from_numpy(index) for index in np.triu_indices(m))
    full[..., rows, columns] = packed
    full[..., columns, rows] = packed
    return full


@pytest.mark.parametrize("case", ["m8", "m16_hard"])
def test_every_iteration_and_its_gradient(golden: Any, golden_meta: Any, case: str) -> None:
    values = golden("newton", case)
    m = values["cot"].shape[-1]
    a = matrices(values["A"], m).requires_grad_()
    steps = golden_meta("newton")["cases"][case]["norm_iters"]
    for num_iters, wanted in zip(steps, matrices(values["Xnorm"], m), strict=True):
        found = invert_by_line_search(a, num_iters=num_iters, scope="batch")
        assert relative(found, wanted) < 1e-9, f"step {num_iters}"
    torch.autograd.backward(found, values["cot"])
    assert relative(a.grad, values["norm_d_A"]) < 1e-7


def searched(a_BHMM: Tensor) -> tuple[float, int]:
    """The released code's search, spelt out: α for all matrices, and how often it was halved."""
    m = a_BHMM.shape[-1]
    alpha, halvings = 2 / float(a_BHMM.sum(-1).max()) ** 2, 0
    while halvings < 10:
        residual = torch.eye(m) - a_BHMM @ (alpha * a_BHMM)
        if float(residual.abs().sum(-2).max()) <= 1.01:
            break
        alpha, halvings = alpha / 2, halvings + 1
    return alpha, halvings


def kernels(m: int, *spreads: float) -> Tensor:
    """[len(spreads), 1, m, m] Gaussian kernels of points that lie as wide as told."""
    points = torch.stack([tokens(1, m, 3, seed=i, scale=s) for i, s in enumerate(spreads)])
    return torch.exp(-torch.cdist(points, points).square() / 2)


def test_search_is_the_one_with_matrices() -> None:
    """Kernels of every kind, from the identity (no halving) to all ones (eight)."""
    a = kernels(9, 100.0, 2.0, 1.0, 0.5, 0.1, 1e-3)
    by_matrix = step_size(a, "matrix")
    counts = []
    for matrix, found in zip(a, by_matrix.flatten(), strict=True):
        wanted, halvings = searched(matrix[None])
        counts.append(halvings)
        assert abs(float(found) / wanted - 1) < 1e-12
    assert counts[0] == 0
    assert counts[-1] == 8
    assert len(set(counts)) > 3
    assert abs(float(step_size(a, "batch")) / searched(a)[0] - 1) < 1e-12


@pytest.mark.parametrize("scope", SCOPES)
def test_output_depends_on_the_batch_where_it_was_asked_for(scope: Scope) -> None:
    spreads = torch.tensor([0.3, 3.0]).double()[:, None, None, None]
    q, v = tokens(2, 2, 36, 4) * spreads, tokens(2, 2, 36, 4, seed=1)
    options: dict[str, Any] = {"num_landmarks": 9, "num_newton_iters": 5, "scope": scope}
    together = attend(soft_norm, q, None, v, **options)
    alone = torch.cat([attend(soft_norm, q[b, None], None, v[b, None], **options) for b in (0, 1)])
    if scope == "matrix":
        assert relative(together, alone) < 1e-13
    else:
        assert relative(together, alone) > 1e-2
    assert soft_norm.Params().scope == "matrix"


def test_every_token_a_landmark_is_the_normalised_inverse() -> None:
    """M = N: S D^(-½) S⁻¹ D^(-½) S v, once the steps have converged."""
    q, v = tokens(1, 2, 12, 4, scale=2), tokens(1, 2, 12, 4, seed=1)
    s = torch.exp(-torch.cdist(q, q).square() / (2 * 4**0.5))
    d = s.sum(-1, keepdim=True).rsqrt()
    wanted = s @ (d * (torch.linalg.inv(s) @ (d * (s @ v))))
    options: dict[str, Any] = {"num_landmarks": 12, "landmarks": "first"}
    assert relative(attend(soft_norm, q, None, v, num_newton_iters=60, **options), wanted) < 1e-8
    assert not hasattr(soft_norm, "exact")


def test_landmark_inverse_is_the_one_that_attend_takes() -> None:
    q, v = tokens(1, 2, 12, 4, scale=2), tokens(1, 2, 12, 4, seed=1)
    params = soft_norm.Params(num_landmarks=5, landmarks="first")
    a, x = soft_norm.landmark_inverse(q, None, params, {}, None)
    p = torch.exp(-torch.cdist(q, q[:, :, :5]).square() / (2 * 4**0.5))
    assert relative(a, p[:, :, :5]) < 1e-12
    s = a.sum(-1, keepdim=True).rsqrt()
    out = attend(soft_norm, q, None, v, num_landmarks=5, landmarks="first")
    assert relative(out, p @ (s * (x @ (s * (p.mT @ v))))) < 1e-12


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_narrow_inputs(recorded_operators: Any, dtype: torch.dtype) -> None:
    """Finite, in the dtype of v, near float32, the kernels in float32 and within 1."""
    q, v = tokens(1, 2, 64, 16, scale=2).to(dtype), tokens(1, 2, 64, 16, seed=1).to(dtype)
    with recorded_operators() as operators:
        out = attend(soft_norm, q, None, v, num_landmarks=16, conv_kernel_size=3)
    made = [result for name, result in operators if name in ("exp", "bmm")]
    assert all(kernel.dtype == torch.float32 for kernel in made)
    exponentials = [result for name, result in operators if name == "exp"]
    assert len(exponentials) == 2
    assert all(kernel.max() <= 1 for kernel in exponentials)
    assert out.dtype == dtype
    wide = attend(soft_norm, q.float(), None, v.float(), num_landmarks=16, conv_kernel_size=3)
    assert relative(out, wide) < 0.05


def test_kernels_are_never_above_one(recorded_operators: Any) -> None:
    """Tokens far from the origin, landmarks among them: squared distances round below zero."""
    q = tokens(1, 1, 200, 64, scale=60).float()
    with recorded_operators() as operators:
        attend(soft_norm, q, None, q, num_landmarks=49, landmarks="first")
    made = [result for name, result in operators if name == "exp"]
    assert len(made) == 2
    assert all(kernel.max() <= 1 for kernel in made)


def test_autocast_stays_out_of_the_kernel_and_the_inverse() -> None:
    q, v = tokens(1, 2, 64, 16).float(), tokens(1, 2, 64, 16, seed=1).float()
    wanted = attend(soft_norm, q, None, v, num_landmarks=16)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert torch.equal(attend(soft_norm, q, None, v, num_landmarks=16), wanted)


def test_what_a_grid_cannot_give_is_unsupported() -> None:
    layer = soft_norm.Params(**soft_norm.LEVEL_DEFAULTS["layer"])  # type: ignore[arg-type]
    assert layer.landmarks == "conv"
    assert "needs a token grid" in str(soft_norm.supports(Shape(seq_len=197), layer))
    assert "nearest: 49" in str(
        soft_norm.supports(Shape(seq_len=196), soft_norm.Params(num_landmarks=50, landmarks="conv"))
    )


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"scope": "head"}, "'matrix' or 'batch'"),
        ({"num_newton_iters": 0}, "greater than or equal to 1"),
        ({"conv_kernel_size": 4}, "4 is even; take 3 or 5, or 0 for none"),
        ({"ridge": 0.01}, "Extra inputs are not permitted"),
    ],
)
def test_params_refuse(fields: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError) as error:
        soft_norm.Params(**fields)
    assert message in str(error.value)


def test_keys_are_refused() -> None:
    q = tokens(1, 1, 9, 4)
    with pytest.raises(ValueError, match="keys of soft_norm are its queries; pass None for k"):
        attend(soft_norm, q, q, q, num_landmarks=4)


def test_weights_of_a_layer_follow_the_seed() -> None:
    shape = Shape(batch_size=2, num_heads=3, seq_len=49, head_dim=4)
    params = soft_norm.Params(landmarks="conv", conv_kernel_size=5)
    first, again, other = (
        soft_norm.Attention(shape, params, generator=seeded(seed)).state_dict()
        for seed in (0, 0, 1)
    )
    assert all(torch.equal(first[name], again[name]) for name in first)
    assert not any(torch.equal(first[f"{k}_proj.bias"], other[f"{k}_proj.bias"]) for k in "qv")
