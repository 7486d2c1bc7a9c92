"""Landmarks: M tokens that stand for N, by pooling, convolution, a random draw or the first ones.

Lu et al. (SOFT, arXiv 2110.11945), samplers of its ablation.

- Pooling over a grid is adaptive: equal to the paper's kernel = stride where √M divides the sides,
  and still M landmarks where it does not.
- In one dimension it is the mean of M contiguous segments (Xiong et al., "Nyströmformer", arXiv
  2102.03902): where M does not divide N, the first `M - N mod M` segments are one token shorter.
- The convolution is followed by LayerNorm and GELU, as the released weights need; the paper names
  neither.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn
from torch.nn import functional

from softbench.attention._fields import Landmarks
from softbench.attention._grid import image_to_tokens, tokens_to_image
from softbench.attention._landmark_rules import conv_stride
from softbench.attention._weights import uniform
from softbench.case import Shape


def pooled(x_BHND: Tensor, num_landmarks: int, grid: tuple[int, int] | None) -> Tensor:
    """[B, H, M, D] means: √M × √M adaptive windows of the grid, or segments where there is none."""
    if grid is None:
        return segment_means(x_BHND, num_landmarks)
    side = round(num_landmarks**0.5)
    image_GDRS = tokens_to_image(x_BHND.flatten(0, 1), grid)
    landmarks_GMD = image_to_tokens(functional.adaptive_avg_pool2d(image_GDRS, (side, side)))
    return landmarks_GMD.reshape(*x_BHND.shape[:2], *landmarks_GMD.shape[1:])


def segment_means(x_BHND: Tensor, num_landmarks: int) -> Tensor:
    """[B, H, M, D] means of contiguous segments whose lengths differ by one at most."""
    # A tracer's sizes are tensors, which have no divmod.
    length, longer = divmod(int(x_BHND.shape[2]), num_landmarks)
    shorter = num_landmarks - longer
    short_BHTD, long_BHUD = x_BHND.tensor_split((shorter * length,), dim=2)
    means_BHSD = _means(short_BHTD, shorter, length)
    if not longer:
        return means_BHSD
    return torch.cat((means_BHSD, _means(long_BHUD, longer, length + 1)), dim=2)


def convolved(
    x_BHND: Tensor, weights: Mapping[str, Tensor], grid: tuple[int, int] | None
) -> Tensor:
    """[B, H, M, D]: convolution with kernel = stride, LayerNorm, GELU; shared by all heads.

    Rows and columns beyond the last whole stride are dropped.
    """
    landmarks_BHMD = strided(x_BHND, weights["landmark_conv"], grid)
    scale_D, shift_D = weights["landmark_norm_weight"], weights["landmark_norm_bias"]
    return functional.gelu(
        functional.layer_norm(landmarks_BHMD, scale_D.shape, scale_D, shift_D, 1e-5)
    )


def strided(x_BHND: Tensor, weight_DDKL: Tensor, grid: tuple[int, int] | None) -> Tensor:
    """[B, H, M, D]: a convolution with kernel = stride over each head's tokens, no bias.

    ValueError: no grid, or one that does not hold the tokens.
    """
    image_GDRS = tokens_to_image(x_BHND.flatten(0, 1), grid)
    made_GMD = image_to_tokens(
        functional.conv2d(image_GDRS, weight_DDKL, stride=weight_DDKL.shape[-1])
    )
    return made_GMD.reshape(*x_BHND.shape[:2], *made_GMD.shape[1:])


def sample(
    x_BHND: Tensor,
    kind: Landmarks,
    num_landmarks: int,
    weights: Mapping[str, Tensor],
    grid: tuple[int, int] | None,
) -> Tensor:
    """[B, H, M, D] landmarks of `kind`, with what `sampling_weights` learned or drew.

    ValueError: a grid is needed and missing, or does not hold the tokens.
    """
    if kind == "pool":
        return pooled(x_BHND, num_landmarks, grid)
    if kind == "conv":
        return convolved(x_BHND, weights, grid)
    if kind == "first":
        return x_BHND[:, :, :num_landmarks]
    return x_BHND.index_select(2, weights["landmark_index"])


def sampling_weights(
    shape: Shape, kind: Landmarks, num_landmarks: int, generator: torch.Generator
) -> dict[str, Tensor]:
    """What landmarks of `kind` learn (conv) or draw (random). Raises Unsupported: no such stride.

    `landmark_conv` is [D, D, r, r] without bias; `landmark_norm_*` is the LayerNorm's scale and
    shift; `landmark_index` is M distinct token numbers, one draw for all heads.
    """
    if kind == "random":
        order_N = torch.randperm(shape.seq_len, generator=generator)
        return {"landmark_index": order_N[:num_landmarks].sort().values}
    if kind != "conv":
        return {}
    width = shape.head_dim
    return {
        "landmark_conv": strided_weight(shape, num_landmarks, generator),
        "landmark_norm_weight": nn.Parameter(torch.ones(width)),
        "landmark_norm_bias": nn.Parameter(torch.zeros(width)),
    }


def strided_weight(shape: Shape, number: int, generator: torch.Generator) -> Tensor:
    """The [D, D, r, r] that `strided` learns for `number` tokens. Raises Unsupported: no such r."""
    width, stride = shape.head_dim, conv_stride(shape, number)
    fan_in = width * stride**2
    return uniform(width, width, stride, stride, fan_in=fan_in, generator=generator)


def _means(x_BHND: Tensor, number: int, length: int) -> Tensor:
    x_BHMLD = x_BHND.reshape(*x_BHND.shape[:2], number, length, x_BHND.shape[3])
    return x_BHMLD.mean(3)
