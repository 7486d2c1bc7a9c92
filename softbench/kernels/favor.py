"""Attention by random features on the CPU, block by block: `out = φ_q (φ_kᵀ v) / (φ_q Σ φ_k)`.

Choromanski et al., "Rethinking Attention with Performers", arXiv 2009.14794. Features of a block of
tokens are made, used and dropped before they leave the cache; no [N, R] is ever held. The backward
makes them once more. What stands here gives PyTorch operators for it, so that shapes flow on the
meta device and every call is seen when dispatched.

Second derivatives are refused: the backward is not itself differentiated.
"""

from __future__ import annotations

from typing import Any, cast

import torch
from torch import Tensor

from softbench.kernels import _favor_backward, _favor_forward
from softbench.kernels._favor_blocks import Kind
from softbench.kernels._operators import operator
from softbench.kernels.low_rank import refuse_second

Outputs = tuple[Tensor, Tensor, Tensor, Tensor, Tensor, Tensor]
Three = tuple[Tensor, Tensor, Tensor]


def favor(q_BHND: Tensor, k_BHND: Tensor, v_BHND: Tensor, w_RD: Tensor, kind: Kind) -> Tensor:
    """[B, H, N, D] laid out as v is; float32 or float64, on the CPU or meta; no gradient of W.

    Queries and keys are divided by D^(1/4) inside. RuntimeError: a backward pass with
    create_graph=True.
    """
    return cast(Tensor, _Favor.apply(q_BHND, k_BHND, v_BHND, w_RD, *kind))  # type: ignore[no-untyped-call]


class _Favor(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, q: Tensor, k: Tensor, v: Tensor, w: Tensor, *kind: bool | float
    ) -> Tensor:
        out, *kept = torch.ops.softbench.favor.default(q, k, v, w, *kind)
        ctx.save_for_backward(q, k, v, w, out, *kept)
        ctx.kind = kind
        return cast(Tensor, out)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        refuse_second("performer")
        dq, dk, dv = torch.ops.softbench.favor_backward.default(grad, *ctx.saved_tensors, *ctx.kind)
        return dq, dk, dv, None, None, None, None


def _forward(
    q: Tensor, k: Tensor, v: Tensor, w: Tensor, relu: bool, epsilon: float, detach_max: bool
) -> Outputs:
    made = _empty(q, v, w)
    _favor_forward.forward((q, k, v, w), made, Kind(relu, epsilon, detach_max))
    return made


def _empty_forward(
    q: Tensor, k: Tensor, v: Tensor, w: Tensor, relu: bool, epsilon: float, detach_max: bool
) -> Outputs:
    return _empty(q, v, w)


def _backward(
    grad: Tensor,
    q: Tensor,
    k: Tensor,
    v: Tensor,
    w: Tensor,
    out: Tensor,
    sums: Tensor,
    shift_q: Tensor,
    shift_k: Tensor,
    denominators: Tensor,
    largest: Tensor,
    relu: bool,
    epsilon: float,
    detach_max: bool,
) -> Three:
    gradients = torch.empty_like(q), torch.empty_like(k), torch.empty_like(v)
    kept = (out, sums, shift_q, shift_k, denominators, largest)
    _favor_backward.backward(grad, (q, k, v, w), kept, gradients, Kind(relu, epsilon, detach_max))
    return gradients


def _empty_backward(grad: Tensor, q: Tensor, k: Tensor, v: Tensor, *rest: Any) -> Three:
    return torch.empty_like(q), torch.empty_like(k), torch.empty_like(v)


def _empty(q: Tensor, v: Tensor, w: Tensor) -> Outputs:
    """The output, and what the backward needs of each head and token.

    Those are Σ φ_k [v, 1]; what is taken off u for each query and each key; denominators; and the
    maximum of all keys.
    """
    of_token = (*q.shape[:3], 1)
    sizes = ((*q.shape[:2], w.shape[0], v.shape[-1] + 1), of_token, of_token, of_token)
    sums, shift_q, shift_k, denominators = (q.new_empty(size) for size in sizes)
    largest = q.new_empty((*q.shape[:2], 1, 1))
    return torch.empty_like(v), sums, shift_q, shift_k, denominators, largest


operator("favor", _forward, _empty_forward)
operator("favor_backward", _backward, _empty_backward)
