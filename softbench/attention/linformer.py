"""Linformer: softmax attention over keys and values compressed along tokens (Wang et al., 2020).

"Linformer: Self-Attention with Linear Complexity", arXiv 2006.04768, eq. 7:
`softmax(Q (E K)ᵀ/√D) (F V)`, E and F learned, [L, N] with L the projection length.

Backends: `eager`, the formula as it stands; `fused`, the same function on the CPU without scores
or copies; `auto`, the best that runs.

Differences from the paper and the authors' code:
- `projection_length` is 49 by default, where the paper has 128 to 256 for 512 to 4,096 tokens: the
  rank that landmark mechanisms have here by default, so that defaults are compared at one rank.
- E and F are drawn as PyTorch's linear layer over N tokens draws, where the paper's proof takes
  Gaussians of variance 1/L: compressed tokens then keep the scale of one token at any length.
- Untrained projections approximate nothing: only their cost says something before training.
- An input of another length than the projections were built for is unsupported, where some code
  slices E and F in silence: a sliced projection is one that nobody trained.
- `compression: conv` is not the paper's: a convolution over the token grid, kernel = stride, all
  channels of a head to all, shared by the heads, in place of E and F: the spatial reduction that
  Lu et al. (SOFT, arXiv 2110.11945, Table 2) give Linformer in their backbone. It takes any grid.
- Layers project before they compress, so that a bias in k and v is compressed like the rest.
"""

from __future__ import annotations

import math
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
    _landmarks,
    _linformer_fused,
    softmax,
)
from softbench.attention._multihead import assembled
from softbench.attention._weights import uniform
from softbench.case import Level, Mode, Shape, Value

RANK: str | None = "projection_length"


class Params(Value):
    """What Linformer lets one choose."""

    projection_length: int = Field(
        default=49, ge=1, le=2**16, description="compressed tokens L, the rank"
    )
    share: Literal["none", "kv"] = Field(
        default="none", description="whether keys and values have one projection: F = E"
    )
    per_head: bool = Field(default=False, description="a projection for each head, not for all")
    compression: Literal["projection", "conv"] = Field(
        default="projection", description="E and F, or a convolution over the token grid"
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
    """[B, H, N, D], eq. 7. ValueError without keys.

    Raises Unsupported: the projections were built for another number of tokens.
    """
    if k_BHND is None:
        raise ValueError("linformer needs keys; k is None")
    for_values = "key_projection" if params.share == "kv" else "value_projection"
    keys_BHLD = _compressed(weights["key_projection"], k_BHND, grid)
    values_BHLD = _compressed(weights[for_values], v_BHND, grid)
    scores_BHNL = (q_BHND / math.sqrt(q_BHND.shape[-1])) @ keys_BHLD.mT
    return scores_BHNL.softmax(-1) @ values_BHLD


BACKENDS = _backends.offered(attend, _linformer_fused.attend, _backends.not_on_cpu)
backend_ran = partial(_backends.ran, _backends.not_on_cpu)


def exact(q_BHND: Tensor, k_BHND: Tensor | None, v_BHND: Tensor, params: Params) -> Tensor:
    """[B, H, N, D]: softmax attention, which identity projections of N tokens give."""
    nothing = softmax.Params()
    return softmax.attend(q_BHND, k_BHND, v_BHND, params=nothing, weights={}, grid=None)


def weights(shape: Shape, params: Params, generator: torch.Generator) -> dict[str, Tensor]:
    """`key_projection` E and, unless shared, `value_projection` F.

    Both are [L, N], or [H, L, N] per head; [D, D, r, r] of a convolution with stride r.
    Raises Unsupported: no stride gives L tokens.
    """
    names = ("key_projection",) if params.share == "kv" else ("key_projection", "value_projection")
    length = params.projection_length
    if params.compression == "conv":
        return {name: _landmarks.strided_weight(shape, length, generator) for name in names}
    heads = (shape.num_heads,) if params.per_head else ()
    sizes = (*heads, length, shape.seq_len)
    return {name: uniform(*sizes, fan_in=shape.seq_len, generator=generator) for name in names}


def supports(shape: Shape, params: Params) -> str | None:
    """Why `shape` cannot be compressed so; None if it can."""
    if params.projection_length > shape.seq_len:
        return (
            f"projection_length {params.projection_length} is more than "
            f"the {shape.seq_len} tokens; take {shape.seq_len} or fewer"
        )
    if params.compression == "projection":
        return None
    if params.per_head:
        return "compression conv is shared by the heads; set per_head: false"
    length = params.projection_length
    return _landmark_rules.conv_refusal(shape, length, "compression", "projection")


def flops(
    shape: Shape, params: Params, *, level: Level, backend: str, mode: Mode
) -> dict[str, int]:
    """FLOPs by term: two products or convolutions that compress, two products that attend.

    The backward of `fused` makes the scores once more.
    """
    heads = shape.batch_size * shape.num_heads
    product = 2 * heads * params.projection_length * shape.seq_len * shape.head_dim
    times, compressing = _counts.passes(mode), 0
    if params.compression == "conv":
        stride = _landmark_rules.conv_stride(shape, params.projection_length)
        length = params.projection_length
        compressing = _counts.landmark_convolution(shape, stride, length, mode)
    return {
        "projections": _counts.projections(shape, 4, mode) if level == "layer" else 0,
        "landmarks": 2 * (compressing or times * product),
        "products": 2 * times * product,
        "recomputation": product if backend == "fused" and mode == "forward_backward" else 0,
    }


class Attention(nn.Module):
    """Linformer self-attention, [B, N, C] to [B, N, C] with C = num_heads · head_dim."""

    def __init__(
        self, shape: Shape, params: Params, *, backend: str = "eager", generator: torch.Generator
    ) -> None:
        """Draw the linear layers, then E and F, from `generator`."""
        super().__init__()
        attend = BACKENDS[backend]
        self.heads = assembled(self, "qkv", attend, weights, shape, params, generator)

    def forward(self, x_BNC: Tensor) -> Tensor:
        """Project, attend with every head, project back."""
        return self.heads(self, x_BNC)


def _compressed(projection: Tensor, x_BHND: Tensor, grid: tuple[int, int] | None) -> Tensor:
    """[B, H, L, D]: `projection`, [L, N] or [H, L, N], times the tokens. Raises Unsupported.

    A convolution over the tokens if it is [D, D, r, r]. ValueError: no grid for that.
    """
    if projection.ndim == 4:
        return _landmarks.strided(x_BHND, projection, grid)
    _linformer_fused.check_length(projection, x_BHND)
    return projection @ x_BHND
