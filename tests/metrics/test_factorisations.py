"""Nominal FLOPs of factorisations, as dispatched, against the textbook's worked out by hand.

Broken on purpose, each of these turned a test here red: matrices of a batch not counted, rows and
columns swapped, xPOTRI's count for xPOTRF's.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor

from softbench.metrics._dispatch import DispatchCounter, UnknownOperatorError


def counted(function: Callable[..., Any], *sizes: int) -> int:
    with DispatchCounter() as counter:
        function(torch.empty(*sizes, device="meta"))
    return int(counter.total)


@pytest.mark.parametrize(
    ("function", "sizes", "flops"),
    [
        (torch.linalg.eigh, (10, 10), 9 * 1000),
        (torch.linalg.eigh, (2, 3, 10, 10), 6 * 9 * 1000),
        (torch.linalg.svd, (10, 10), 21 * 1000),
        (torch.linalg.svd, (2, 20, 10), 2 * (4 * 400 * 10 + 8 * 20 * 100 + 9 * 1000)),
        (torch.linalg.svd, (2, 10, 20), 2 * (4 * 400 * 10 + 8 * 20 * 100 + 9 * 1000)),
        (torch.linalg.cholesky_ex, (3, 4, 4), 3 * (2 * 64 + 3 * 16 + 4) // 6),
        (torch.cholesky_inverse, (3, 4, 4), 3 * (4 * 64 + 3 * 16 + 5 * 4) // 6),
    ],
)
def test_counts_are_the_textbooks(function: Any, sizes: tuple[int, ...], flops: int) -> None:
    assert counted(function, *sizes) == flops


@pytest.mark.parametrize(
    "function",
    [torch.linalg.inv, torch.linalg.qr, torch.linalg.lu_factor, lambda a: torch.linalg.solve(a, a)],
)
def test_what_nobody_counts_stays_an_error(function: Callable[[Tensor], Tensor]) -> None:
    with pytest.raises(UnknownOperatorError, match="no FLOP formula for"):
        counted(function, 6, 6)
