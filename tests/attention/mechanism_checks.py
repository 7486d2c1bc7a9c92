"""What the tests of several mechanisms need: tokens, their layouts, leaves, relative errors."""

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


def laid_out(x: Tensor, layout: str) -> Tensor:
    """The same numbers in another order in memory; "expanded" repeats those of the first head."""
    if layout == "layer":
        return x.transpose(1, 2).contiguous().transpose(1, 2)
    if layout == "last":
        return x.mT.contiguous().mT
    if layout == "expanded":
        return x[:1, :1].expand(x.shape)
    return x.repeat_interleave(2, 2)[:, :, ::2] if layout == "every other" else x


def farthest(pair: tuple[list[Tensor], list[Tensor]], *, num_inputs: int) -> float:
    """The largest relative error of an output and its gradients, none of them next to nothing.

    Of every input there has to be a gradient; weights may have more.
    """
    found, wanted = pair
    assert len(found) == len(wanted) > num_inputs
    assert all(one.norm() > 1e-6 for one in wanted)
    return max(map(relative, found, wanted))
