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

from softbench.attention import _backends, _counts, _linformer_fused, softmax
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
    keys_BHLD = _compressed(weights["key_projection"], k_BHND)
    values_BHLD = _compressed(weights[for_values], v_BHND)
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

    Both are [L, N], or [H, L, N] per head.
    """
    heads = (shape.num_heads,) if params.per_head else ()
    sizes = (*heads, params.projection_length, shape.seq_len)
    names = ("key_projection",) if params.share == "kv" else ("key_projection", "value_projection")
    return {name: uniform(*sizes, fan_in=shape.seq_len, generator=generator) for name in names}


def supports(shape: Shape, params: Params) -> str | None:
    """Why `shape` cannot be compressed so; None if it can."""
    if params.projection_length > shape.seq_len:
        return (
            f"projection_length {params.projection_length} is more than "
            f"the {shape.seq_len} tokens; take {shape.seq_len} or fewer"
        )
    return None


def flops(
    shape: Shape, params: Params, *, level: Level, backend: str, mode: Mode
) -> dict[str, int]:
    """FLOPs by term: two products that compress and two that attend, all L × N × D.

    The backward of `fused` makes the scores once more.
    """
    heads = shape.batch_size * shape.num_heads
    product = 2 * heads * params.projection_length * shape.seq_len * shape.head_dim
    times = _counts.passes(mode)
    return {
        "projections": _counts.projections(shape, 4, mode) if level == "layer" else 0,
        "landmarks": 2 * times * product,
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


def _compressed(projection: Tensor, x_BHND: Tensor) -> Tensor:
    """[B, H, L, D]: `projection`, [L, N] or [H, L, N], times the tokens. Raises Unsupported."""
    _linformer_fused.check_length(projection, x_BHND)
    return projection @ x_BHND
