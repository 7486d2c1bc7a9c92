"""timm's ways into a plain transformer: what its blocks give, and groups of its layers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from timm.models._features import feature_take_indices
from torch import Tensor, nn

from softbench.attention._grid import tokens_to_image

if TYPE_CHECKING:
    from softbench.models._plain import Plain


def intermediates(
    model: Plain,
    x: Tensor,
    indices: int | list[int] | None,
    *,
    norm: bool,
    whole: bool,
    output_fmt: str,
) -> tuple[Tensor, list[Tensor]]:
    """Tokens [B, N, C] after the last block that ran, and what the blocks `indices` gave.

    indices: a number is that many from the end. norm: each with the last norm. whole: blocks after
    the last of `indices` run too. Raises ValueError for a form that there is not.
    """
    if output_fmt not in ("NLC", "NCHW") or (output_fmt == "NCHW" and model.grid is None):
        raise ValueError(
            f"output_fmt {output_fmt!r}: blocks give tokens, 'NLC', and where those are "
            "patches of an image also 'NCHW'"
        )
    wanted, furthest = feature_take_indices(len(model.blocks), indices)
    x_BNC, found = model.embedded(x), []
    for number, block in enumerate(model.blocks if whole else model.blocks[: furthest + 1]):
        x_BNC = model.through(block, x_BNC)
        if number in wanted:
            told_BNC = model.norm(x_BNC) if norm else x_BNC
            image = output_fmt == "NCHW" and model.grid
            found.append(tokens_to_image(told_BNC, image) if image else told_BNC)
    return x_BNC, found


def prune(
    model: Plain, indices: int | list[int], *, without_norm: bool, without_head: bool
) -> list[int]:
    """Drop what blocks up to the last of `indices` do not need; the indices as they are now."""
    wanted, furthest = feature_take_indices(len(model.blocks), indices)
    model.blocks = model.blocks[: furthest + 1]
    if without_norm:
        model.norm = nn.Identity()
    if without_head:
        model.reset_classifier(0)
    return list(wanted)


def layer_groups() -> dict[str, Any]:
    """By block: the patterns of timm's group_matcher."""
    blocks = [(r"^blocks\.(\d+)", None), (r"^norm", (99999,))]
    return {"stem": r"^embed|^pos_embed", "blocks": blocks}
