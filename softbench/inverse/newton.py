"""Newton-Raphson iteration for a matrix inverse, as SOFT runs it: a fixed number of steps.

Lu et al., "SOFT: Softmax-free Transformer with Linear Complexity", NeurIPS 2021, arXiv 2110.11945,
Algorithm 2: `X_0 = α R`, `X_k = 2 X_{k-1} - X_{k-1} R X_{k-1}`, with `R = A + ridge·I`.

What it computes: for a symmetric A, with w an eigenvalue of R, after k steps the eigenvalue of X is
`(1 - (1 - α w²)^(2^k)) / w`. That is 1/w only where `α w² 2^k` is large. On small eigenvalues it is
about `2^k α w`, which vanishes with w: a spectral filter, not an inverse. With the ridge of 0.01
and 20 steps the result on smooth landmarks differs from `R⁻¹` by tens of per cent; that is part of
SOFT's definition.
It diverges where `α w²` passes 2: α is set without the ridge, so a ridge above 5 % of ‖A‖₁ is too
large for it.

Differences from the paper and the authors' code:
- A ridge is added and α taken from A before it: the paper has none, the authors' code has both.
- α is of each matrix by itself, as in the authors' code; the paper does not say.
- `gradient="unrolled"` differentiates through α and every step: neither source has it; it shows
  what the implicit gradient leaves out.
- Iterations run in float32 or wider with autocast and TF32 off: the error of a step squares
  itself, so a narrow product in the middle is never forgiven.
"""

from __future__ import annotations

from torch import Tensor

from softbench.inverse._solving import Gradient, Mode, iterated, iterated_flops, ridged


def invert(
    a_BHMM: Tensor, *, num_iters: int, ridge: float = 0.01, gradient: Gradient = "implicit"
) -> Tensor:
    """`num_iters` Newton steps towards the inverse of `a_BHMM + ridge·I`, without an early stop.

    Takes non-negative symmetric matrices [..., M, M]. `implicit` keeps only the result for the
    backward pass and uses `-Xᵀ G Xᵀ`, nothing through α or the steps; `unrolled` is plain
    autograd. ValueError: a `num_iters` below 1, another `gradient`. Source: Algorithm 2.
    """
    return iterated(
        a_BHMM,
        lambda a: _iterate(a, num_iters, ridge),
        num_iters=num_iters,
        gradient=gradient,
        solver="newton",
    )


def flops(
    m: int, num_iters: int, *, mode: Mode = "forward", gradient: Gradient = "implicit"
) -> int:
    """FLOPs of `invert` for one m × m matrix: two products a step, and those of the gradient."""
    return iterated_flops(m, 2 * num_iters, mode, gradient)


def _iterate(a_BHMM: Tensor, num_iters: int, ridge: float) -> Tensor:
    """Algorithm 2 with a ridge: X after `num_iters` steps from α (A + ridge·I)."""
    r_BHMM = ridged(a_BHMM, ridge)
    x_BHMM = _start(a_BHMM)[..., None, None] * r_BHMM
    for _ in range(num_iters):
        x_BHMM = 2 * x_BHMM - x_BHMM @ r_BHMM @ x_BHMM
    return x_BHMM


def _start(a_BHMM: Tensor) -> Tensor:
    """α = 0.9 · 2 / (largest row sum)² of each matrix: below 2/‖A‖², so that steps converge."""
    norm_BH = a_BHMM.sum(-1).amax(-1)
    return 0.9 * 2 / norm_BH**2
