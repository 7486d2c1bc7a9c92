"""Tensors drawn for a case, each from a stream of its own, named by (seed, role).

Values are drawn on the CPU in float32 and only then cast and moved: they do not depend on device,
dtype or on which other tensors a mechanism takes, so all mechanisms of a block see the same queries
and values. On the meta device nothing is drawn: shapes alone flow, the host allocates nothing.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F  # noqa: N812 - the field's own short name

from softbench.case import Case, Dtype, Shape, content_hash

SMOOTH_POINTS = 7


def draw(case: Case, role: str, *, smooth: bool = False) -> Tensor:
    """The tensor that plays `role` in `case`: [B, H, N, D], at layer level [B, N, C].

    `smooth` enlarges a 7×7 normal grid per batch element and channel bilinearly to the token grid
    (7 points linearly where the tokens have no grid), corner to corner; else N(0, 1).
    """
    shape = case.shape
    dtype = torch_dtype(case.dtype)
    if case.device == "meta":
        return _as_level(torch.empty(_by_heads(shape), dtype=dtype, device="meta"), case)
    generator = stream(case, role)
    values_BHND = _smooth(shape, generator) if smooth else _normal(shape, generator)
    return _as_level(values_BHND, case).to(device=case.device, dtype=dtype)


def torch_dtype(dtype: Dtype) -> torch.dtype:
    """The torch dtype of that name."""
    found: torch.dtype = getattr(torch, dtype)
    return found


def stream(case: Case, role: str) -> torch.Generator:
    """The generator of `role` in `case`; no two roles or seeds share one."""
    # Adjacent seeds give correlated Mersenne states; a hash of the name does not.
    seed = int(content_hash([case.seed, role], 15), 16)
    return torch.Generator().manual_seed(seed)


def _by_heads(shape: Shape) -> tuple[int, int, int, int]:
    return shape.batch_size, shape.num_heads, shape.seq_len, shape.head_dim


def _normal(shape: Shape, generator: torch.Generator) -> Tensor:
    return torch.randn(_by_heads(shape), generator=generator)


def _smooth(shape: Shape, generator: torch.Generator) -> Tensor:
    B, H, N, D = _by_heads(shape)
    grid = shape.grid or (N,)
    points = [SMOOTH_POINTS] * len(grid)
    field = torch.randn(B, H * D, *points, generator=generator)
    mode = "bilinear" if shape.grid else "linear"
    enlarged = F.interpolate(field, size=grid, mode=mode, align_corners=True)
    return enlarged.reshape(B, H, D, N).transpose(2, 3).contiguous()


def _as_level(values_BHND: Tensor, case: Case) -> Tensor:
    return values_BHND.transpose(1, 2).flatten(2) if case.level == "layer" else values_BHND
