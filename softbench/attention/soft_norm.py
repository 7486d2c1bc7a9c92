"""SOFT++: SOFT with its landmark kernel normalised on both sides (Lu et al., 2024).

"Softmax-free Linear Transformers", IJCV 2024, arXiv 2207.03341. As in soft, with the landmarks'
row sums `s_i = (Σ_j A_ij)^(-½)`: the output is `(P diag(s) X diag(s)) (Pᵀ v)`, X by Newton steps
from a searched step size, without a ridge. It has no dense limit of its own: with every token
a landmark it is `S D^(-½) S⁻¹ D^(-½) S v`, so no `exact`.

Backends as in soft: `eager` has norms by products with ones, as in the authors' code, and a
gradient that may be subnormal, see `_newton_steps.py`.

Differences from the paper and the authors' code:
- `scope: matrix` is the default: step size and line search of every matrix by itself. The authors'
  (`batch`), which the released weights were trained with, lets the output of one image depend on
  its batch mates; a mechanism measured at another batch size would be another mechanism.
- The search is done with sums in place of products, see `_line_search.py`.
- Clamped distances, float32 or wider inside and the landmarks' defaults are those of soft.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from pydantic import Field
from torch import Tensor, nn

from softbench.attention import (
    _counts,
    _fused,
    _gaussian_counts,
    _landmark_rules,
    _landmarks,
    _line_search,
    _newton_steps,
)
from softbench.attention._fields import ConvKernelSize, Landmarks, NumIters, NumLandmarks
from softbench.attention._gaussian import gaussian_kernel, gaussian_kernel_by_ones
from softbench.attention._multihead import assembled
from softbench.attention._value_conv import convolution_weight, value_convolution
from softbench.case import Level, Mode, Shape, Value
from softbench.inverse._precision import full_precision, widened

RANK: str | None = "num_landmarks"
SHARES_KEYS = True
LEVEL_DEFAULTS: dict[str, dict[str, object]] = {
    "layer": {"landmarks": "conv", "conv_kernel_size": 5}
}


class Params(Value):
    """What SOFT++ lets one choose."""

    num_landmarks: NumLandmarks = 49
    landmarks: Landmarks = "pool"
    num_newton_iters: NumIters = 20
    scope: _line_search.Scope = Field(
        default="matrix", description="what shares a step size: one matrix, or the whole batch"
    )
    conv_kernel_size: ConvKernelSize = 0


def attend(
    q_BHND: Tensor,
    k_BHND: Tensor | None,
    v_BHND: Tensor,
    *,
    params: Params,
    weights: Mapping[str, Tensor],
    grid: tuple[int, int] | None,
) -> Tensor:
    """[B, H, N, D] in the dtype of v, and the value convolution where there is one.

    ValueError: keys are given, or a grid is needed and missing.
    """
    if k_BHND is not None:
        raise ValueError("the keys of soft_norm are its queries; pass None for k")
    q_BHND = q_BHND / q_BHND.shape[-1] ** 0.25
    landmarks_BHMD = _landmarks.sample(
        q_BHND, params.landmarks, params.num_landmarks, weights, grid
    )
    with full_precision(q_BHND.device):
        out_BHND = _low_rank(widened(q_BHND), widened(landmarks_BHMD), widened(v_BHND), params)
    out_BHND = out_BHND.to(v_BHND.dtype)
    if params.conv_kernel_size:
        out_BHND = out_BHND + value_convolution(v_BHND, weights["value_conv"], grid)
    return out_BHND


def inverse(landmarks_BHMD: Tensor, params: Params) -> Tensor:
    """[B, H, M, M]: diag(s) X diag(s) for the kernel of the landmarks, norms by sums."""
    with full_precision(landmarks_BHMD.device):
        a_BHMM = gaussian_kernel(landmarks_BHMD, landmarks_BHMD)
        return _normalised(a_BHMM, _searched(a_BHMM, params, _newton_steps.lean))


BACKENDS = _fused.backends(attend, inverse)
backend_ran = _fused.backend_ran


def landmark_inverse(
    q_BHND: Tensor,
    k_BHND: Tensor | None,
    params: Params,
    weights: Mapping[str, Tensor],
    grid: tuple[int, int] | None,
) -> tuple[Tensor, Tensor]:
    """[B, H, M, M] twice: the landmark kernel, and the X that `attend` takes for its inverse."""
    q_BHND = q_BHND / q_BHND.shape[-1] ** 0.25
    number = params.num_landmarks
    landmarks_BHMD = _landmarks.sample(q_BHND, params.landmarks, number, weights, grid)
    with full_precision(q_BHND.device):
        return _inverted(widened(landmarks_BHMD), params)


def weights(shape: Shape, params: Params, generator: torch.Generator) -> dict[str, Tensor]:
    """The landmarks' weights or draw, and `value_conv` [H, 1, k, k] where k is not 0."""
    drawn = _landmarks.sampling_weights(shape, params.landmarks, params.num_landmarks, generator)
    size = params.conv_kernel_size
    if size:
        drawn["value_conv"] = convolution_weight(shape.num_heads, size, size, generator)
    return drawn


