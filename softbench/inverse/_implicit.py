"""The gradient of a matrix inverse from its result alone, for any solver.

From X A = I: dX = -X dA X, so the gradient of a loss with G = dL/dX is -Xᵀ G Xᵀ (Lu et al., "SOFT:
Softmax-free Transformer with Linear Complexity", NeurIPS 2021, arXiv 2110.11945). It is the
gradient of the true inverse with the solver's X put in; where the solver has not converged it is
neither that of the inverse nor that of the iterations.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

import torch
from torch import Tensor

from softbench.inverse._precision import full_precision


def implicit_inverse(a_BHMM: Tensor, solve: Callable[[Tensor], Tensor]) -> Tensor:
    """`solve(a_BHMM)`, run without a graph, with the gradient -Xᵀ G Xᵀ.

    RuntimeError: a backward pass with create_graph=True, as a second derivative of this formula
    would not be that of the solver.
    """
    return cast(Tensor, _ImplicitInverse.apply(a_BHMM, solve))  # type: ignore[no-untyped-call]


class _ImplicitInverse(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, a_BHMM: Tensor, solve: Callable[[Tensor], Tensor]) -> Tensor:
        x_BHMM = solve(a_BHMM)
        ctx.save_for_backward(x_BHMM)
        return x_BHMM

    @staticmethod
    def backward(ctx: Any, grad_BHMM: Tensor) -> tuple[Tensor, None]:
        # once_differentiable would pass where `grad` is a constant, and drop a term unseen.
        if torch.is_grad_enabled() and not torch.compiler.is_compiling():
            raise RuntimeError("the implicit gradient has no second one; use gradient='unrolled'")
        (x_BHMM,) = ctx.saved_tensors
        with full_precision(x_BHMM.device):
            return -(x_BHMM.mT @ grad_BHMM @ x_BHMM.mT), None
