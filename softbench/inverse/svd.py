"""The Moore-Penrose pseudo-inverse by singular values, with a cut-off.

`R = A + ridge·I = U diag(s) Vᵀ`, `X = V diag(1/s) Uᵀ` over the singular values above
`M · ε · max s`, ε the spacing of the dtype at 1; the others are dropped (Golub and Van Loan,
"Matrix Computations", 4th ed., 2013, section 5.5). It is the `A†` of SOFT's eq. 9 (Lu et al.,
NeurIPS 2021, arXiv 2110.11945).

What it computes: with a ridge the true inverse, as `cholesky` does, at a higher price. Without one
and with a rank-deficient A, the pseudo-inverse, where the inverse does not exist; a singular value
near the cut-off is then kept or dropped by round-off. It ignores `num_iters`.
The implicit gradient is that of an inverse: where a singular value is dropped, the part of the true
gradient that turns the kept subspace is missing.
On CUDA a singular value decomposition makes the host wait for the device.
"""

from __future__ import annotations

import torch
from torch import Tensor

from softbench.inverse._solving import Gradient, Mode, direct, direct_flops, product, ridged


def invert(
    a_BHMM: Tensor, *, num_iters: int = 1, ridge: float = 0.01, gradient: Gradient = "implicit"
) -> Tensor:
    """The pseudo-inverse of `a_BHMM + ridge·I`, [..., M, M]; `num_iters` changes nothing.

    ValueError: a `gradient` other than implicit. torch.linalg.LinAlgError where the decomposition
    fails, as it does on NaN.
    """
    return direct(
        a_BHMM, lambda a: _pseudo_inverse(ridged(a, ridge)), gradient=gradient, solver="svd"
    )


def flops(
    m: int, num_iters: int = 1, *, mode: Mode = "forward", gradient: Gradient = "implicit"
) -> int:
    """Nominal FLOPs for one m × m matrix: `21m³` and one product, and two for the gradient.

    21m³ is the Golub-Reinsch algorithm with both sets of vectors, `4m²n + 8mn² + 9n³` (Golub and
    Van Loan, "Matrix Computations", 4th ed., section 8.6); libraries use others.
    """
    return direct_flops(m, 21 * m**3 + product(m), mode)


def _pseudo_inverse(r_BHMM: Tensor) -> Tensor:
    u_BHMM, s_BHM, vt_BHMM = torch.linalg.svd(r_BHMM)
    cutoff_BH1 = r_BHMM.shape[-1] * torch.finfo(r_BHMM.dtype).eps * s_BHM.amax(-1, keepdim=True)
    # Asked this way round, a NaN is not dropped.
    inverted_BHM = torch.where(s_BHM <= cutoff_BH1, 0.0, s_BHM.reciprocal())
    x_BHMM: Tensor = (vt_BHMM.mT * inverted_BHM[..., None, :]) @ u_BHMM.mT
    return x_BHMM