def supports(shape: Shape, params: Params) -> str | None:
    """Why `shape` cannot have these landmarks or this convolution; None if it can."""
    if params.conv_kernel_size and shape.grid is None:
        return "a value convolution needs a token grid; set shape.grid or conv_kernel_size: 0"
    return _landmark_rules.refusal(shape, params.num_landmarks, params.landmarks)


def flops(
    shape: Shape, params: Params, *, level: Level, backend: str, mode: Mode
) -> dict[str, int]:
    """FLOPs by term, forward or with the gradients of every input and weight."""
    number, kind, size = params.num_landmarks, params.landmarks, params.conv_kernel_size
    solution = _line_search.flops(number, params.num_newton_iters, passes=_counts.passes(mode))
    return _gaussian_counts.terms(
        shape, number, kind, size, solution=solution, level=level, backend=backend, mode=mode
    )


class Attention(nn.Module):
    """SOFT++ self-attention, [B, N, C] to [B, N, C] with C = num_heads · head_dim."""

    def __init__(
        self, shape: Shape, params: Params, *, backend: str = "eager", generator: torch.Generator
    ) -> None:
        """Draw projections and weights from `generator`. Raises Unsupported: no such stride."""
        super().__init__()
        attend = BACKENDS[backend]
        self.heads = assembled(self, "qv", attend, weights, shape, params, generator)

    def forward(self, x_BNC: Tensor) -> Tensor:
        """Project (keys are the queries), attend with every head, project back."""
        return self.heads(self, x_BNC)


def _low_rank(q_BHND: Tensor, landmarks_BHMD: Tensor, v_BHND: Tensor, params: Params) -> Tensor:
    """[B, H, N, D]: (P diag(s) X diag(s)) (Pᵀ v)."""
    p_BHNM = gaussian_kernel_by_ones(q_BHND, landmarks_BHMD)
    middle_BHMM = _normalised(*_inverted(landmarks_BHMD, params))
    return (p_BHNM @ middle_BHMM) @ (p_BHNM.mT @ v_BHND)


def _inverted(landmarks_BHMD: Tensor, params: Params) -> tuple[Tensor, Tensor]:
    """[B, H, M, M] twice: the kernel A of the landmarks, and X."""
    a_BHMM = gaussian_kernel_by_ones(landmarks_BHMD, landmarks_BHMD)
    return a_BHMM, _searched(a_BHMM, params)


def _searched(
    a_BHMM: Tensor, params: Params, steps: _newton_steps.Steps = _newton_steps.plain
) -> Tensor:
    return _line_search.invert_by_line_search(
        a_BHMM, num_iters=params.num_newton_iters, scope=params.scope, steps=steps
    )


def _normalised(a_BHMM: Tensor, x_BHMM: Tensor) -> Tensor:
    """diag(s) X diag(s) with s from the row sums of A."""
    scale_BHM = a_BHMM.sum(-1).rsqrt()
    return scale_BHM[..., :, None] * x_BHMM * scale_BHM[..., None, :]
