"""Backend `fused` of Performer: features made block by block and never held, on the CPU.

Exactly what `eager` computes, see `kernels/favor.py`: no N × R matrix, no scaled copies, features
made once more in the backward. W gets no gradient, as it is drawn and not learned.

Narrow dtypes are computed in float32. Second derivatives are refused with a RuntimeError.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from torch import Tensor

from softbench.attention import _backends
from softbench.inverse._precision import widened
from softbench.kernels._favor_blocks import Kind
from softbench.kernels.favor import favor


class Params(Protocol):
    """What is asked of a mechanism's parameters here."""

    @property
    def kernel(self) -> str:
        """softmax or relu."""

    @property
    def epsilon(self) -> float:
        """Added to every feature of the softmax kernel."""

    @property
    def detach_max(self) -> bool:
        """No gradient through the maxima."""


def attend(
    relu_epsilon: float,
    q_BHND: Tensor,
    k_BHND: Tensor | None,
    v_BHND: Tensor,
    *,
    params: Params,
    weights: Mapping[str, Tensor],
    grid: tuple[int, int] | None,
) -> Tensor:
    """[B, H, N, D] in the dtype of v; FAVOR+. ValueError without keys. Unsupported: not the CPU.

    ValueError too where the features are to have a gradient.
    """
    _backends.check_on_cpu(q_BHND)
    if k_BHND is None:
        raise ValueError("performer needs keys; k is None")
    if weights["random_features"].requires_grad:
        raise ValueError("backend fused has no gradient of random_features; take eager")
    relu = params.kernel == "relu"
    kind = Kind(relu, relu_epsilon if relu else params.epsilon, params.detach_max)
    q_BHND, k_BHND, values_BHND = widened(q_BHND), widened(k_BHND), widened(v_BHND)
    out_BHND = favor(q_BHND, k_BHND, values_BHND, widened(weights["random_features"]), kind)
    return out_BHND.to(v_BHND.dtype)
