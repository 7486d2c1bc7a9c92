"""The SOFT family's backbone with any mechanism in its first three stages: a pyramid of tokens.

Lu et al., "SOFT: Softmax-free Transformer with Linear Complexity", NeurIPS 2021, arXiv 2110.11945,
Tables 1 and 2: only the attention is swapped, and what stands for the tokens is as many for every
mechanism, see `_stages.py`. The last stage has softmax attention and a class token whatever is
asked for; its backend is eager beside eager, and fused beside every other.

timm has it as `soft_tiny` to `soft_huge`, `soft_norm_*` and `pyramid_<mechanism>_tiny`.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Any

import torch
from pydantic import Field, model_validator
from torch import Tensor, nn

from softbench import plugins
from softbench.attention import softmax
from softbench.case import Mode, Shape, Value
from softbench.models import _counts
from softbench.models._backbone import Backbone
from softbench.models._fields import ImageSize, InChans, NumClasses
from softbench.models._sizes import MLP_RATIO, SIZES, STEM_WIDTH, Size, SizeName, grid_at
from softbench.models._stages import final_backend, params_at, shape_at

EARLY = (0, 1, 2)


class Params(Value):
    """What the backbone lets one choose."""

    size: SizeName = Field(default="tiny", description="depths and widths of the stages")
    image_size: ImageSize = (224, 224)
    num_classes: NumClasses = 1000
    in_chans: InChans = 3

    @model_validator(mode="after")
    def _fits(self) -> Params:
        if any(side % 32 for side in self.image_size):
            near = "x".join(str(max(1, round(side / 32)) * 32) for side in self.image_size)
            sides = "x".join(map(str, self.image_size))
            raise ValueError(f"an image of {sides} has no whole tokens of 32 pixels; take {near}")
        return self


def shape(params: Params, batch_size: int) -> Shape:
    """The Shape of the attention in the first stage, where the most tokens are."""
    return shape_at(0, SIZES[params.size], params.image_size, batch_size)


def supports(params: Params, mechanism: str, attention_params: Mapping[str, Any]) -> str | None:
    """Why a stage cannot have the mechanism so; None if all can.

    Raises pydantic's ValidationError for parameters that the mechanism does not take.
    """
    module = plugins.load("attention", mechanism)
    for stage, where in _early(params, 1):
        settings = params_at(stage, where, mechanism, attention_params)
        reason = module.supports(where, settings)
        if reason is not None:
            return f"stage {stage + 1}: {reason}"
    return None


def build(
    params: Params,
    *,
    attention: str,
    attention_params: Mapping[str, Any],
    backend: str,
    generator: torch.Generator,
) -> nn.Module:
    """The model, every first value from `generator`; logits [B, num_classes].

    attention_params: what of the mechanism's is asked for, the same in all three stages; the rest
    is as the backbone has it by itself. Raises Unsupported where there are no such weights.
    """
    with torch.random.fork_rng(devices=[]):  # PyTorch's layers draw before we do
        return Backbone(
            SIZES[params.size],
            attention=attention,
            attention_params=attention_params,
            backend=backend,
            image_size=params.image_size,
            num_classes=params.num_classes,
            in_chans=params.in_chans,
            generator=generator,
        )


def draw(params: Params, batch_size: int, generator: torch.Generator, dtype: torch.dtype) -> Tensor:
    """Images [B, in_chans, rows, columns], normal."""
    images = torch.randn(batch_size, params.in_chans, *params.image_size, generator=generator)
    return images.to(dtype)


def flops(
    params: Params,
    *,
    batch_size: int,
    attention: str,
    attention_params: Mapping[str, Any],
    backend: str,
    mode: Mode,
) -> dict[str, int]:
    """FLOPs by term, in forward_backward with the gradients of every weight and of no image."""
    size, module = SIZES[params.size], plugins.load("attention", attention)
    layers: list[tuple[Mapping[str, int], int]] = []
    for stage, where in _early(params, batch_size):
        settings = params_at(stage, where, attention, attention_params)
        terms = module.flops(where, settings, level="layer", backend=backend, mode=mode)
        layers.append((terms, size.depths[stage]))
    last, beside = (
        shape_at(3, size, params.image_size, batch_size),
        final_backend(attention, backend),
    )
    terms = softmax.flops(last, softmax.Params(), level="layer", backend=beside, mode=mode)
    layers.append((terms, size.depths[3]))
    return {
        **_counts.summed(layers),
        "patches": _embedding(params, size, batch_size, mode),
        "mlp": _perceptrons(params, size, batch_size, mode),
        "head": _counts.linear(batch_size, size.dims[3], params.num_classes, mode),
    }


def _early(params: Params, batch_size: int) -> Iterator[tuple[int, Shape]]:
    """The stages that have the mechanism, and its shape in each."""
    for stage in EARLY:
        yield stage, shape_at(stage, SIZES[params.size], params.image_size, batch_size)


def _embedding(params: Params, size: Size, batch_size: int, mode: Mode) -> int:
    """The stem's three convolutions, and one before each later stage, all of 3 × 3 taps."""
    halves = batch_size * STEM_WIDTH * math.prod(side // 2 for side in params.image_size)
    count = _counts.convolution(halves, 9 * params.in_chans, mode, of_image=True)
    count += _counts.convolution(halves, 9 * STEM_WIDTH, mode)
    channels = STEM_WIDTH
    for stage, dim in enumerate(size.dims):
        outputs = batch_size * dim * math.prod(grid_at(stage, params.image_size))
        count += _counts.convolution(outputs, 9 * channels, mode)
        channels = dim
    return count


def _perceptrons(params: Params, size: Size, batch_size: int, mode: Mode) -> int:
    """Two linear layers a block."""
    count = 0
    for stage, (depth, dim) in enumerate(zip(size.depths, size.dims, strict=True)):
        tokens = shape_at(stage, size, params.image_size, batch_size).seq_len * batch_size
        count += depth * 2 * _counts.linear(tokens, dim, MLP_RATIO * dim, mode)
    return count
