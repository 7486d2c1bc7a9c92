"""Nominal FLOPs of matrix factorisations, for operators that iterate or work in blocks inside.

What a library executes depends on its algorithm, its block size and, where it iterates, on the
matrix; textbook counts of the plain algorithm stand in for it, so that solvers can be compared.
They are nominal: whoever shows them says so.

Golub and Van Loan, "Matrix Computations", 4th ed., 2013: symmetric QR with eigenvectors 9n³
(section 8.3); Golub-Reinsch with all vectors 4m²n + 8mn² + 9n³ for m ≥ n (section 8.6). PyTorch
makes the vectors too where it is asked for values alone under a counter.
LAPACK Working Note 41, "Installation Guide for LAPACK", 1999, appendix on operation counts: xPOTRF
(2n³ + 3n² + n)/6, xPOTRI (4n³ + 3n² + 5n)/6.
"""

from __future__ import annotations

from collections.abc import Callable
from math import prod
from typing import Any

from torch import Tensor

Formula = Callable[[tuple[Any, ...], Any], int]


def formulas() -> dict[str, Formula]:
    """The nominal formula of each factorisation that counts, by the operator's short name."""
    return {
        "_linalg_eigh": lambda args, output: _each(args[0], lambda n: 9 * n**3),
        "_linalg_svd": _svd,
        "linalg_cholesky_ex": lambda args, output: _each(args[0], _cholesky),
        "cholesky_inverse": lambda args, output: _each(args[0], _inverse_from_cholesky),
    }


def _svd(args: tuple[Any, ...], output: Any) -> int:
    n, m = sorted(args[0].shape[-2:])
    return int(prod(args[0].shape[:-2]) * (4 * m**2 * n + 8 * m * n**2 + 9 * n**3))


def _cholesky(n: int) -> int:
    return (2 * n**3 + 3 * n**2 + n) // 6


def _inverse_from_cholesky(n: int) -> int:
    return (4 * n**3 + 3 * n**2 + 5 * n) // 6


def _each(matrices: Tensor, formula: Callable[[int], int]) -> int:
    return prod(matrices.shape[:-2]) * formula(matrices.shape[-1])
