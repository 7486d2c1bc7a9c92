"""timm's ways into a plain transformer: what its blocks give, and groups of its layers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from timm.models._features import feature_take_indices
from torch import Tensor, nn

from softbench.attention._grid import tokens_to_image


class Features(nn.Module):
    """What timm asks of a model whose features are taken; `Plain` has the layers."""

    blocks: nn.ModuleList
    norm: nn.Module
    grid: tuple[int, int] | None
    embedded: Callable[[Tensor], Tensor]
    through: Callable[[nn.Module, Tensor], Tensor]
    reset_classifier: Callable[[int], None]

    def forward_intermediates(
        self,
        x: Tensor,
        indices: int | list[int] | None = None,
        norm: bool = False,
        stop_early: bool = False,
        output_fmt: str = "NCHW",
        intermediates_only: bool = False,
    ) -> Any:
        """What the blocks `indices` give, images [B, C, rows, columns] or, by output_fmt NLC,
        tokens [B, N, C]; with it, unless only that is wanted, what `forward_features` gives.

        indices: a number is that many from the end. norm: each with the last norm.
        ValueError: another output_fmt, or images of a sequence, which has no grid.
        """
        if output_fmt not in ("NLC", "NCHW") or (output_fmt == "NCHW" and self.grid is None):
            raise ValueError(
                f"output_fmt {output_fmt!r}: blocks give tokens, 'NLC', and where those are "
                "patches of an image also 'NCHW'"
            )
        wanted, furthest = feature_take_indices(len(self.blocks), indices)
        x_BNC, found = self.embedded(x), []
        for number, block in enumerate(self.blocks):
            x_BNC = self.through(block, x_BNC)
            if number in wanted:
                told_BNC = self.norm(x_BNC) if norm else x_BNC
                image = output_fmt == "NCHW" and self.grid
                found.append(tokens_to_image(told_BNC, image) if image else told_BNC)
            if number == furthest and (stop_early or intermediates_only):
                return found
        return found if intermediates_only else (self.norm(x_BNC), found)

    def prune_intermediate_layers(
        self, indices: int | list[int] = 1, prune_norm: bool = False, prune_head: bool = True
    ) -> list[int]:
        """Drop what blocks up to the last of `indices` do not need; the indices as they are now."""
        wanted, furthest = feature_take_indices(len(self.blocks), indices)
        self.blocks = self.blocks[: furthest + 1]
        if prune_norm:
            self.norm = nn.Identity()
        if prune_head:
            self.reset_classifier(0)
        return list(wanted)

    def group_matcher(self, coarse: bool = False) -> dict[str, Any]:
        """timm's layer groups, for a learning rate by depth: by block, coarse or not."""
        blocks = [(r"^blocks\.(\d+)", None), (r"^norm", (99999,))]
        return {"stem": r"^embed|^pos_embed", "blocks": blocks}
