"""A plain vision transformer with any mechanism inside, for images or for sequences of tokens.

Dosovitskiy et al., "An Image is Worth 16x16 Words", ICLR 2021, arXiv 2010.11929: patches, learned
position embeddings, blocks with norms in front, a linear head. With a vocabulary it reads whole
numbers, and its tokens lie in a row.

Differences from the paper:
- The mean of all tokens, or the last one, goes to the head, and there is no class token: as many
  tokens as patches, which mechanisms that sample a grid of them need.
- First values follow U(±1/√fan_in), not a normal of 0.02: widths are free here, and 0.02 is that
  rule's spread only at the paper's widths.
- Position embeddings have a spread of their own, `pos_std`: tokens have about 1, and positions of
  0.02 beside them are hardly seen at first, which a small model may not make up for.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from types import ModuleType
from typing import Any

import torch
from torch import Tensor, nn

from softbench import plugins
from softbench.case import Mode, Shape, Unsupported
from softbench.models import _counts, _equal, _initial
from softbench.models._plain import Plain
from softbench.models._stages import gridless
from softbench.models._vit_params import Params as Params

LONG = Shape(seq_len=2**14)


def shape(params: Params, batch_size: int) -> Shape:
    """The Shape of every block's attention.

    A Shape gives a square number of tokens a grid; the attention of a sequence goes without.
    """
    patch = params.patch_size
    grid = (params.image_size[0] // patch, params.image_size[1] // patch)
    of_image = params.seq_len is None
    return Shape(
        batch_size=batch_size,
        num_heads=params.num_heads,
        head_dim=params.dim // params.num_heads,
        seq_len=params.seq_len or grid[0] * grid[1],
        grid=grid if of_image else None,
    )


def supports(params: Params, mechanism: str, attention_params: Mapping[str, Any]) -> str | None:
    """Why the mechanism cannot attend to these tokens; None if it can.

    Raises pydantic's ValidationError for parameters that it does not take.
    """
    where = _where(params, 1)
    settings = _attention(params, mechanism, attention_params)
    reason: str | None = plugins.load("attention", mechanism).supports(where, settings)
    if reason is None:
        try:
            _hidden(params, where, mechanism, settings)
        except Unsupported as too_many:
            reason = str(too_many)
    return reason


def build(
    params: Params,
    *,
    attention: str,
    attention_params: Mapping[str, Any],
    backend: str,
    generator: torch.Generator,
) -> nn.Module:
    """The model, every first value from `generator`; logits [B, num_classes] of what `draw` gives.

    attention_params: what of the mechanism's is asked for; the rest is its default at layer level,
    or, where that needs a grid and there is none, at operator level.
    Raises Unsupported where the mechanism has no such weights.
    """
    with torch.random.fork_rng(devices=[]):  # PyTorch's layers draw before we do
        return plain(
            params,
            attention=attention,
            attention_params=attention_params,
            backend=backend,
            generator=generator,
        )


def plain(
    params: Params,
    *,
    attention: str,
    attention_params: Mapping[str, Any],
    backend: str,
    generator: torch.Generator | None,
    **drops: float,
) -> nn.Module:
    """As `build`; without a generator, from PyTorch's global seed. drops: those of `Plain`."""
    generator = generator or _initial.own_generator()
    where, settings = _where(params, 1), _attention(params, attention, attention_params)
    mechanism = plugins.load("attention", attention)
    make = partial(mechanism.Attention, where, settings, backend=backend, generator=generator)
    hidden = _hidden(params, where, attention, settings)
    return Plain(params, make, where.seq_len, where.grid, hidden, generator, **drops)


def draw(params: Params, batch_size: int, generator: torch.Generator, dtype: torch.dtype) -> Tensor:
    """Images [B, in_chans, rows, columns], normal; or whole numbers [B, N] below the vocabulary."""
    if params.vocabulary is not None and params.seq_len is not None:
        sizes = (batch_size, params.seq_len)
        return torch.randint(params.vocabulary, sizes, generator=generator)
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
    where = _where(params, batch_size)
    settings = _attention(params, attention, attention_params)
    layer: Mapping[str, int] = plugins.load("attention", attention).flops(
        where, settings, level="layer", backend=backend, mode=mode
    )
    tokens, dim = batch_size * where.seq_len, params.dim
    taps = 0 if params.vocabulary else params.in_chans * params.patch_size**2
    hidden = _hidden(params, where, attention, settings)
    return {
        "patches": _counts.convolution(tokens * dim, taps, mode, of_image=True),
        **{term: params.depth * count for term, count in layer.items()},
        "mlp": params.depth * 2 * _counts.linear(tokens, dim, hidden, mode),
        "head": _counts.linear(batch_size, dim, params.num_classes, mode),
    }


def _where(params: Params, batch_size: int) -> Shape:
    """The tokens as the attention sees them."""
    found = shape(params, batch_size)
    return found if params.vocabulary is None else gridless(found)


def _attention(params: Params, mechanism: str, given: Mapping[str, Any]) -> Any:
    """The mechanism's Params: what is given, else its defaults for such tokens."""
    module = plugins.load("attention", mechanism)
    at_layer = getattr(module, "LEVEL_DEFAULTS", {}).get("layer", {})
    if params.vocabulary is not None and _need_a_grid(module, at_layer):
        at_layer = {}
    return module.Params(**{**at_layer, **given})


def _hidden(params: Params, where: Shape, mechanism: str, settings: Any) -> int:
    """Channels inside an MLP."""
    equal = params.equal_parameters
    return _equal.hidden(params.dim, params.mlp_ratio, where, mechanism, settings, equal=equal)


def _need_a_grid(module: ModuleType, defaults: Mapping[str, Any]) -> bool:
    """Whether a mechanism with these has no meaning for tokens in a row, however many."""
    return module.supports(gridless(LONG), module.Params(**defaults)) is not None
