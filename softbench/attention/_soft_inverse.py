"""X of SOFT: by the solver asked for, or by the compiled iteration where that is the same."""

from __future__ import annotations

from typing import Protocol

from torch import Tensor

from softbench.attention._gaussian import gaussian_kernel
from softbench.attention._solvers import solver
from softbench.inverse._precision import full_precision
from softbench.kernels import landmark_inverse


class Params(Protocol):
    """What is asked of SOFT's parameters here."""

    @property
    def inverse(self) -> str:
        """The solver's name."""

    @property
    def num_newton_iters(self) -> int:
        """Its steps."""

    @property
    def ridge(self) -> float:
        """What is added to the diagonal."""

    @property
    def gradient(self) -> str:
        """`implicit` or `unrolled`."""


def solved(a_BHMM: Tensor, params: Params) -> Tensor:
    """[B, H, M, M]: the solver's X for the landmarks' kernel `a_BHMM`."""
    x_BHMM: Tensor = solver(params.inverse).invert(
        a_BHMM, num_iters=params.num_newton_iters, ridge=params.ridge, gradient=params.gradient
    )
    return x_BHMM


def compiled_steps(params: Params) -> tuple[int, float] | None:
    """Steps and ridge where X and its gradient are those of the compiled iteration, else None."""
    is_newton = params.inverse == "newton" and params.gradient == "implicit"
    return (params.num_newton_iters, params.ridge) if is_newton else None


def of_landmarks(landmarks_BHMD: Tensor, params: Params) -> Tensor:
    """[B, H, M, M]: X for the kernel of the landmarks, norms by sums; Newton's steps compiled."""
    if given := compiled_steps(params):
        steps, ridge = given
        return landmark_inverse.inverse(landmarks_BHMD, num_iters=steps, ridge=ridge)
    with full_precision(landmarks_BHMD.device):
        return solved(gaussian_kernel(landmarks_BHMD, landmarks_BHMD), params)
