"""The two layout changes of an attention layer: tokens to heads, and back."""

from __future__ import annotations

from torch import Tensor


def split_heads(x_BNC: Tensor, num_heads: int) -> Tensor:
    """[B, N, H·D] as [B, H, N, D]: a view, channels dealt to heads in contiguous runs."""
    x_BNHD = x_BNC.reshape(*x_BNC.shape[:-1], num_heads, -1)
    return x_BNHD.transpose(1, 2)


def merge_heads(x_BHND: Tensor) -> Tensor:
    """[B, H, N, D] as [B, N, H·D]: the inverse of `split_heads`, one copy."""
    return x_BHND.transpose(1, 2).flatten(2)
