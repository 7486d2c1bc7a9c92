"""X of SOFT on the CPU, compiled: the landmarks' Gaussian kernel inverted by Newton's steps.

What `softbench.inverse.newton` computes of `A_ij = exp(-½‖L_i - L_j‖²)`, with the gradient of an
inverse (Lu et al., SOFT, arXiv 2110.11945, eq. 9 and Algorithm 2). The matrices are small and their
products many: called one by one from PyTorch, most of the time goes into the calls. Half of each
symmetric product is computed and the other half copied.
"""

from __future__ import annotations

import ctypes
from typing import Any, cast

import torch
from torch import Tensor

from softbench.kernels import _compiled
from softbench.kernels._layout import empty_of, narrowed, padded
from softbench.kernels._operators import operator
from softbench.kernels.low_rank import refuse_second


def inverse(landmarks_BHMD: Tensor, *, num_iters: int, ridge: float) -> Tensor:
    """[B, H, M, M]: X after `num_iters` steps; float32 or float64, on the CPU or meta.

    The landmarks are those of queries divided by D^(1/4). RuntimeError: a backward pass with
    create_graph=True. ValueError: a `num_iters` below 1.
    """
    if num_iters < 1:
        raise ValueError(f"num_iters is {num_iters}; newton needs at least 1 step")
    given = (landmarks_BHMD, num_iters, ridge)
    if not torch.is_grad_enabled():
        return cast(Tensor, torch.ops.softbench.landmark_inverse.default(*given))
    return cast(Tensor, _Inverse.apply(*given))  # type: ignore[no-untyped-call]


class _Inverse(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, landmarks: Tensor, num_iters: int, ridge: float) -> Tensor:
        x = torch.ops.softbench.landmark_inverse.default(landmarks, num_iters, ridge)
        ctx.save_for_backward(landmarks, x)
        return cast(Tensor, x)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None, None]:
        refuse_second("the inverse")
        dl = torch.ops.softbench.landmark_inverse_backward.default(grad, *ctx.saved_tensors)
        return dl, None, None


def _inverse(landmarks: Tensor, num_iters: int, ridge: float) -> Tensor:
    x = _matrices(landmarks)
    landmarks = padded(landmarks).contiguous()
    steps, shift = ctypes.c_int64(num_iters), ctypes.c_double(ridge)
    _run("inverse", landmarks, (steps, shift), (landmarks, x))
    return x


def _empty_inverse(landmarks: Tensor, num_iters: int, ridge: float) -> Tensor:
    return _matrices(landmarks)


def _backward(grad: Tensor, landmarks: Tensor, x: Tensor) -> Tensor:
    wide = padded(landmarks).contiguous()
    made = empty_of(wide)
    _run("inverse_gradient", wide, (), (wide, x, grad.contiguous(), made))
    return narrowed(made, landmarks.shape[-1])


def _empty_backward(grad: Tensor, landmarks: Tensor, x: Tensor) -> Tensor:
    return empty_of(landmarks)


def _matrices(landmarks: Tensor) -> Tensor:
    """Empty, [B, H, M, M]."""
    return landmarks.new_empty((*landmarks.shape[:3], landmarks.shape[2]))


def _run(name: str, landmarks: Tensor, given: tuple[Any, ...], tensors: tuple[Tensor, ...]) -> None:
    sizes = _compiled.sizes_of(landmarks.shape, landmarks.shape[2], 1.0)
    scratch = _compiled.scratch(name, landmarks, sizes)
    memory = ctypes.c_void_p(scratch.data_ptr())
    operands = _compiled.operands(tensors)
    _compiled.call(name, landmarks.dtype, ctypes.byref(sizes), *given, operands, memory)


operator("landmark_inverse", _inverse, _empty_inverse)
operator("landmark_inverse_backward", _backward, _empty_backward)
