"""Newton's steps `X ← 2X - X A X`, plain or with a backward pass that keeps clear of subnormals.

The gradient of a step is `G ← G (I - A X) + (I - X A) G`, for A and X symmetric. Once the steps
have converged, each of them takes G down by float32's rounding, a millionfold, and some way back it
is full of subnormal numbers, which take a processor up to a hundred times as long as others: where
a landmark stands for one or two tokens, four fifths of a call forward and backward went into
products that reach no digit of the result.

`lean` takes for zero what is below ε² of the largest gradient of its matrix. What one step back
adds to the gradient of A is `-X G X`. G no more than doubles from step to step, and X is halved
where it does, so that what was left out stays ε² of the whole. Where the gradient that comes in is
so small that ε² of it is subnormal, so is what is kept: as slow as before, and as right. Eager has
the plain steps: authors' code on a CPU takes as long.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

import torch
from torch import Tensor

from softbench.inverse._precision import full_precision
from softbench.kernels.low_rank import refuse_second

# X after a number of steps, from A and the first X.
Steps = Callable[[Tensor, Tensor, int], Tensor]


def plain(a_BHMM: Tensor, x_BHMM: Tensor, num_iters: int) -> Tensor:
    """[B, H, M, M]: X after `num_iters` steps, gradients by autograd."""
    for _ in range(num_iters):
        x_BHMM = 2 * x_BHMM - x_BHMM @ a_BHMM @ x_BHMM
    return x_BHMM


def lean(a_BHMM: Tensor, x_BHMM: Tensor, num_iters: int) -> Tensor:
    """As `plain`. RuntimeError: a backward pass with create_graph=True."""
    if not (torch.is_grad_enabled() and a_BHMM.requires_grad):
        return plain(a_BHMM, x_BHMM, num_iters)
    given = (a_BHMM.flatten(0, 1), x_BHMM.flatten(0, 1), num_iters)
    made_GMM = cast(Tensor, _Steps.apply(*given))  # type: ignore[no-untyped-call]
    return made_GMM.reshape(a_BHMM.shape)


class _Steps(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, a_GMM: Tensor, x_GMM: Tensor, num_iters: int) -> Tensor:
        kept = []
        for _ in range(num_iters):
            xa_GMM = x_GMM @ a_GMM
            kept += [x_GMM, xa_GMM]
            x_GMM = 2 * x_GMM - xa_GMM @ x_GMM
        ctx.save_for_backward(a_GMM, *kept)
        return x_GMM

    @staticmethod
    def backward(ctx: Any, g_GMM: Tensor) -> tuple[Tensor, Tensor, None]:
        refuse_second("soft_norm")
        a_GMM, *kept = ctx.saved_tensors
        da_GMM = torch.zeros_like(a_GMM)
        rounding = torch.finfo(g_GMM.dtype).eps
        least_G11 = rounding**2 * g_GMM.abs().amax((-2, -1), keepdim=True)
        with full_precision(g_GMM.device):
            for x_GMM, xa_GMM in zip(kept[-2::-2], kept[::-2], strict=True):
                gx_GMM = g_GMM @ x_GMM.mT
                da_GMM.baddbmm_(x_GMM.mT, gx_GMM, alpha=-1)
                before_GMM = torch.baddbmm(g_GMM, gx_GMM, a_GMM.mT, beta=2, alpha=-1)
                before_GMM.baddbmm_(xa_GMM.mT, g_GMM, alpha=-1)
                g_GMM = before_GMM.masked_fill_(before_GMM.abs() < least_G11, 0)
        return da_GMM, g_GMM, None
