"""SOFT: softmax-free attention by a Gaussian kernel, low rank through landmarks (Lu et al., 2021).

"SOFT: Softmax-free Transformer with Linear Complexity", NeurIPS 2021, arXiv 2110.11945. Keys are
the queries, divided by D^(1/4). With L the M landmarks of q, `P = exp(-½‖q_i - L_j‖²)` and
`A = exp(-½‖L_i - L_j‖²)` (eqs. 5 to 9), the output is `(P X)(Pᵀ v)`, X the Newton iterate for A.

Backends: `eager`, the authors' formulation, norms by products with ones included: the yardstick for
speed; `fused`, the same function by compiled kernels on the CPU; `auto`, the best that runs.

Differences from the paper and the authors' code:
- Squared distances are clamped at 0: rounding takes them below, and the kernel above 1.
- Distances, exponentials, the inverse and the products with it run in float32 or wider, autocast
  and TF32 off: the inverse is of a condition number that narrower types cannot hold.
- `pool` is the default at operator level, since a convolution is learned; it is adaptive, so that
  every square number of landmarks is to be had. At layer level `conv` with LayerNorm and GELU is,
  as in the released code; landmarks are not divided by D^(1/4) again.
- `conv` takes a number of landmarks, not a stride: ranks are compared by number.
- One random draw of landmarks serves a whole module, so that a case is reproduced from its seed.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from softbench.attention import _fused, _gaussian_counts, _landmark_rules, _landmarks
from softbench.attention._fields import (
    ConvKernelSize,
    Gradient,
    Inverse,
    Landmarks,
    NumIters,
    NumLandmarks,
    Ridge,
)
from softbench.attention._gaussian import gaussian_kernel, gaussian_kernel_by_ones, scaled
from softbench.attention._multihead import assembled
from softbench.attention._soft_inverse import compiled_steps, of_landmarks, solved
from softbench.attention._solvers import solver
from softbench.attention._value_conv import convolution_weight, value_convolution
from softbench.case import Level, Mode, Shape, Value
from softbench.inverse._precision import full_precision, widened
from softbench.inverse._solving import ridged

RANK: str | None = "num_landmarks"
SHARES_KEYS = True
LEVEL_DEFAULTS: dict[str, dict[str, object]] = {
    "layer": {"landmarks": "conv", "conv_kernel_size": 5}
}


class Params(Value):
    """What SOFT lets one choose."""

    num_landmarks: NumLandmarks = 49
    landmarks: Landmarks = "pool"
    inverse: Inverse = "newton"
    num_newton_iters: NumIters = 20
    gradient: Gradient = "implicit"
    ridge: Ridge = 0.01
    conv_kernel_size: ConvKernelSize = 0


def attend(
    q_BHND: Tensor,
    k_BHND: Tensor | None,
    v_BHND: Tensor,
    *,
    params: Params,
    weights: Mapping[str, Tensor],
    grid: tuple[int, int] | None,
) -> Tensor:
    """[B, H, N, D] in the dtype of v; Algorithm 1, and the value convolution where there is one.

    ValueError: keys are given, or a grid is needed and missing.
    """
    if k_BHND is not None:
        raise ValueError("the keys of soft are its queries; pass None for k")
    q_BHND = scaled(q_BHND)
    landmarks_BHMD = _landmarks.sample(
        q_BHND, params.landmarks, params.num_landmarks, weights, grid
    )
    with full_precision(q_BHND.device):
        out_BHND = _low_rank(widened(q_BHND), widened(landmarks_BHMD), widened(v_BHND), params)
    out_BHND = out_BHND.to(v_BHND.dtype)
    if params.conv_kernel_size:
        out_BHND = out_BHND + value_convolution(v_BHND, weights["value_conv"], grid)
    return out_BHND


BACKENDS = _fused.backends(attend, of_landmarks, compiled_steps)
backend_ran = _fused.backend_ran


def exact(q_BHTD: Tensor, k_BHND: Tensor | None, v_BHND: Tensor, params: Params) -> Tensor:
    """[B, H, T, D]: the dense kernel of all tokens times v (eq. 5), no convolution.

    Keys are the queries where they are None; given, they are all queries, and q some of them.
    """
    k_BHND = q_BHTD if k_BHND is None else k_BHND
    with full_precision(v_BHND.device):
        kernel_BHTN = gaussian_kernel(widened(scaled(q_BHTD)), widened(scaled(k_BHND)))
        out_BHTD = kernel_BHTN @ widened(v_BHND)
    return out_BHTD.to(v_BHND.dtype)


def landmark_inverse(
    q_BHND: Tensor,
    k_BHND: Tensor | None,
    params: Params,
    weights: Mapping[str, Tensor],
    grid: tuple[int, int] | None,
) -> tuple[Tensor, Tensor]:
    """[B, H, M, M] twice: the landmark kernel with its ridge, and `attend`'s X for its inverse."""
    number = params.num_landmarks
    landmarks_BHMD = _landmarks.sample(scaled(q_BHND), params.landmarks, number, weights, grid)
    with full_precision(q_BHND.device):
        a_BHMM, x_BHMM = _inverted(widened(landmarks_BHMD), params)
    return ridged(a_BHMM, params.ridge), x_BHMM


