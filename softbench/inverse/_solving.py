"""What solvers share around their own mathematics: ridge, width, gradient and what these cost.

Every solver takes symmetric matrices [..., M, M] of any float dtype and answers in float32 or
wider, computed there with autocast and TF32 off. A non-finite entry of the matrix, or a
factorisation that fails, leaves as NaN or as an error, never as a finite number; metrics look at
what a case puts out and turn NaN into an error.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import torch
from torch import Tensor

from softbench.inverse._implicit import implicit_inverse
from softbench.inverse._precision import full_precision, widened

Gradient = Literal["implicit", "unrolled"]
Mode = Literal["forward", "forward_backward"]


def ridged(a_BHMM: Tensor, ridge: float) -> Tensor:
    """`A + ridge·I`."""
    return a_BHMM + ridge * identity_like(a_BHMM)


def identity_like(a_BHMM: Tensor) -> Tensor:
    """One identity [M, M] in the dtype and on the device of `a_BHMM`."""
    return torch.eye(a_BHMM.shape[-1], dtype=a_BHMM.dtype, device=a_BHMM.device)


def iterated(
    a_BHMM: Tensor,
    iterate: Callable[[Tensor], Tensor],
    *,
    num_iters: int,
    gradient: str,
    solver: str,
) -> Tensor:
    """`iterate(a_BHMM)`, with the implicit gradient or by plain autograd.

    ValueError: a `num_iters` below 1, another `gradient`.
    """
    if num_iters < 1:
        raise ValueError(f"num_iters is {num_iters}; {solver} needs at least 1 step")
    if gradient not in ("implicit", "unrolled"):
        raise ValueError(f"gradient is {gradient!r}; it is 'implicit' or 'unrolled'")
    wide_BHMM = widened(a_BHMM)
    if gradient == "implicit":
        return implicit_inverse(wide_BHMM, _in_full_precision(iterate))
    return _in_full_precision(iterate)(wide_BHMM)


def direct(
    a_BHMM: Tensor, factorise: Callable[[Tensor], Tensor], *, gradient: str, solver: str
) -> Tensor:
    """`factorise(a_BHMM)` with the implicit gradient, the only one where there are no steps.

    ValueError: another `gradient`.
    """
    if gradient != "implicit":
        raise ValueError(
            f"gradient is {gradient!r}; {solver} has no steps to differentiate, take 'implicit'"
        )
    return implicit_inverse(widened(a_BHMM), _in_full_precision(factorise))


def iterated_flops(m: int, products: int, mode: Mode, gradient: Gradient) -> int:
    """FLOPs of that many m × m products, and in forward_backward of the gradient.

    The implicit gradient is two products, once; the unrolled one is two for every product.
    """
    if mode == "forward":
        return products * product(m)
    return (products + (2 if gradient == "implicit" else 2 * products)) * product(m)


def direct_flops(m: int, nominal: int, mode: Mode) -> int:
    """A factorisation's nominal FLOPs, and in forward_backward the implicit gradient's."""
    return nominal + (2 * product(m) if mode == "forward_backward" else 0)


def product(m: int) -> int:
    """FLOPs of one product of two m × m matrices."""
    return int(2 * m**3)


def _in_full_precision(solve: Callable[[Tensor], Tensor]) -> Callable[[Tensor], Tensor]:
    def run(a_BHMM: Tensor) -> Tensor:
        with full_precision(a_BHMM.device):
            return solve(a_BHMM)

    return run
