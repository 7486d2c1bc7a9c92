"""A mechanism at operator level as a module."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from torch import Tensor, nn

from softbench.attention._weights import register, registered
from softbench.case import Shape


class Operator(nn.Module):
    """A mechanism at operator level: it owns the weights and calls one backend on given heads."""

    def __init__(
        self,
        attend: Callable[..., Tensor],
        weights: Mapping[str, Tensor],
        params: Any,
        shape: Shape,
        *,
        shares_keys: bool,
    ) -> None:
        """A learned weight (nn.Parameter) becomes a parameter, a drawn one a buffer."""
        super().__init__()
        self._attend, self._params, self._grid = attend, params, shape.grid
        self._shares_keys = shares_keys
        self._names = tuple(weights)
        register(self, weights)

    def forward(self, *heads: Tensor) -> Tensor:
        """(q, k, v), or (q, v) where keys are the queries, each [B, H, N, D], to [B, H, N, D]."""
        if self._shares_keys:
            q_BHND, v_BHND = heads
            k_BHND = None
        else:
            q_BHND, k_BHND, v_BHND = heads
        weights = registered(self, self._names)
        return self._attend(
            q_BHND, k_BHND, v_BHND, params=self._params, weights=weights, grid=self._grid
        )
