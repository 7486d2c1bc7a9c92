"""The Gaussian kernel exp(-½‖x_i - y_j‖²), SOFT's similarity (arXiv 2110.11945, eq. 5).

Squared distances come from ‖x‖² + ‖y‖² - 2 x·y, which rounds below zero for near tokens; they are
clamped, so that the kernel is never above 1. The authors' code lacks the clamp.
"""

from __future__ import annotations

import math

from torch import Tensor


def scaled(q_BHND: Tensor) -> Tensor:
    """q / D^(1/4), so that -½‖·‖² of it is eq. 5's -‖·‖²/(2√D)."""
    return q_BHND / math.sqrt(math.sqrt(q_BHND.shape[-1]))


def gaussian_kernel(x_BHND: Tensor, y_BHMD: Tensor) -> Tensor:
    """[B, H, N, M] kernel values in [0, 1], norms by sums. Give it float32 or wider."""
    x_norm_BHN = x_BHND.square().sum(-1)
    y_norm_BHM = y_BHMD.square().sum(-1)
    norms_BHNM = x_norm_BHN[..., :, None] + y_norm_BHM[..., None, :]
    return _decay(norms_BHNM - 2 * (x_BHND @ y_BHMD.mT))


def gaussian_kernel_by_ones(x_BHND: Tensor, y_BHMD: Tensor) -> Tensor:
    """The same kernel with every norm by a product with a matrix of ones, as the authors have it.

    That triples the products of the kernel; it is kept because a speed-up is told against it.
    """
    x_norm_BHNM = x_BHND.square() @ x_BHND.new_ones(y_BHMD.shape[-2:]).mT
    y_norm_BHNM = x_BHND.new_ones(x_BHND.shape[-2:]) @ y_BHMD.square().mT
    return _decay(x_norm_BHNM + y_norm_BHNM - 2 * (x_BHND @ y_BHMD.mT))


def _decay(distance_BHNM: Tensor) -> Tensor:
    """exp(-½ d) of squared distances, those below zero taken for zero."""
    return (-0.5 * distance_BHNM.clamp(min=0)).exp()
