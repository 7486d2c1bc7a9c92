"""What the tests of the fused Linformer, Performer and Nyströmformer share."""

from __future__ import annotations

from types import ModuleType
from typing import Any

import pytest
import torch
from mechanism_checks import laid_out, seeded, tokens
from torch import Tensor

from softbench.attention import linformer, nystromformer, performer
from softbench.case import Case, Shape
from softbench.contract.attention import case

NAMES = ("linformer", "performer", "nystromformer")
RANK = {linformer: "projection_length", performer: "num_features", nystromformer: "num_landmarks"}
EVERY = pytest.mark.parametrize("mechanism", list(RANK), ids=NAMES)
LAYOUTS = ("plain", "layer", "last", "every other")
# Performer with a gradient through its maxima.
MAXIMA: dict[str, Any] = {"epsilon": 1e-2, "detach_max": False}


def both(
    mechanism: ModuleType,
    sizes: tuple[int, ...],
    dtype: torch.dtype = torch.float64,
    layout: str = "plain",
    given: list[Tensor] | None = None,
    **options: Any,
) -> tuple[list[Tensor], list[Tensor]]:
    """Output and gradients of q, k, v and weights: fused in `dtype`, eager in float64."""
    shape = Shape(batch_size=sizes[0], num_heads=sizes[1], seq_len=sizes[2], head_dim=sizes[3])
    params = mechanism.Params(**options)
    drawn = given or [tokens(*sizes, seed=seed) for seed in range(4)]
    told = []
    for name, kind in (("fused", dtype), ("eager", torch.float64)):
        heads = [laid_out(one.to(kind), layout).detach().requires_grad_() for one in drawn[:3]]
        weights = {
            key: one.detach().to(kind).requires_grad_(isinstance(one, torch.nn.Parameter))
            for key, one in mechanism.weights(shape, params, seeded(9)).items()
        }
        out = mechanism.BACKENDS[name](*heads, params=params, weights=weights, grid=None)
        out.backward(drawn[3].to(kind))
        learned = [one for one in weights.values() if one.requires_grad]
        told.append([out, *(one.grad for one in (*heads, *learned))])
    return told[0], told[1]


def call(mechanism: ModuleType, backend: str, *heads: Tensor | None, **options: Any) -> Tensor:
    first = next(one for one in heads if one is not None)
    shape = Shape(num_heads=first.shape[1], seq_len=first.shape[2], head_dim=first.shape[3])
    params = mechanism.Params(**{RANK[mechanism]: 9}, **options)
    drawn = mechanism.weights(shape, params, seeded())
    weights = {key: one.detach().to(first.dtype) for key, one in drawn.items()}
    out: Tensor = mechanism.BACKENDS[backend](*heads, params=params, weights=weights, grid=None)
    return out


def sized(name: str, mode: str, seq_len: int = 784, **changes: Any) -> Case:
    shape = Shape(num_heads=8, seq_len=seq_len, head_dim=64)
    return case(
        name, backend="fused", shape=shape, mode=mode, dtype="float32", params={}, **changes
    )
