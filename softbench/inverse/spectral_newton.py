"""What T steps of SOFT's Newton iteration compute, in one eigendecomposition.

SOFT's iteration (Lu et al., NeurIPS 2021, arXiv 2110.11945, Algorithm 2) starts from `α R`, with
`R = A + ridge·I` and `α = 0.9·2/‖A‖₁²`; every iterate is a polynomial of R, so it acts on each
eigenvalue w of R alone. From `1 - w x_k = (1 - w x_{k-1})²` follows, for `R = V diag(w) Vᵀ`,
`X_T = V diag(f(w)) Vᵀ` with `f(w) = (1 - (1 - α w²)^(2^T)) / w`.

What it computes: the very matrix that `newton` ends in after `num_iters` steps, converged or not,
round-off apart; so it replaces `newton` without changing what SOFT is. Only the lower triangle of A
is read. Steps beyond 120 change nothing: by then every eigenvalue that float64 can tell from 0 has
converged.

Differences from the iteration:
- Round-off does not grow with the steps: without a ridge and with a rank-deficient A, Newton's
  doubles in each, and it ends in NaN; here it stays.
- Implicit gradient only, `-Xᵀ G Xᵀ` with this X, which is SOFT's own; the derivative of the filter
  is not defined by formulas that divide by differences of eigenvalues, as these may be equal.
- On CUDA an eigendecomposition makes the host wait for the device.
"""

from __future__ import annotations

import torch
from torch import Tensor

from softbench.inverse._solving import Gradient, Mode, direct, direct_flops, product, ridged

MOST_DOUBLINGS = 120


def invert(
    a_BHMM: Tensor, *, num_iters: int, ridge: float = 0.01, gradient: Gradient = "implicit"
) -> Tensor:
    """`newton`'s X after `num_iters` steps for `a_BHMM + ridge·I`, [..., M, M].

    ValueError: a `num_iters` below 1, a `gradient` other than implicit. torch.linalg.LinAlgError
    where the decomposition fails, as it does on NaN.
    """
    if num_iters < 1:
        raise ValueError(f"num_iters is {num_iters}; spectral_newton needs at least 1 step")
    return direct(
        a_BHMM,
        lambda a: _filtered(ridged(a, ridge), _start(a), num_iters),
        gradient=gradient,
        solver="spectral_newton",
    )


def flops(
    m: int, num_iters: int = 1, *, mode: Mode = "forward", gradient: Gradient = "implicit"
) -> int:
    """Nominal FLOPs for one m × m matrix: `9m³` and one product, and two for the gradient.

    9m³ is the symmetric QR algorithm with eigenvectors (Golub and Van Loan, "Matrix Computations",
    4th ed., section 8.3); libraries use others, whose counts depend on the matrix.
    """
    return direct_flops(m, 9 * m**3 + product(m), mode)


def _filtered(r_BHMM: Tensor, alpha_BH: Tensor, num_iters: int) -> Tensor:
    w_BHM, vectors_BHMM = torch.linalg.eigh(r_BHMM)
    filter_BHM = _filter(w_BHM, alpha_BH[..., None], num_iters)
    x_BHMM: Tensor = (vectors_BHMM * filter_BHM[..., None, :]) @ vectors_BHMM.mT
    return x_BHMM


def _filter(w_BHM: Tensor, alpha_BH1: Tensor, num_iters: int) -> Tensor:
    """f(w); its limit 0 at w = 0."""
    converged_BHM = alpha_BH1 * w_BHM.square()
    # |1 - y| is 1 - min(y, 2 - y); logarithms keep the digits of a y far below 1.
    logarithm_BHM = torch.log1p(-torch.minimum(converged_BHM, 2 - converged_BHM))
    reached_BHM = -torch.expm1(2.0 ** min(num_iters, MOST_DOUBLINGS) * logarithm_BHM)
    return torch.where(w_BHM == 0, 0.0, reached_BHM / w_BHM)


def _start(a_BHMM: Tensor) -> Tensor:
    """SOFT's α of each matrix, from its largest row sum without the ridge."""
    return 0.9 * 2 / a_BHMM.sum(-1).amax(-1).square()
