"""Newton's iteration with a line search on its first step, as the normalised SOFT has it.

Lu et al., "Softmax-free Linear Transformers", IJCV 2024, arXiv 2207.03341, released code:
`X_0 = α A` and `X ← 2X - X A X`, with α = 2/(largest row sum)², halved at most ten times while the
largest column sum of `|I - A (α A)|` is above 1.01. No ridge; gradients through every step.

Differences from the authors' code:
- The search forms no matrix. For a symmetric A without negative entries the column sums of
  `|I - α A²|` are `|1 - α d_j| + α o_j`, with d the diagonal of A² and o the rest of its column,
  and both are sums over A: all ten tests cost less than one product, and none waits for a device.
- `scope="matrix"` searches for every matrix by itself; the authors' one α and one decision for the
  whole batch (`"batch"`) make an output depend on what else is in the batch.
"""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor

from softbench.attention._newton_steps import Steps, plain
from softbench.inverse._precision import full_precision

Scope = Literal["matrix", "batch"]
MOST_HALVINGS = 10
LARGEST_RESIDUAL = 1.01


def invert_by_line_search(
    a_BHMM: Tensor, *, num_iters: int, scope: Scope, steps: Steps = plain
) -> Tensor:
    """`num_iters` Newton steps towards the inverse of `a_BHMM`, without an early stop.

    Takes symmetric matrices without negative entries, in float32 or wider.
    """
    with full_precision(a_BHMM.device):
        return steps(a_BHMM, step_size(a_BHMM, scope) * a_BHMM, num_iters)


def flops(m: int, num_iters: int, *, passes: int) -> int:
    """FLOPs for one m × m matrix: two products a step, `passes` times with their gradients."""
    return passes * num_iters * 2 * 2 * m**3


def step_size(a_BHMM: Tensor, scope: Scope) -> Tensor:
    """α, as [B, H, 1, 1] or for the batch as [1, 1, 1, 1]; its gradient is that of the row sum."""
    largest = _largest(a_BHMM.sum(-1, keepdim=True), scope)
    alpha = 2 / largest**2
    return alpha * 0.5 ** _halvings(a_BHMM.detach(), alpha.detach(), scope)


def _halvings(a_BHMM: Tensor, alpha: Tensor, scope: Scope) -> Tensor:
    """How often α is halved before the residual is small enough, in the layout of α."""
    square_diagonal_BHM1 = (a_BHMM * a_BHMM.mT).sum(-1, keepdim=True)
    column_sum_BHM1 = a_BHMM.sum(-2)[..., None]
    square_column_BHM1 = (column_sum_BHM1 * a_BHMM).sum(-2)[..., None]
    tried = torch.arange(MOST_HALVINGS, dtype=a_BHMM.dtype, device=a_BHMM.device)
    alphas = alpha * 0.5**tried
    residual_BHMT = (1 - alphas * square_diagonal_BHM1).abs() + alphas * (
        square_column_BHM1 - square_diagonal_BHM1
    )
    # Convex in α and 1 for α = 0: a residual that is small stays small, and counting is searching.
    too_large = _largest(residual_BHMT, scope) > LARGEST_RESIDUAL
    return too_large.to(a_BHMM.dtype).sum(-1, keepdim=True)


def _largest(x_BHMT: Tensor, scope: Scope) -> Tensor:
    """The maximum over rows, of each matrix or of all, with every dimension kept."""
    return x_BHMT.amax(2 if scope == "matrix" else (0, 1, 2), keepdim=True)
