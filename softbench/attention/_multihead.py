"""What a layer does around its mechanism: project tokens, deal channels to heads, and go back."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from softbench.attention._heads import merge_heads, split_heads
from softbench.attention._weights import linear
from softbench.case import Shape


def add_projections(layer: nn.Module, shape: Shape, kinds: str, generator: torch.Generator) -> None:
    """Hang `q_proj`, `v_proj`, ... on `layer`, one for each letter of `kinds`, and `out_proj`.

    All are linear with bias, of width C = num_heads · head_dim, drawn in that order.
    """
    width = shape.num_heads * shape.head_dim
    for kind in (*kinds, "out"):
        layer.add_module(f"{kind}_proj", linear(width, width, generator=generator))


def projected(layer: nn.Module, x_BNC: Tensor, kinds: str, num_heads: int) -> tuple[Tensor, ...]:
    """[B, H, N, D] views of the projections of [B, N, C], one for each letter of `kinds`."""
    return tuple(split_heads(getattr(layer, f"{kind}_proj")(x_BNC), num_heads) for kind in kinds)


def joined(layer: nn.Module, out_BHND: Tensor) -> Tensor:
    """[B, N, C]: heads side by side, through `out_proj`."""
    out_BNC: Tensor = layer.get_submodule("out_proj")(merge_heads(out_BHND))
    return out_BNC
