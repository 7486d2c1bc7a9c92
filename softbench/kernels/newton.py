"""SOFT's Newton iteration on the CPU, compiled: what `softbench.inverse.newton` computes.

Small matrices, many products: called one by one from PyTorch, most of the time goes into the calls.
"""

from __future__ import annotations

import ctypes
from typing import cast

import torch
from torch import Tensor

from softbench.inverse._implicit import implicit_inverse
from softbench.kernels import _compiled


def invert(a_BHMM: Tensor, *, num_iters: int, ridge: float) -> Tensor:
    """[B, H, M, M]: X after `num_iters` steps, with the implicit gradient; float32 or float64.

    ValueError: a `num_iters` below 1.
    """
    if num_iters < 1:
        raise ValueError(f"num_iters is {num_iters}; newton needs at least 1 step")
    return implicit_inverse(
        a_BHMM,
        lambda a: cast(Tensor, torch.ops.softbench.newton(a.contiguous(), num_iters, ridge)),
    )


@torch.library.custom_op("softbench::newton", mutates_args=(), device_types="cpu")
def _newton(a: Tensor, num_iters: int, ridge: float) -> Tensor:
    x = torch.empty_like(a)
    batch, heads, landmarks, _ = a.shape
    threads = min(torch.get_num_threads(), batch * heads)
    sizes = ctypes.byref(_compiled.Sizes(batch, heads, 0, landmarks, 0, threads, 0.0))
    steps, shift = ctypes.c_int64(num_iters), ctypes.c_double(ridge)
    _compiled.call("newton", a.dtype, sizes, steps, shift, _compiled.operands((a, x)))
    return x


@_newton.register_fake
def _(a: Tensor, num_iters: int, ridge: float) -> Tensor:
    return torch.empty_like(a)