def weights(shape: Shape, params: Params, generator: torch.Generator) -> dict[str, Tensor]:
    """The landmarks' weights or draw, and `value_conv` [H, 1, k, k] where k is not 0."""
    solver(params.inverse)  # imports it here, outside any clock and any compiled graph
    drawn = _landmarks.sampling_weights(shape, params.landmarks, params.num_landmarks, generator)
    size = params.conv_kernel_size
    if size:
        drawn["value_conv"] = convolution_weight(shape.num_heads, size, size, generator)
    return drawn


def supports(shape: Shape, params: Params) -> str | None:
    """Why `shape` cannot have these landmarks or this convolution; None if it can."""
    if params.conv_kernel_size and shape.grid is None:
        return "a value convolution needs a token grid; set shape.grid or conv_kernel_size: 0"
    return _landmark_rules.refusal(shape, params.num_landmarks, params.landmarks)


def flops(
    shape: Shape, params: Params, *, level: Level, backend: str, mode: Mode
) -> dict[str, int]:
    """FLOPs by term, forward or with the gradients of every input and weight."""
    number, kind, size = params.num_landmarks, params.landmarks, params.conv_kernel_size
    solution = solver(params.inverse).flops(
        number, params.num_newton_iters, mode=mode, gradient=params.gradient
    )
    return _gaussian_counts.terms(
        shape, number, kind, size, solution=solution, level=level, backend=backend, mode=mode
    )


class Attention(nn.Module):
    """SOFT self-attention, [B, N, C] to [B, N, C] with C = num_heads · head_dim."""

    def __init__(
        self, shape: Shape, params: Params, *, backend: str = "eager", generator: torch.Generator
    ) -> None:
        """Draw projections and weights from `generator`. Raises Unsupported: no such stride."""
        super().__init__()
        attend = BACKENDS[backend]
        self.heads = assembled(self, "qv", attend, weights, shape, params, generator)

    def forward(self, x_BNC: Tensor) -> Tensor:
        """Project (keys are the queries), attend with every head, project back."""
        return self.heads(self, x_BNC)


def _low_rank(q_BHND: Tensor, landmarks_BHMD: Tensor, v_BHND: Tensor, params: Params) -> Tensor:
    """[B, H, N, D]: (P X)(Pᵀ v), eq. 9."""
    p_BHNM = gaussian_kernel_by_ones(q_BHND, landmarks_BHMD)
    _, x_BHMM = _inverted(landmarks_BHMD, params)
    return (p_BHNM @ x_BHMM) @ (p_BHNM.mT @ v_BHND)


def _inverted(landmarks_BHMD: Tensor, params: Params) -> tuple[Tensor, Tensor]:
    """[B, H, M, M] twice: the kernel A of the landmarks, and the solver's X."""
    a_BHMM = gaussian_kernel_by_ones(landmarks_BHMD, landmarks_BHMD)
    return a_BHMM, solved(a_BHMM, params)
