"""Softmax attention (Vaswani et al., 2017): the exact, quadratic baseline.

"Attention Is All You Need", arXiv 1706.03762, eq. 1: `softmax(Q Kᵀ/√D) V`.

Backends: `eager`, unfused, holding all N × N weights; `sdpa`, PyTorch's fused attention, which is
the softmax that another mechanism has to beat.

Differences from the paper:
- Q is divided by √D before the product, not the product after it: N·D divisions instead of N².
- Projections have biases, as in vision transformers.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping

import torch
from torch import Tensor, nn
from torch.nn import functional

from softbench.attention import _counts
from softbench.attention._heads import merge_heads, split_heads
from softbench.attention._weights import linear
from softbench.case import Level, Mode, Shape, Value

RANK: str | None = None


class Params(Value):
    """Softmax attention has nothing to set."""


def attend(
    q_BHND: Tensor,
    k_BHND: Tensor | None,
    v_BHND: Tensor,
    *,
    params: Params,
    weights: Mapping[str, Tensor],
    grid: tuple[int, int] | None,
) -> Tensor:
    """[B, H, N, D] by the N × N matrix itself. ValueError without keys."""
    keys_BHND = _keys(k_BHND)
    scores_BHNN = (q_BHND / math.sqrt(q_BHND.shape[-1])) @ keys_BHND.mT
    return scores_BHNN.softmax(-1) @ v_BHND


def attend_sdpa(
    q_BHND: Tensor,
    k_BHND: Tensor | None,
    v_BHND: Tensor,
    *,
    params: Params,
    weights: Mapping[str, Tensor],
    grid: tuple[int, int] | None,
) -> Tensor:
    """[B, H, N, D] by PyTorch's fused attention. ValueError without keys."""
    keys_BHND = _keys(k_BHND)
    if q_BHND.device.type != "meta":
        return functional.scaled_dot_product_attention(q_BHND, keys_BHND, v_BHND)
    # On meta PyTorch takes SDPA apart into the N × N form; the flash operator has to be named for
    # counts and memory predictions to see what devices run.
    flash = torch.ops.aten._scaled_dot_product_flash_attention_for_cpu
    out_BHND: Tensor = flash(q_BHND, keys_BHND, v_BHND)[0]
    return out_BHND


BACKENDS: dict[str, Callable[..., Tensor]] = {"eager": attend, "sdpa": attend_sdpa}


def weights(shape: Shape, params: Params, generator: torch.Generator) -> dict[str, Tensor]:
    """Nothing learned or drawn besides the projections."""
    return {}


def supports(shape: Shape, params: Params) -> str | None:
    """None: every shape is supported."""
    return None


def flops(
    shape: Shape, params: Params, *, level: Level, backend: str, mode: Mode
) -> dict[str, int]:
    """FLOPs by term: two N × N × D products, each with two in its gradient.

    The fused backward pass computes the scores once more: `recomputation`, work of the device and
    not of the model.
    """
    product = 2 * shape.batch_size * shape.num_heads * shape.seq_len**2 * shape.head_dim
    again = backend == "sdpa" and mode == "forward_backward"
    return {
        "projections": _counts.projections(shape, 4, mode) if level == "layer" else 0,
        "products": 2 * _counts.passes(mode) * product,
        "recomputation": product if again else 0,
    }


class Attention(nn.Module):
    """Multi-head softmax self-attention, [B, N, C] to [B, N, C] with C = num_heads · head_dim."""

    def __init__(
        self,
        shape: Shape,
        params: Params,
        *,
        backend: str = "eager",
        generator: torch.Generator,
    ) -> None:
        """Draw the four projections from `generator`."""
        super().__init__()
        self.shape, self.params, self.backend = shape, params, backend
        width = shape.num_heads * shape.head_dim
        self.q_proj = linear(width, width, generator=generator)
        self.k_proj = linear(width, width, generator=generator)
        self.v_proj = linear(width, width, generator=generator)
        self.out_proj = linear(width, width, generator=generator)

    def forward(self, x_BNC: Tensor) -> Tensor:
        """Project, attend with every head, project back."""
        q_BHND, k_BHND, v_BHND = (
            split_heads(project(x_BNC), self.shape.num_heads)
            for project in (self.q_proj, self.k_proj, self.v_proj)
        )
        attention = BACKENDS[self.backend]
        out_BHND = attention(q_BHND, k_BHND, v_BHND, params=self.params, weights={}, grid=None)
        out_BNC: Tensor = self.out_proj(merge_heads(out_BHND))
        return out_BNC


def _keys(k_BHND: Tensor | None) -> Tensor:
    if k_BHND is None:
        raise ValueError("softmax attention needs keys; k is None")
    return k_BHND
