"""What every solver must satisfy: it inverts what is easy to invert, and its count is true."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from types import ModuleType
from typing import Any

import torch
from torch import Tensor

from softbench.metrics._dispatch import DispatchCounter, UnknownOperatorError

MANY_STEPS = 60
SIZES = ((4, 1), (9, 3), (16, 7))  # (side of the matrix, steps)


def _inverts(name: str, module: ModuleType) -> Iterator[str]:
    """On well-conditioned matrices many steps give the inverse, of each matrix by itself."""
    a_BHMM = _easy_matrices()
    before = a_BHMM.clone()
    x_BHMM = module.invert(a_BHMM, num_iters=MANY_STEPS, **_without_ridge(module))
    if x_BHMM.shape != a_BHMM.shape:
        yield f"invert gives {tuple(x_BHMM.shape)} for {tuple(a_BHMM.shape)}"
        return
    error = float((x_BHMM @ a_BHMM - torch.eye(a_BHMM.shape[-1])).abs().max())
    if not error <= 1e-8:
        yield f"X A differs from I by {error:.2g} at condition number 3 (rule: 1e-8)"
    if not torch.equal(a_BHMM, before):
        yield "invert changes the matrix it is given"


def _counts(name: str, module: ModuleType) -> Iterator[str]:
    """The closed form equals the dispatch count; where no counter can know, it says nominal."""
    for m, num_iters in SIZES:
        formula = module.flops(m, num_iters)
        try:
            counted = _dispatched(module, m, num_iters)
        except UnknownOperatorError:
            if "nominal" not in (module.flops.__doc__ or "").lower():
                yield "no dispatch count exists for it: the docstring of flops must say nominal"
            return
        if formula != counted:
            yield f"flops({m}, {num_iters}) says {formula}, the dispatch count {counted}"


def _dispatched(module: ModuleType, m: int, num_iters: int) -> int:
    with DispatchCounter() as counter:
        module.invert(torch.empty(1, 1, m, m, device="meta"), num_iters=num_iters)
    total: int = counter.total
    return total


def _easy_matrices() -> Tensor:
    """[2, 2, 9, 9]: symmetric, no negative entries, eigenvalues between 1 and 3."""
    draws_BHMM = torch.rand(2, 2, 9, 9, generator=torch.Generator().manual_seed(0)).double()
    kernel_BHMM = draws_BHMM @ draws_BHMM.mT
    scale_BH11 = kernel_BHMM.sum(-1).amax(-1)[..., None, None]
    return torch.eye(9).double() + 2 * kernel_BHMM / scale_BH11


def _without_ridge(module: ModuleType) -> dict[str, Any]:
    return {"ridge": 0.0} if "ridge" in inspect.signature(module.invert).parameters else {}


CHECKS = (_inverts, _counts)
