"""Newton-Raphson iteration from a scaled identity, for symmetric positive-definite matrices.

`X_0 = I / ‖R‖₁`, `X_k = 2 X_{k-1} - X_{k-1} R X_{k-1}`, with `R = A + ridge·I`. The steps are those
of SOFT (Lu et al., NeurIPS 2021, arXiv 2110.11945, Algorithm 2; Schulz, "Iterative Berechnung der
reziproken Matrix", ZAMM 1933); the start is the polynomial of lowest degree that converges where
all eigenvalues are positive.

What it computes: with w an eigenvalue of R, after k steps the eigenvalue of X is
`(1 - (1 - w/‖R‖₁)^(2^k)) / w`: 1/w where `w 2^k` is well above ‖R‖₁, and about `2^k/‖R‖₁`, a
plateau, where it is below. Small eigenvalues so need the steps that κ asks for, where SOFT's start
needs those of κ²: half as many at a high κ. Before it has converged it is another filter than
SOFT's.

Differences from SOFT's solver:
- The start is the identity, not the matrix, over its norm: with a negative eigenvalue this one
  diverges, SOFT's does not.
- The norm is that of the matrix with its ridge: with that of A the largest eigenvalue could exceed
  the norm.
"""

from __future__ import annotations

from torch import Tensor

from softbench.inverse._solving import (
    Gradient,
    Mode,
    identity_like,
    iterated,
    iterated_flops,
    ridged,
)


def invert(
    a_BHMM: Tensor, *, num_iters: int, ridge: float = 0.01, gradient: Gradient = "implicit"
) -> Tensor:
    """`num_iters` steps towards the inverse of `a_BHMM + ridge·I`, without an early stop.

    Takes symmetric positive-semidefinite matrices [..., M, M]. `unrolled` differentiates through
    the start and every step. ValueError: a `num_iters` below 1, another `gradient`.
    """
    return iterated(
        a_BHMM,
        lambda a: _iterate(ridged(a, ridge), num_iters),
        num_iters=num_iters,
        gradient=gradient,
        solver="newton_spd",
    )


def flops(
    m: int, num_iters: int, *, mode: Mode = "forward", gradient: Gradient = "implicit"
) -> int:
    """FLOPs of `invert` for one m × m matrix: two products a step, and those of the gradient."""
    return iterated_flops(m, 2 * num_iters, mode, gradient)


def _iterate(r_BHMM: Tensor, num_iters: int) -> Tensor:
    norm_BH = r_BHMM.abs().sum(-2).amax(-1)
    x_BHMM = identity_like(r_BHMM) / norm_BH[..., None, None]
    for _ in range(num_iters):
        x_BHMM = 2 * x_BHMM - x_BHMM @ r_BHMM @ x_BHMM
    return x_BHMM
