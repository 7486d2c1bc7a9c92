"""Matrices that the solvers' tests share, and how far one is from another."""

from __future__ import annotations

from types import ModuleType

import torch
from torch import Tensor

from softbench import plugins

ITERATIVE = ("newton", "newton_spd", "hyperpower")
DIRECT = ("cholesky", "spectral_newton", "svd")
SOLVERS = ITERATIVE + DIRECT


def load(name: str) -> ModuleType:
    return plugins.load("inverse", name)


def relative(found: Tensor, wanted: Tensor) -> float:
    return float((found.detach().double() - wanted.double()).norm() / wanted.double().norm())


def kernel(scale: float, m: int = 9, batch_size: int = 2, num_heads: int = 3) -> Tensor:
    """Gaussian kernels of random points: the closer they lie, the worse conditioned."""
    generator = torch.Generator().manual_seed(0)
    points = scale * torch.randn(batch_size, num_heads, m, 3, generator=generator).double()
    return torch.exp(-torch.cdist(points, points).square() / 2)


def ridged(a: Tensor, ridge: float = 0.01) -> Tensor:
    return a + ridge * torch.eye(a.shape[-1], dtype=a.dtype)


def with_eigenvalues(w: Tensor) -> Tensor:
    """A symmetric [1, 1, M, M] that has them, in a basis drawn once."""
    draws = torch.randn(len(w), len(w), generator=torch.Generator().manual_seed(1))
    basis = torch.linalg.qr(draws.double()).Q
    matrix: Tensor = (basis * w) @ basis.mT
    return matrix[None, None]


def steps_to(bound: float, solver: ModuleType, a: Tensor, ridge: float) -> int:
    """Fewest steps after which X is the true inverse to `bound`."""
    wanted = torch.linalg.inv(ridged(a, ridge))
    return next(
        steps
        for steps in range(1, 99)
        if relative(solver.invert(a, num_iters=steps, ridge=ridge), wanted) < bound
    )
