"""Nyströmformer's iteration towards a pseudo-inverse, of third order and from a cheap start.

Xiong et al., "Nyströmformer: A Nyström-Based Algorithm for Approximating Self-Attention", AAAI
2021, arXiv 2102.03902, eq. 11: `Z ← ¼ Z (13 I - A Z (15 I - A Z (7 I - A Z)))` from `Z_0 = Aᵀ/c`.

What it computes: six steps do not converge on the matrices that attention makes, and a true
pseudo-inverse differs from the result several times over; the number of steps is part of the
mechanism's definition.

The rows of A sum to one, so that c, its largest column sum, is `‖A‖₁ ‖A‖_∞`: of each matrix
(`exact`), or of all matrices of the batch (`original`, the authors' first code).
"""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor

from softbench.inverse._precision import full_precision

PinvInit = Literal["exact", "original"]


def pseudo_inverse(a_BHMM: Tensor, *, num_iters: int, init: PinvInit) -> Tensor:
    """`num_iters` steps of eq. 11 from non-negative `a_BHMM`, whose rows sum to one.

    Give it float32 or wider. Gradients are through every step, and through c.
    """
    with full_precision(a_BHMM.device):
        identity_MM = torch.eye(a_BHMM.shape[-1], dtype=a_BHMM.dtype, device=a_BHMM.device)
        z_BHMM = a_BHMM.mT / _column_sum(a_BHMM, init)
        for _ in range(num_iters):
            az_BHMM = a_BHMM @ z_BHMM
            inner_BHMM = 15 * identity_MM - az_BHMM @ (7 * identity_MM - az_BHMM)
            z_BHMM = 0.25 * z_BHMM @ (13 * identity_MM - az_BHMM @ inner_BHMM)
        return z_BHMM


def flops(m: int, num_iters: int, *, passes: int) -> int:
    """FLOPs for one m × m matrix: four products a step, `passes` times with their gradients."""
    return passes * num_iters * 4 * 2 * m**3


def _column_sum(a_BHMM: Tensor, init: PinvInit) -> Tensor:
    """c as [B, H, 1, 1], or as [1, 1, 1, 1] for the whole batch."""
    sums_BH1M = a_BHMM.sum(-2, keepdim=True)
    return sums_BH1M.amax(3 if init == "exact" else (0, 1, 3), keepdim=True)
