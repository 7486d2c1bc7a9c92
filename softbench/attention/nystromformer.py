"""Nyströmformer: softmax attention through landmarks and a pseudo-inverse (Xiong et al., 2021).

"Nyströmformer: A Nyström-Based Algorithm for Approximating Self-Attention", AAAI 2021, arXiv
2102.03902, eq. 13. With q and k divided by D^¼ and q̄, k̄ the means of M contiguous segments:
`F1 = softmax(q k̄ᵀ)`, `A = softmax(q̄ k̄ᵀ)`, `F3 = softmax(q̄ kᵀ)`, out `(F1 Z)(F3 v) + conv(v)`
with Z six steps of an iteration for the pseudo-inverse of A.

Backends: `eager`, the formula as it stands; `fused`, the same function on the CPU without N × M
matrices; `auto`, the best that runs.

Differences from the paper and the authors' code:
- `pinv_init: exact` is the default: the iteration starts from each matrix's own norm. The authors'
  first code (`original`) takes one norm for the batch, and outputs depend on batch mates.
- Where M does not divide N the last N mod M segments are one token longer, where the authors' first
  code refuses and some ports pad with zeros, which are tokens too.
- `num_landmarks` is 49 by default, the number that SOFT has; the paper has 32 to 64.
- `landmarks: pool` is not the paper's: means of windows of the token grid, √M × √M of them, as Lu
  et al. (SOFT, arXiv 2110.11945, Table 2) give Nyströmformer in their backbone.
- The value convolution of k taps along the tokens is off at operator level and has 33 taps at layer
  level, as in the authors' code.
- Landmarks, iteration and products run in float32 or wider, autocast and TF32 off: entries of Z are
  large and of both signs.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Literal

import torch
from pydantic import Field
from torch import Tensor, nn

from softbench.attention import (
    _backends,
    _counts,
    _landmark_rules,
    _nystromformer_fused,
    _pinv,
    softmax,
)
from softbench.attention._fields import ConvKernelSize, NumIters, NumLandmarks
from softbench.attention._multihead import assembled
from softbench.attention._value_conv import convolution_weight, value_convolution
from softbench.case import Level, Mode, Shape, Value
from softbench.inverse._precision import full_precision, widened

RANK: str | None = "num_landmarks"
LEVEL_DEFAULTS: dict[str, dict[str, object]] = {"layer": {"conv_kernel_size": 33}}


class Params(Value):
    """What Nyströmformer lets one choose."""

    num_landmarks: NumLandmarks = 49
    num_pinv_iters: NumIters = 6
    pinv_init: _pinv.PinvInit = Field(
        default="exact", description="start from each matrix's own norm, or from the batch's"
    )
    conv_kernel_size: ConvKernelSize = 0
    landmarks: Literal["segments", "pool"] = Field(
        default="segments", description="means of tokens in a row, or of windows of the grid"
    )


def attend(
    q_BHND: Tensor,
    k_BHND: Tensor | None,
    v_BHND: Tensor,
    *,
    params: Params,
    weights: Mapping[str, Tensor],
    grid: tuple[int, int] | None,
) -> Tensor:
    """[B, H, N, D] in the dtype of v; eq. 13. ValueError without keys."""
    k_BHND = _keys(k_BHND)
    with full_precision(q_BHND.device):
        out_BHND = _low_rank(widened(q_BHND), widened(k_BHND), widened(v_BHND), params, grid)
    out_BHND = out_BHND.to(v_BHND.dtype)
    if params.conv_kernel_size:
        sequence = (v_BHND.shape[2], 1)
        out_BHND = out_BHND + value_convolution(v_BHND, weights["value_conv"], sequence)
    return out_BHND


def inverse(q_means_BHMD: Tensor, k_means_BHMD: Tensor, params: Params) -> Tensor:
    """[B, H, M, M]: Z, from landmarks divided by D^¼."""
    return _inverted(q_means_BHMD, k_means_BHMD, params)[1]


BACKENDS = _backends.offered(
    attend, partial(_nystromformer_fused.attend, inverse), _backends.not_on_cpu
)
backend_ran = partial(_backends.ran, _backends.not_on_cpu)


def exact(q_BHND: Tensor, k_BHND: Tensor | None, v_BHND: Tensor, params: Params) -> Tensor:
    """[B, H, N, D]: softmax attention, which M = N and a converged Z give; no convolution."""
    nothing = softmax.Params()
    return softmax.attend(q_BHND, k_BHND, v_BHND, params=nothing, weights={}, grid=None)


def landmark_inverse(
    q_BHND: Tensor,
    k_BHND: Tensor | None,
    params: Params,
    weights: Mapping[str, Tensor],
    grid: tuple[int, int] | None,
) -> tuple[Tensor, Tensor]:
    """[B, H, M, M] twice: A, and the Z that `attend` takes for its pseudo-inverse."""
    scale = q_BHND.shape[-1] ** -0.25
    with full_precision(q_BHND.device):
        q_means_BHMD, k_means_BHMD = (
            _nystromformer_fused.means(widened(x_BHND) * scale, params, grid)
            for x_BHND in (q_BHND, _keys(k_BHND))
        )
        return _inverted(q_means_BHMD, k_means_BHMD, params)


def weights(shape: Shape, params: Params, generator: torch.Generator) -> dict[str, Tensor]:
    """`value_conv` [H, 1, k, 1] where k is not 0."""
    size = params.conv_kernel_size
    if not size:
        return {}
    return {"value_conv": convolution_weight(shape.num_heads, size, 1, generator)}


def supports(shape: Shape, params: Params) -> str | None:
    """Why `shape` cannot have so many landmarks; None if it can."""
    kind = "pool" if params.landmarks == "pool" else "first"
    return _landmark_rules.refusal(shape, params.num_landmarks, kind)


def flops(
    shape: Shape, params: Params, *, level: Level, backend: str, mode: Mode
) -> dict[str, int]:
    """FLOPs by term: scores of F1, A and F3 and what is made of them (`products`), and Z.

    `fused` multiplies Z by F3 v where eager has F1 Z, and its backward makes F1 and F3 once more.
    """
    times, heads = _counts.passes(mode), shape.batch_size * shape.num_heads
    tokens, landmarks, width = shape.seq_len, params.num_landmarks, shape.head_dim
    by_tokens, between = (2 * heads * count * landmarks * width for count in (tokens, landmarks))
    by_inverse = between if backend == "fused" else 2 * heads * tokens * landmarks**2
    again = backend == "fused" and mode == "forward_backward"
    return {
        "projections": _counts.projections(shape, 4, mode) if level == "layer" else 0,
        "solver": heads * _pinv.flops(landmarks, params.num_pinv_iters, passes=times),
        "products": times * (4 * by_tokens + between + by_inverse),
        "convolution": _counts.value_convolution(shape, params.conv_kernel_size, mode),
        "recomputation": 2 * by_tokens if again else 0,
    }


class Attention(nn.Module):
    """Nyströmformer self-attention, [B, N, C] to [B, N, C] with C = num_heads · head_dim."""

    def __init__(
        self, shape: Shape, params: Params, *, backend: str = "eager", generator: torch.Generator
    ) -> None:
        """Draw the linear layers, then the convolution, from `generator`."""
        super().__init__()
        attend = BACKENDS[backend]
        self.heads = assembled(self, "qkv", attend, weights, shape, params, generator)

    def forward(self, x_BNC: Tensor) -> Tensor:
        """Project, attend with every head, project back."""
        return self.heads(self, x_BNC)


def _low_rank(
    q_BHND: Tensor,
    k_BHND: Tensor,
    v_BHND: Tensor,
    params: Params,
    grid: tuple[int, int] | None,
) -> Tensor:
    """[B, H, N, D]: (F1 Z)(F3 v)."""
    scale = q_BHND.shape[-1] ** -0.25
    q_BHND, k_BHND = q_BHND * scale, k_BHND * scale
    q_means_BHMD = _nystromformer_fused.means(q_BHND, params, grid)
    k_means_BHMD = _nystromformer_fused.means(k_BHND, params, grid)
    from_tokens_BHNM = (q_BHND @ k_means_BHMD.mT).softmax(-1)
    to_tokens_BHMN = (q_means_BHMD @ k_BHND.mT).softmax(-1)
    _, z_BHMM = _inverted(q_means_BHMD, k_means_BHMD, params)
    return (from_tokens_BHNM @ z_BHMM) @ (to_tokens_BHMN @ v_BHND)


def _inverted(q_means_BHMD: Tensor, k_means_BHMD: Tensor, params: Params) -> tuple[Tensor, Tensor]:
    """[B, H, M, M] twice: the scores A between landmarks, and Z."""
    a_BHMM = (q_means_BHMD @ k_means_BHMD.mT).softmax(-1)
    z_BHMM = _pinv.pseudo_inverse(a_BHMM, num_iters=params.num_pinv_iters, init=params.pinv_init)
    return a_BHMM, z_BHMM


def _keys(k_BHND: Tensor | None) -> Tensor:
    if k_BHND is None:
        raise ValueError("nystromformer needs keys; k is None")
    return k_BHND
