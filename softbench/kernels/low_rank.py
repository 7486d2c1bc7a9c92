"""Low-rank Gaussian attention on the CPU in one pass over the tokens: `out = P X Pᵀ v`.

`P_ij = exp(-½‖q_i/D^(1/4) - L_j‖²)` (Lu et al., SOFT, arXiv 2110.11945, eqs. 5 and 9). Tiles of P
are made, used and kept for one head only; the backward makes them once more and needs no N × M
tensor either. The arithmetic is in cpu/, compiled at installation; what stands here gives PyTorch
operators for it, so that shapes flow on the meta device and every call is seen when dispatched.

Second derivatives are refused: the backward is not itself differentiated.
"""

from __future__ import annotations

import ctypes
from collections.abc import Sequence
from typing import Any, cast

import torch
from torch import Tensor

from softbench.kernels import _compiled
from softbench.kernels._layout import (
    check_alike,
    check_landmarks,
    cut,
    empty_of,
    made_like,
    narrowed,
    padded,
)
from softbench.kernels._operators import operator

Triple = tuple[Tensor, Tensor, Tensor]
Four = tuple[Tensor, Tensor, Tensor, Tensor]


def low_rank(
    q_BHND: Tensor, landmarks_BHMD: Tensor, inverse_BHMM: Tensor, v_BHND: Tensor
) -> Tensor:
    """[B, H, N, D] = P X (Pᵀ v), laid out as v is; float32 or float64, on the CPU or meta.

    The queries are divided by D^(1/4) inside, the landmarks are not. RuntimeError: a backward pass
    with create_graph=True. ValueError: queries and values, or landmarks and inverse, do not fit.
    """
    check_alike(q_BHND, v_BHND)
    check_landmarks(q_BHND, landmarks_BHMD, inverse_BHMM)
    given = (q_BHND, landmarks_BHMD, inverse_BHMM, v_BHND)
    if not torch.is_grad_enabled():  # where a call takes microseconds, so does asking for gradients
        return cast(Tensor, torch.ops.softbench.low_rank.default(*given)[0])
    return cast(Tensor, _LowRank.apply(*given))  # type: ignore[no-untyped-call]


def is_built() -> bool:
    """Whether the compiled kernels are here, in a build that this processor runs."""
    return build() is not None


def build() -> str | None:
    """The instructions that the kernels here use: avx512, avx2 or plain; None without kernels."""
    return _compiled.build()


class _LowRank(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, q: Tensor, landmarks: Tensor, inverse: Tensor, v: Tensor) -> Tensor:
        out, given, taken = torch.ops.softbench.low_rank.default(q, landmarks, inverse, v)
        ctx.save_for_backward(q, landmarks, inverse, v, given, taken)
        return cast(Tensor, out)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> Four:
        refuse_second("low_rank")
        dq, dl, dx, dv = torch.ops.softbench.low_rank_backward.default(grad, *ctx.saved_tensors)
        return dq, dl, dx, dv


def refuse_second(name: str) -> None:
    """Raise RuntimeError where a graph of the backward itself is asked for."""
    if torch.is_grad_enabled() and not torch.compiler.is_compiling():
        raise RuntimeError(f"{name} of the fused backend has no second derivative; take eager")


def _forward(q: Tensor, landmarks: Tensor, inverse: Tensor, v: Tensor) -> Triple:
    width, wide_v = q.shape[-1], padded(v)
    wide_landmarks = padded(landmarks).contiguous()
    outputs = made_like(wide_v), empty_of(wide_landmarks), empty_of(wide_landmarks)
    _run("forward", (padded(q), wide_v, wide_landmarks, inverse.contiguous()), outputs, width)
    return cut(outputs[0], v), narrowed(outputs[1], width), narrowed(outputs[2], width)


def _empty_forward(q: Tensor, landmarks: Tensor, inverse: Tensor, v: Tensor) -> Triple:
    return made_like(v), empty_of(landmarks), empty_of(landmarks)


def _backward(
    grad: Tensor,
    q: Tensor,
    landmarks: Tensor,
    inverse: Tensor,
    v: Tensor,
    sums: Tensor,
    weights: Tensor,
) -> Four:
    width, wide_q, wide_v = q.shape[-1], padded(q), padded(v)
    of_landmarks = [padded(one).contiguous() for one in (landmarks, sums, weights)]
    inputs = (wide_q, wide_v, of_landmarks[0], inverse.contiguous(), padded(grad))
    outputs = made_like(wide_q), made_like(wide_v), empty_of(of_landmarks[0]), empty_of(inverse)
    _run("backward", (*inputs, *of_landmarks[1:]), outputs, width)
    return cut(outputs[0], q), narrowed(outputs[2], width), outputs[3], cut(outputs[1], v)


def _empty_backward(
    grad: Tensor,
    q: Tensor,
    landmarks: Tensor,
    inverse: Tensor,
    v: Tensor,
    sums: Tensor,
    weights: Tensor,
) -> Four:
    return made_like(q), empty_of(landmarks), empty_of(inverse), made_like(v)


def _run(name: str, inputs: Sequence[Tensor], outputs: Sequence[Tensor], width: int) -> None:
    q_BHND, landmarks_BHMD = inputs[0], inputs[2]
    sizes = _compiled.sizes_of(q_BHND.shape, landmarks_BHMD.shape[2], width**-0.25)
    scratch = _compiled.scratch(name, q_BHND, sizes)
    given, made = _compiled.operands(inputs), _compiled.operands(outputs)
    memory = ctypes.c_void_p(scratch.data_ptr())
    _compiled.call(name, q_BHND.dtype, ctypes.byref(sizes), given, made, memory)


operator("low_rank", _forward, _empty_forward)
operator("low_rank_backward", _backward, _empty_backward)
