"""The true inverse of a symmetric positive-definite matrix, through its Cholesky factor.

`R = A + ridge·I = L Lᵀ`, `X = L⁻ᵀ L⁻¹` (Golub and Van Loan, "Matrix Computations", 4th ed., 2013,
section 4.2; LAPACK's potrf and potri).

What it computes: `R⁻¹` to round-off times κ, whatever κ is. That is the limit of SOFT's iteration,
not what its 20 steps give: on smooth landmarks the two differ by tens of per cent. It ignores
`num_iters`. Only the lower triangle of A is read.
A matrix that is not positive definite (no ridge and rank-deficient, say) gives NaN throughout.
"""

from __future__ import annotations

import torch
from torch import Tensor

from softbench.inverse._solving import Gradient, Mode, direct, direct_flops, ridged


def invert(
    a_BHMM: Tensor, *, num_iters: int = 1, ridge: float = 0.01, gradient: Gradient = "implicit"
) -> Tensor:
    """The inverse of `a_BHMM + ridge·I`, [..., M, M]; `num_iters` changes nothing.

    ValueError: a `gradient` other than implicit, which is the true one here.
    """
    return direct(
        a_BHMM, lambda a: _inverse(ridged(a, ridge)), gradient=gradient, solver="cholesky"
    )


def flops(
    m: int, num_iters: int = 1, *, mode: Mode = "forward", gradient: Gradient = "implicit"
) -> int:
    """Nominal FLOPs for one m × m matrix: `m³ + m² + m`, and two products for the gradient.

    `(2m³ + 3m² + m)/6` for the factor and `(4m³ + 3m² + 5m)/6` for the inverse from it (LAPACK
    Working Note 41, "Installation Guide for LAPACK", 1999, appendix on operation counts: xPOTRF and
    xPOTRI); kernels that work in blocks execute more.
    """
    return direct_flops(m, m**3 + m**2 + m, mode)


def _inverse(r_BHMM: Tensor) -> Tensor:
    # The checking form would make the host wait for the device in every call.
    factor_BHMM, failed_BH = torch.linalg.cholesky_ex(r_BHMM)
    x_BHMM = torch.cholesky_inverse(factor_BHMM)
    # A factorisation that stopped half-way leaves finite numbers behind.
    return torch.where(failed_BH[..., None, None] == 0, x_BHMM, torch.nan)
