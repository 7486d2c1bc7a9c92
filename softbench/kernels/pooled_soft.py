"""All of SOFT with pooled landmarks and Newton's iteration on the CPU, in one operator.

What `pooling`, `landmark_inverse` and `low_rank` compute one after the other (Lu et al., SOFT,
arXiv 2110.11945, Algorithm 1), head by head: what one step leaves in the caches is there for the
next, and the next head's tokens are fetched while the iteration needs no memory. Short inputs are
spared two calls from Python.
"""

from __future__ import annotations

import ctypes
from collections.abc import Sequence
from typing import Any, cast

import torch
from torch import Tensor

from softbench.kernels import _compiled
from softbench.kernels._layout import check_alike, check_windows, cut, made_like, narrowed, padded
from softbench.kernels._operators import operator
from softbench.kernels.low_rank import Four, refuse_second

Five = tuple[Tensor, Tensor, Tensor, Tensor, Tensor]
Windows = tuple[Sequence[int], Sequence[int], int]


def pooled_soft(
    q_BHND: Tensor, v_BHND: Tensor, windows: Windows, num_iters: int, ridge: float
) -> Tensor:
    """[B, H, N, D], laid out as v is; float32 or float64, on the CPU or meta.

    windows: begins and ends of rows, of columns, and the tokens in a row of the grid, as
    `pooling.with_queries` takes them. RuntimeError: a backward pass with create_graph=True.
    ValueError: a `num_iters` below 1; queries and values not alike; windows that do not fit them.
    """
    check_alike(q_BHND, v_BHND)
    check_windows(q_BHND.shape[2], *windows)
    if num_iters < 1:
        raise ValueError(f"num_iters is {num_iters}; newton needs at least 1 step")
    given = (q_BHND, v_BHND, *windows, num_iters, ridge)
    if not torch.is_grad_enabled():
        return cast(Tensor, torch.ops.softbench.soft_alone.default(*given))
    return cast(Tensor, _Soft.apply(*given))  # type: ignore[no-untyped-call]


class _Soft(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        q: Tensor,
        v: Tensor,
        rows: Sequence[int],
        columns: Sequence[int],
        width: int,
        num_iters: int,
        ridge: float,
    ) -> Tensor:
        windows = (rows, columns, width)
        out, *kept = torch.ops.softbench.soft.default(q, v, *windows, num_iters, ridge)
        ctx.save_for_backward(q, v, *kept)
        ctx.windows = windows
        return cast(Tensor, out)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        refuse_second("soft")
        dq, dv = torch.ops.softbench.soft_backward.default(grad, *ctx.saved_tensors, *ctx.windows)
        return dq, dv, None, None, None, None, None


def _forward(
    q: Tensor,
    v: Tensor,
    rows: Sequence[int],
    columns: Sequence[int],
    width: int,
    num_iters: int,
    ridge: float,
) -> Five:
    inputs = padded(q), padded(v)
    out, kept = made_like(inputs[1]), _kept(inputs[0], rows, columns)
    steps, shift = ctypes.c_int64(num_iters), ctypes.c_double(ridge)
    windows = ctypes.byref(_compiled.windows(rows, columns, width))
    _run("soft", q.shape[-1], inputs, (out, *kept), (windows, steps, shift), _number(rows, columns))
    sums, weights, landmarks = (narrowed(one, q.shape[-1]) for one in kept[:3])
    return cut(out, v), sums, weights, landmarks, kept[3]


def _empty_forward(
    q: Tensor,
    v: Tensor,
    rows: Sequence[int],
    columns: Sequence[int],
    width: int,
    num_iters: int,
    ridge: float,
) -> Five:
    return made_like(v), *_kept(q, rows, columns)


def _alone(
    q: Tensor,
    v: Tensor,
    rows: Sequence[int],
    columns: Sequence[int],
    width: int,
    num_iters: int,
    ridge: float,
) -> Tensor:
    """As `_forward`, with nothing kept for a gradient."""
    inputs = padded(q), padded(v)
    out = made_like(inputs[1])
    steps, shift = ctypes.c_int64(num_iters), ctypes.c_double(ridge)
    given = (ctypes.byref(_compiled.windows(rows, columns, width)), steps, shift)
    _run("soft_alone", q.shape[-1], inputs, (out,), given, _number(rows, columns))
    return cut(out, v)


def _empty_alone(
    q: Tensor,
    v: Tensor,
    rows: Sequence[int],
    columns: Sequence[int],
    width: int,
    num_iters: int,
    ridge: float,
) -> Tensor:
    return made_like(v)


def _backward(
    grad: Tensor,
    q: Tensor,
    v: Tensor,
    sums: Tensor,
    weights: Tensor,
    landmarks: Tensor,
    x: Tensor,
    rows: Sequence[int],
    columns: Sequence[int],
    width: int,
) -> tuple[Tensor, Tensor]:
    inputs = [padded(q), padded(v), padded(landmarks).contiguous()]
    rest = [padded(grad), *(padded(one).contiguous() for one in (sums, weights))]
    dq, dv = made_like(inputs[0]), made_like(inputs[1])
    windows = ctypes.byref(_compiled.windows(rows, columns, width))
    given = (*inputs, x.contiguous(), *rest)
    _run("soft_gradient", q.shape[-1], given, (dq, dv), (windows,), landmarks.shape[2])
    return cut(dq, q), cut(dv, v)


def _empty_backward(
    grad: Tensor,
    q: Tensor,
    v: Tensor,
    sums: Tensor,
    weights: Tensor,
    landmarks: Tensor,
    x: Tensor,
    rows: Sequence[int],
    columns: Sequence[int],
    width: int,
) -> tuple[Tensor, Tensor]:
    return made_like(q), made_like(v)


def _kept(q: Tensor, rows: Sequence[int], columns: Sequence[int]) -> Four:
    """Pᵀ v, X Pᵀ v, landmarks and X, not yet computed."""
    number = _number(rows, columns)
    sums, weights, landmarks = (q.new_empty((*q.shape[:2], number, q.shape[-1])) for _ in range(3))
    return sums, weights, landmarks, q.new_empty((*q.shape[:2], number, number))


def _number(rows: Sequence[int], columns: Sequence[int]) -> int:
    """Of the windows, and so of the landmarks."""
    return len(rows) * len(columns) // 4


def _run(
    name: str,
    width: int,
    inputs: Sequence[Tensor],
    outputs: Sequence[Tensor],
    given: Sequence[Any],
    num_landmarks: int,
) -> None:
    """width: of a head before it was filled up; given: what stands before the tensors."""
    q = inputs[0]
    sizes = _compiled.sizes_of(q.shape, num_landmarks, width**-0.25)
    scratch = _compiled.scratch(name, q, sizes)
    tensors = (_compiled.operands(inputs), _compiled.operands(outputs))
    memory = ctypes.c_void_p(scratch.data_ptr())
    _compiled.call(name, q.dtype, ctypes.byref(sizes), *given, *tensors, memory)


operator("soft", _forward, _empty_forward)
operator("soft_alone", _alone, _empty_alone)
operator("soft_backward", _backward, _empty_backward)
