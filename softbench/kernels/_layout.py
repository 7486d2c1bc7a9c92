"""Tensors as the compiled kernels take them and as they give them back.

Kernels read rows of whole vectors, one number after the other; batch, head and row strides are
free. What is made is laid out by a rule of shapes alone, so that it can be told where nothing runs.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional

from softbench.kernels import _compiled


def check_alike(q_BHND: Tensor, v_BHND: Tensor) -> None:
    """ValueError unless both have four dimensions, the same sizes, dtype and device."""
    if q_BHND.dtype not in _compiled.DTYPES:
        raise ValueError(f"the kernels compute in float32 or float64, not in {q_BHND.dtype}")
    for name in ("shape", "dtype", "device"):
        of_q, of_v = getattr(q_BHND, name), getattr(v_BHND, name)
        if of_q != of_v or q_BHND.dim() != 4:
            raise ValueError(
                f"backend fused needs q and v of one {name}, [B, H, N, D]: q has {of_q}, v {of_v}; "
                "take eager, or make them alike"
            )


def check_landmarks(q_BHND: Tensor, landmarks_BHMD: Tensor, inverse_BHMM: Tensor) -> None:
    """ValueError unless landmarks and an inverse of as many fit the queries, dtype and device."""
    batch, heads, _, width = q_BHND.shape
    number = landmarks_BHMD.shape[-2]
    wanted = ((batch, heads, number, width), (batch, heads, number, number))
    for name, x, shape in zip(
        ("landmarks", "the inverse"), (landmarks_BHMD, inverse_BHMM), wanted, strict=True
    ):
        if x.shape != shape or x.dtype != q_BHND.dtype or x.device != q_BHND.device:
            raise ValueError(
                f"{name} must be {list(shape)}, {q_BHND.dtype} on {q_BHND.device}, for queries "
                f"{list(q_BHND.shape)}; got {list(x.shape)}, {x.dtype} on {x.device}"
            )


def check_windows(tokens: int, rows: Sequence[int], columns: Sequence[int], width: int) -> None:
    """ValueError unless windows cover a grid of so many tokens, its rows `width` long, and no more.

    rows, columns: where the windows of each side begin, then where they end.
    """
    for edges in (rows, columns):
        begins, ends = edges[: len(edges) // 2], edges[len(edges) // 2 :]
        windows = zip(begins, ends, strict=False)
        if len(begins) != len(ends) or not all(0 <= a <= b <= ends[-1] for a, b in windows):
            raise ValueError(
                f"windows begin at {list(begins)} and end at {list(ends)}; none may end before it "
                "begins, and the last must end last"
            )
    if not rows or not columns or rows[-1] * width != tokens or columns[-1] != width:
        raise ValueError(
            f"windows over {rows[-1:]} rows and {columns[-1:]} columns of a grid {width} wide do "
            f"not cover {tokens} tokens"
        )


def padded(x: Tensor) -> Tensor:
    """`x` with its last dimension in one piece and filled up to whole vectors."""
    missing = -x.shape[-1] % _compiled.lanes(x.dtype)
    if missing:
        return functional.pad(x, (0, missing)).contiguous()
    return x if x.stride(-1) == 1 else x.contiguous()


def made_like(x: Tensor) -> Tensor:
    """Empty, of the shape of `x` [B, H, N, D]; where `x` lies as [B, N, H, D], so does this."""
    if x.transpose(1, 2).is_contiguous() and not x.is_contiguous():
        batch, heads, tokens, width = x.shape
        return x.new_empty((batch, tokens, heads, width)).transpose(1, 2)
    return x.new_empty(x.shape)


def cut(x: Tensor, like: Tensor) -> Tensor:
    """`x` as wide as `like`, and laid out as `made_like(like)`."""
    if x.shape == like.shape:
        return x
    return made_like(like).copy_(x[..., : like.shape[-1]])


def narrowed(x: Tensor, width: int) -> Tensor:
    """The first `width` columns of `x`, in one piece."""
    return x[..., :width].contiguous()


def empty_of(x: Tensor) -> Tensor:
    """Empty, of the shape of `x`, in one piece."""
    return torch.empty(x.shape, dtype=x.dtype, device=x.device)
