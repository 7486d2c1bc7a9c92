"""A small vision transformer as one file to drop in: patches, blocks, the mean, logits.

Dosovitskiy et al., "An Image is Worth 16x16 Words" (2021), arXiv 2010.11929, without class token
and position embedding. Whatever mechanism is inside, it is that of a layer; `attention_params` are
those that differ from a layer's defaults.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional

from softbench import plugins
from softbench.attention import _counts, _weights
from softbench.case import Mode, Shape, Value


class Params(Value):
    """What can be set."""

    image_size: int = Field(default=32, ge=4, le=2**16, description="side of the image in pixels")
    patch_size: int = Field(default=4, ge=1, le=2**10, description="side of a patch in pixels")
    depth: int = Field(default=2, ge=1, le=1000, description="blocks")
    dim: int = Field(default=16, ge=1, le=2**16, description="channels of a token")
    num_heads: int = Field(default=2, ge=1, le=1000, description="heads of each block")
    num_classes: int = Field(default=10, ge=1, le=2**20, description="logits")


class Block(nn.Module):
    """Attention and a perceptron of twice the width, each on normed tokens and added to them."""

    def __init__(self, attend: nn.Module, dim: int, generator: torch.Generator) -> None:
        super().__init__()
        self.attend, self.norms = attend, nn.ModuleList([nn.LayerNorm(dim), nn.LayerNorm(dim)])
        self.wide = _weights.linear(dim, 2 * dim, generator=generator)
        self.narrow = _weights.linear(2 * dim, dim, generator=generator)

    def forward(self, x_BNC: Tensor) -> Tensor:
        """[B, N, C] to [B, N, C]."""
        x_BNC = x_BNC + self.attend(self.norms[0](x_BNC))
        added_BNC: Tensor = self.narrow(functional.gelu(self.wide(self.norms[1](x_BNC))))
        return x_BNC + added_BNC


class SmallViT(nn.Module):
    """[B, 3, S, S] to [B, num_classes]."""

    def __init__(self, params: Params, blocks: list[Block], generator: torch.Generator) -> None:
        super().__init__()
        self.side = params.patch_size
        self.embed = _weights.linear(3 * self.side**2, params.dim, generator=generator)
        self.blocks = nn.Sequential(*blocks)
        self.head = _weights.linear(params.dim, params.num_classes, generator=generator)

    def forward(self, x_BCHW: Tensor) -> Tensor:
        """Patches to tokens, blocks, the mean of the tokens to logits."""
        cut_BCRWPP = x_BCHW.unfold(2, self.side, self.side).unfold(3, self.side, self.side)
        tokens_BNC = self.embed(cut_BCRWPP.permute(0, 2, 3, 1, 4, 5).flatten(3).flatten(1, 2))
        logits_BK: Tensor = self.head(self.blocks(tokens_BNC).mean(1))
        return logits_BK


def shape(params: Params, batch_size: int) -> Shape:
    """The attention's, the same in every block."""
    tokens, width = (params.image_size // params.patch_size) ** 2, params.dim // params.num_heads
    return Shape(batch_size=batch_size, num_heads=params.num_heads, seq_len=tokens, head_dim=width)


def supports(params: Params, mechanism: str, attention_params: Mapping[str, Any]) -> str | None:
    """What the mechanism says of the shape."""
    if params.dim % params.num_heads:
        return f"dim {params.dim} does not go into {params.num_heads} heads"
    module, inside = _inside(mechanism, attention_params)
    reason: str | None = module.supports(shape(params, 1), inside)
    return reason


def build(
    params: Params,
    *,
    attention: str,
    attention_params: Mapping[str, Any],
    backend: str,
    generator: torch.Generator,
) -> nn.Module:
    """The model, every weight from `generator`."""
    module, inside = _inside(attention, attention_params)
    attends = [
        module.Attention(shape(params, 1), inside, backend=backend, generator=generator)
        for _ in range(params.depth)
    ]
    blocks = [Block(attend, params.dim, generator) for attend in attends]
    return SmallViT(params, blocks, generator)


def draw(params: Params, batch_size: int, generator: torch.Generator, dtype: torch.dtype) -> Tensor:
    """Images of noise, [B, 3, S, S]."""
    side = params.image_size
    return torch.randn(batch_size, 3, side, side, generator=generator).to(dtype)


def flops(
    params: Params,
    *,
    batch_size: int,
    attention: str,
    attention_params: Mapping[str, Any],
    backend: str,
    mode: Mode,
) -> dict[str, int]:
    """FLOPs by term; the image needs no gradient, so that its embedding has one product less."""
    module, inside = _inside(attention, attention_params)
    sizes = shape(params, batch_size)
    attends = module.flops(sizes, inside, level="layer", backend=backend, mode=mode)
    tokens, dim, passes = batch_size * sizes.seq_len, params.dim, _counts.passes(mode)
    return {
        **{term: params.depth * count for term, count in attends.items()},
        "embedding": min(passes, 2) * 2 * tokens * 3 * params.patch_size**2 * dim,
        "mlp": passes * params.depth * 2 * 2 * tokens * dim * 2 * dim,
        "head": passes * 2 * batch_size * dim * params.num_classes,
    }


def _inside(mechanism: str, given: Mapping[str, Any]) -> tuple[Any, Any]:
    """The mechanism and its parameters on a layer's defaults."""
    module = plugins.load("attention", mechanism)
    defaults = getattr(module, "LEVEL_DEFAULTS", {}).get("layer", {})
    return module, module.Params(**{**defaults, **given})
