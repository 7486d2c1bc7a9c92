"""What backend `fused` of SOFT and SOFT++ may be given: any layout, no tokens, NaN; refusals.

Mutants seen red: columns filled up and not put in rows, landmarks' strides left out, sizes of q
and v not compared.
"""

from __future__ import annotations

import sys
from types import ModuleType
from typing import Any

import pytest
import torch
from mechanism_checks import laid_out, relative, tokens

from softbench.attention import soft, soft_norm
from softbench.kernels import low_rank

pytestmark = pytest.mark.skipif(not low_rank.is_built(), reason="no C++ compiler built the kernels")

BOTH = pytest.mark.parametrize("mechanism", [soft, soft_norm])


@BOTH
@pytest.mark.parametrize("layout", ["layer", "last", "expanded", "every other"])
def test_any_strides_will_do(mechanism: ModuleType, layout: str) -> None:
    options: dict[str, Any] = {"params": mechanism.Params(), "weights": {}, "grid": (14, 14)}
    q, v, cotangent = (
        laid_out(tokens(2, 3, 196, 16, seed=seed, scale=0.5), layout) for seed in range(3)
    )
    told = []
    for backend in ("fused", "eager"):
        given = (q.detach().requires_grad_(), v.detach().requires_grad_())
        out = mechanism.BACKENDS[backend](given[0], None, given[1], **options)
        told.append([out, *torch.autograd.grad(out, given, cotangent)])
    assert max(map(relative, *told)) < 1e-10


@BOTH
def test_landmarks_may_lie_as_a_layer_lays_queries(mechanism: ModuleType) -> None:
    params = mechanism.Params(landmarks="first", num_landmarks=7)
    q, v = (laid_out(tokens(2, 3, 196, 16, seed=s, scale=0.5), "layer") for s in range(2))
    options: dict[str, Any] = {"params": params, "weights": {}, "grid": (14, 14)}
    told = []
    for name in ("fused", "eager"):
        given = (q.detach().requires_grad_(), v.detach().requires_grad_())
        out = mechanism.BACKENDS[name](given[0], None, given[1], **options)
        told.append([out, *torch.autograd.grad(out.square().sum(), given)])
    assert max(map(relative, *told)) < 1e-10


@BOTH
def test_channels_last_are_filled_up_in_rows(mechanism: ModuleType) -> None:
    q, v = (tokens(2, 196, 20, 3, seed=s, scale=0.5).permute(0, 3, 1, 2) for s in range(2))
    options: dict[str, Any] = {"params": mechanism.Params(), "weights": {}, "grid": (14, 14)}
    found = mechanism.BACKENDS["fused"](q, None, v, **options)
    assert relative(found, mechanism.attend(q, None, v, **options)) < 1e-10


@BOTH
@pytest.mark.parametrize("sizes", [(0, 2, 49, 16), (2, 0, 49, 16)])
def test_an_empty_batch_has_an_empty_answer(mechanism: ModuleType, sizes: tuple[int, ...]) -> None:
    q = torch.zeros(sizes, requires_grad=True)
    v = torch.zeros(sizes, requires_grad=True)
    params = mechanism.Params(num_landmarks=4)
    out = mechanism.BACKENDS["fused"](q, None, v, params=params, weights={}, grid=(7, 7))
    out.sum().backward()
    assert out.shape == sizes
    assert q.grad is not None
    assert q.grad.shape == sizes


@BOTH
def test_nan_stays_nan(mechanism: ModuleType) -> None:
    q, v = (tokens(1, 1, 196, 16, seed=seed) for seed in range(2))
    q[0, 0, 5, 3] = torch.nan
    params = mechanism.Params()
    options: dict[str, Any] = {"params": params, "weights": {}, "grid": (14, 14)}
    out = mechanism.BACKENDS["fused"](q, None, v, **options)
    assert out.isnan().equal(mechanism.BACKENDS["eager"](q, None, v, **options).isnan())
    assert out.isnan().any()


@BOTH
@pytest.mark.parametrize("sizes", [(1, 2, 49, 4), (1, 2, 16, 16), (2, 2, 49, 16)])
def test_values_unlike_the_queries_are_refused(
    mechanism: ModuleType, sizes: tuple[int, ...]
) -> None:
    sys.setprofile(None)  # the check of shape suffixes would find it too
    options: dict[str, Any] = {"params": mechanism.Params(), "weights": {}, "grid": (7, 7)}
    q = tokens(1, 2, 49, 16)
    with pytest.raises(ValueError, match=r"q and v of one shape.*take eager"):
        mechanism.BACKENDS["fused"](q, None, tokens(*sizes), **options)
