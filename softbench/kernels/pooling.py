"""Landmarks by pooling queries over windows, their gradient added in place to the queries' own.

A mean over windows of a token grid or of a row of tokens, times D^(-1/4). By itself its gradient
would be a tensor as large as the queries, and their sum another pass over both; here `with_queries`
hands the queries on, takes their gradient back and adds to it where it lies.
"""

from __future__ import annotations

import ctypes
from collections.abc import Sequence
from typing import Any, cast

import torch
from torch import Tensor

from softbench.kernels import _compiled
from softbench.kernels._layout import check_windows
from softbench.kernels._operators import operator
from softbench.kernels.low_rank import refuse_second


def with_queries(
    q_BHND: Tensor, rows: Sequence[int], columns: Sequence[int], width: int
) -> tuple[Tensor, Tensor]:
    """The queries as they are, [B, H, N, D], and their landmarks [B, H, M, D].

    rows, columns: where the windows of each side begin, then where they end; width: tokens in a
    row of the grid. Landmarks are numbered row by row. What uses the queries must use those given
    back, and nothing else may, for their gradient is changed in place. ValueError: windows that do
    not cover the tokens.
    """
    check_windows(q_BHND.shape[2], rows, columns, width)
    given = (q_BHND, rows, columns, width)
    if not torch.is_grad_enabled():
        return q_BHND, torch.ops.softbench.pooled.default(*given)
    return cast(tuple[Tensor, Tensor], _Pooled.apply(*given))  # type: ignore[no-untyped-call]


class _Pooled(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, q: Tensor, rows: Sequence[int], columns: Sequence[int], width: int
    ) -> tuple[Tensor, Tensor]:
        ctx.windows = (rows, columns, width)
        return q.view_as(q), torch.ops.softbench.pooled.default(q, rows, columns, width)

    @staticmethod
    def backward(ctx: Any, dq: Tensor, dl: Tensor) -> tuple[Tensor, None, None, None]:
        refuse_second("pooling")
        torch.ops.softbench.add_pooled_gradient.default(dq, dl, *ctx.windows)
        return dq, None, None, None


def _pooled(q: Tensor, rows: Sequence[int], columns: Sequence[int], width: int) -> Tensor:
    q = q if q.stride(-1) == 1 else q.contiguous()
    landmarks = _landmarks(q, rows, columns)
    _run("pooled", (q, landmarks), q, (rows, columns, width))
    return landmarks


def _empty_pooled(q: Tensor, rows: Sequence[int], columns: Sequence[int], width: int) -> Tensor:
    return _landmarks(q, rows, columns)


def _add_gradient(
    dq: Tensor, dl: Tensor, rows: Sequence[int], columns: Sequence[int], width: int
) -> None:
    rows_of_tokens = dq if dq.stride(-1) == 1 else dq.contiguous()
    _run("pooled_gradient", (dl.contiguous(), rows_of_tokens), dq, (rows, columns, width))
    if rows_of_tokens is not dq:
        dq.copy_(rows_of_tokens)


def _nothing(
    dq: Tensor, dl: Tensor, rows: Sequence[int], columns: Sequence[int], width: int
) -> None:
    return None


def _landmarks(q: Tensor, rows: Sequence[int], columns: Sequence[int]) -> Tensor:
    """Empty, for one landmark each window."""
    return q.new_empty((*q.shape[:2], len(rows) * len(columns) // 4, q.shape[-1]))


def _run(
    name: str,
    tensors: Sequence[Tensor],
    q: Tensor,
    windows: tuple[Sequence[int], Sequence[int], int],
) -> None:
    check_windows(q.shape[2], *windows)
    sizes = _compiled.sizes_of(q.shape, 0, q.shape[3] ** -0.25)
    given = (ctypes.byref(sizes), ctypes.byref(_compiled.windows(*windows)))
    _compiled.call(name, q.dtype, *given, _compiled.operands(tensors))


operator("pooled", _pooled, _empty_pooled)
operator("add_pooled_gradient", _add_gradient, _nothing, changes=("dq",))
