"""What a mechanism need not define but must keep if it does: its dense limit, its inverse."""

from __future__ import annotations

from collections.abc import Iterator
from types import ModuleType

import torch

from softbench.contract.attention import case
from softbench.metrics import inverse_residual
from softbench.protocol import Protocol
from softbench.workload import build


def _exact(name: str, module: ModuleType) -> Iterator[str]:
    """What the mechanism tends to, where it says so, is finite, of the shape of v, and by rows.

    Its rows are asked for in blocks: some queries, all keys (the queries, if shared), all values.
    """
    if not hasattr(module, "exact"):
        return
    q_BHND, *rest = build(case(name)).inputs
    k_BHND = rest[0] if len(rest) == 2 else None
    out_BHND = module.exact(q_BHND, k_BHND, rest[-1], module.Params())
    if out_BHND.shape != q_BHND.shape or not bool(torch.isfinite(out_BHND).all()):
        yield f"exact gives {tuple(out_BHND.shape)} for v {tuple(q_BHND.shape)}, or is not finite"
        return
    keys_BHND = q_BHND if k_BHND is None else k_BHND
    rows_BHTD = module.exact(q_BHND[:, :, 3:7], keys_BHND, rest[-1], module.Params())
    if rows_BHTD.shape != out_BHND[:, :, 3:7].shape:
        yield f"exact of 4 queries gives {tuple(rows_BHTD.shape)}"
    elif not torch.allclose(rows_BHTD, out_BHND[:, :, 3:7], rtol=1e-9, atol=1e-12):
        yield "exact of a block of queries differs from those rows of the whole"


def _landmark_inverse(name: str, module: ModuleType) -> Iterator[str]:
    """A mechanism that inverts a matrix may give it and its inverse: [B, H, M, M] each, finite."""
    if not hasattr(module, "landmark_inverse"):
        return
    try:
        inverse_residual.measure(build(case(name)), Protocol())
    except (ArithmeticError, ValueError) as error:
        yield f"landmark_inverse: {error}"


CHECKS = (_exact, _landmark_inverse)
