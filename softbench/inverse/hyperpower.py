"""Nyströmformer's iteration for a pseudo-inverse: third order, four products a step.

Xiong et al., "Nyströmformer: A Nyström-Based Algorithm for Approximating Self-Attention", AAAI
2021, arXiv 2102.03902, eq. 11, after Razavi et al., "A New Iterative Method for Finding Approximate
Inverses of Complex Matrices", 2014: `Z_0 = Rᵀ/(‖R‖₁‖R‖_∞)`,
`Z_{k+1} = ¼ Z_k (13 I - R Z_k (15 I - R Z_k (7 I - R Z_k)))`, with `R = A + ridge·I`.

What it computes: with y an eigenvalue of R Z, a step takes 1 - y to `(1 - y)³ (1 - ¼ y)`: third
order near the inverse; far from it y grows by 13/4 a step, where Newton doubles it. A small
eigenvalue w of R starts at `y = w²/(‖R‖₁‖R‖_∞)`; while y is small the result there is about
`(13/4)^k w/(‖R‖₁‖R‖_∞)`: a spectral filter, not an inverse.

Differences from the paper:
- A ridge is added, as SOFT's solver has one; 0 gives the paper's.
- Norms are of each matrix by itself and of the matrix that is inverted, ridge included.
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

    Takes any matrices [..., M, M]. `unrolled` differentiates through the start and every step, as
    Nyströmformer does. ValueError: a `num_iters` below 1, another `gradient`. Source: eq. 11.
    """
    return iterated(
        a_BHMM,
        lambda a: _iterate(ridged(a, ridge), num_iters),
        num_iters=num_iters,
        gradient=gradient,
        solver="hyperpower",
    )


def flops(
    m: int, num_iters: int, *, mode: Mode = "forward", gradient: Gradient = "implicit"
) -> int:
    """FLOPs of `invert` for one m × m matrix: four products a step, and those of the gradient."""
    return iterated_flops(m, 4 * num_iters, mode, gradient)


def _iterate(r_BHMM: Tensor, num_iters: int) -> Tensor:
    identity_MM = identity_like(r_BHMM)
    sizes_BHMM = r_BHMM.abs()
    norms_BH = sizes_BHMM.sum(-2).amax(-1) * sizes_BHMM.sum(-1).amax(-1)
    z_BHMM = r_BHMM.mT / norms_BH[..., None, None]
    for _ in range(num_iters):
        rz_BHMM = r_BHMM @ z_BHMM
        inner_BHMM = 15 * identity_MM - rz_BHMM @ (7 * identity_MM - rz_BHMM)
        z_BHMM = 0.25 * z_BHMM @ (13 * identity_MM - rz_BHMM @ inner_BHMM)
    return z_BHMM
