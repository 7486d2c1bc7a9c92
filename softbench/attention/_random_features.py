"""Random directions for features of a kernel: orthogonal by blocks, with the lengths of Gaussians.

Choromanski et al., "Rethinking Attention with Performers", ICLR 2021, arXiv 2009.14794, section 2.4
and the authors' code: within a block of D rows directions are orthogonal, which lowers the variance
of the estimate; lengths are drawn by themselves, so that every row alone is a Gaussian vector.
"""

from __future__ import annotations

import torch
from torch import Tensor


def orthogonal_features(num_features: int, width: int, generator: torch.Generator) -> Tensor:
    """[R, D]: blocks of D orthogonal rows (the last one cut), each row scaled to a Gaussian's norm.

    A block is the Q of a Gaussian matrix's QR decomposition, its columns as rows.
    """
    blocks = -(-num_features // width)
    gaussians_GDD = torch.randn(blocks, width, width, generator=generator)
    directions_GDD = torch.linalg.qr(gaussians_GDD).Q.mT
    directions_RD = directions_GDD.reshape(-1, width)[:num_features]
    lengths_R = torch.randn(num_features, width, generator=generator).norm(dim=-1)
    features_RD: Tensor = lengths_R[:, None] * directions_RD
    return features_RD
