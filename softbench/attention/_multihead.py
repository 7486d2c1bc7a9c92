"""What a layer does around its mechanism: project tokens, deal channels to heads, and go back."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from softbench.attention._heads import merge_heads, split_heads
from softbench.attention._weights import linear, register, registered
from softbench.case import Shape


@dataclass(frozen=True)
class Multihead:
    """How one layer attends: with which mechanism, of which projections, by which weights."""

    attend: Callable[..., Tensor]
    params: Any
    shape: Shape
    projections: str
    weight_names: tuple[str, ...]

    def __call__(
        self, layer: nn.Module, x_BNC: Tensor, grid: tuple[int, int] | None = None
    ) -> Tensor:
        """[B, N, C]: project, attend with every head, project back, by what hangs on `layer`.

        Without a projection for keys the mechanism is given none. grid: of these tokens, where it
        is another than the one that the layer was built for.
        """
        heads = {
            kind: split_heads(getattr(layer, f"{kind}_proj")(x_BNC), self.shape.num_heads)
            for kind in self.projections
        }
        out_BHND = self.attend(
            heads["q"],
            heads.get("k"),
            heads["v"],
            params=self.params,
            weights=registered(layer, self.weight_names),
            grid=grid or self.shape.grid,
        )
        out_BNC: Tensor = layer.get_submodule("out_proj")(merge_heads(out_BHND))
        return out_BNC


def assembled(
    layer: nn.Module,
    projections: str,
    attend: Callable[..., Tensor],
    weights: Callable[[Shape, Any, torch.Generator], Mapping[str, Tensor]],
    shape: Shape,
    params: Any,
    generator: torch.Generator,
) -> Multihead:
    """Hang `q_proj`, ... for each letter of `projections`, `out_proj` and the weights on `layer`.

    Projections are linear with bias, of width C = num_heads · head_dim, drawn in that order; then
    what the mechanism's own `weights` draws. Raises what that raises.
    """
    width = shape.num_heads * shape.head_dim
    for kind in (*projections, "out"):
        layer.add_module(f"{kind}_proj", linear(width, width, generator=generator))
    drawn = weights(shape, params, generator)
    register(layer, drawn)
    return Multihead(attend, params, shape, projections, tuple(drawn))
