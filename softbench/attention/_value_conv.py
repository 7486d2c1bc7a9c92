"""A depth-wise convolution over the values, added to the attention's output.

One filter a head, shared by the head's channels (Lu et al., SOFT, arXiv 2110.11945, released code;
Xiong et al., Nyströmformer, arXiv 2102.03902, has the same with a filter of one column).
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from softbench.attention._weights import uniform


def value_convolution(v_BHND: Tensor, weight_H1KL: Tensor, grid: tuple[int, int] | None) -> Tensor:
    """[B, H, N, D]: each head's tokens as an image, filtered and padded to keep its size.

    ValueError: no grid, or one that does not hold the tokens.
    """
    if grid is None:
        raise ValueError("a value convolution needs a token grid; set conv_kernel_size to 0")
    batch_size, num_heads, _, head_dim = v_BHND.shape
    # Channels take the place of a batch, heads that of channels: the filter is the head's own.
    v_GHRS = v_BHND.permute(0, 3, 1, 2).reshape(batch_size * head_dim, num_heads, *grid)
    rows, columns = weight_H1KL.shape[-2:]
    padding = (rows // 2, columns // 2)
    out_GHRS = functional.conv2d(v_GHRS, weight_H1KL, padding=padding, groups=num_heads)
    return out_GHRS.reshape(batch_size, head_dim, num_heads, -1).permute(0, 2, 3, 1)


def convolution_weight(
    num_heads: int, rows: int, columns: int, generator: torch.Generator
) -> Tensor:
    """The [H, 1, rows, columns] filters that `value_convolution` learns, without bias."""
    return uniform(num_heads, 1, rows, columns, fan_in=rows * columns, generator=generator)
