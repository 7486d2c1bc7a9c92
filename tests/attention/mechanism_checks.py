"""What the tests of several mechanisms need: drawn tokens, leaves of a dtype, a relative error."""

from __future__ import annotations

from types import ModuleType
from typing import Any

import torch
from torch import Tensor

from softbench.case import Shape


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def tokens(*sizes: int, seed: int = 0, scale: float = 1.0) -> Tensor:
    return scale * torch.randn(*sizes, generator=seeded(seed), dtype=torch.float64)


def relative(found: Tensor | None, wanted: Tensor) -> float:
    """Relative Frobenius error; a missing gradient fails."""
    assert found is not None
    difference = found.detach().double() - wanted.detach().double()
    return float(difference.norm() / wanted.detach().double().norm())


def leaves(values: dict[str, Tensor], dtype: torch.dtype) -> dict[str, Tensor]:
    """A copy of every array in `dtype` that collects its own gradient."""
    return {name: value.to(dtype, copy=True).requires_grad_() for name, value in values.items()}


def attend(mechanism: ModuleType, q: Tensor, k: Tensor | None, v: Tensor, **options: Any) -> Tensor:
    """One call at operator level, with weights drawn from seed 0 in the dtype of q."""
    batch_size, num_heads, seq_len, head_dim = q.shape
    shape = Shape(batch_size=batch_size, num_heads=num_heads, seq_len=seq_len, head_dim=head_dim)
    params = mechanism.Params(**options)
    weights = {
        name: weight.to(q.dtype) if weight.is_floating_point() else weight
        for name, weight in mechanism.weights(shape, params, seeded()).items()
    }
    out: Tensor = mechanism.attend(q, k, v, params=params, weights=weights, grid=shape.grid)
    return out
