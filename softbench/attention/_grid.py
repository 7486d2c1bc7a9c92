"""Tokens as an image: row-major, the layout that pooling and convolutions over tokens need."""

from __future__ import annotations

from torch import Tensor


def tokens_to_image(x_BND: Tensor, grid: tuple[int, int] | None) -> Tensor:
    """[B, rows·columns, D] as [B, D, rows, columns], a view (in channels-last memory).

    ValueError: no grid, or one that does not hold the tokens.
    """
    if grid is None:
        raise ValueError("these tokens have no grid; give one, such as 28x28 for 784 tokens")
    rows, columns = grid
    if rows * columns != x_BND.shape[1]:
        held = rows * columns
        raise ValueError(f"grid {rows}x{columns} holds {held} tokens, not {x_BND.shape[1]}")
    return x_BND.reshape(x_BND.shape[0], rows, columns, -1).permute(0, 3, 1, 2)


def image_to_tokens(x_BDRS: Tensor) -> Tensor:
    """[B, D, rows, columns] as [B, rows·columns, D], row-major."""
    return x_BDRS.flatten(2).transpose(1, 2)
