"""Backend `fused` of Nyströmformer: no N × M matrix and no scaled copies, on the CPU.

Products are associated from the right, `F1 (Z (F3 v))`, so that both softmaxes are those of plain
attention: from landmarks to all tokens, and from all tokens to landmarks. PyTorch's flash kernel
does each tile by tile; D^(-½) is inside. Segment means add their gradient in place to that of the
tokens, and the convolution sees tokens as an image whose channels lie last.

Narrow dtypes are computed in float32. Second derivatives are refused with a RuntimeError.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Protocol, cast

import torch
from torch import Tensor

from softbench.attention import _backends, _fused, _sdpa
from softbench.attention._landmarks import pooled, segment_means
from softbench.inverse._precision import full_precision
from softbench.kernels.low_rank import refuse_second


class Params(Protocol):
    """What is asked of a mechanism's parameters here."""

    @property
    def num_landmarks(self) -> int:
        """M."""

    @property
    def landmarks(self) -> str:
        """segments, or pool: what the landmarks are means of."""

    @property
    def conv_kernel_size(self) -> int:
        """Taps of the value convolution, 0 for none."""


# Z [B, H, M, M] from the means of q and of k divided by D^(1/4), by the mechanism's parameters.
Invert = Callable[[Tensor, Tensor, Any], Tensor]


def attend(
    invert: Invert,
    q_BHND: Tensor,
    k_BHND: Tensor | None,
    v_BHND: Tensor,
    *,
    params: Params,
    weights: Mapping[str, Tensor],
    grid: tuple[int, int] | None,
) -> Tensor:
    """[B, H, N, D] in the dtype of v; eq. 13. ValueError without keys. Unsupported: not the CPU."""
    _backends.check_on_cpu(q_BHND)
    if k_BHND is None:
        raise ValueError("nystromformer needs keys; k is None")
    with full_precision(q_BHND.device):
        heads = _sdpa.prepared(q_BHND), _sdpa.prepared(k_BHND), _sdpa.prepared(v_BHND)
        out_BHND = _low_rank(invert, *heads, params, grid)
    out_BHND = out_BHND.to(v_BHND.dtype)
    if params.conv_kernel_size:
        sequence = (v_BHND.shape[2], 1)
        out_BHND = out_BHND + _fused.value_convolution(v_BHND, weights["value_conv"], sequence)
    return out_BHND


def means(x_BHND: Tensor, params: Params, grid: tuple[int, int] | None) -> Tensor:
    """[B, H, M, D]: the landmarks, means of segments of the tokens or of windows of their grid."""
    if params.landmarks == "pool":
        return pooled(x_BHND, params.num_landmarks, grid)
    return segment_means(x_BHND, params.num_landmarks)


def _low_rank(
    invert: Invert,
    q_BHND: Tensor,
    k_BHND: Tensor,
    v_BHND: Tensor,
    params: Params,
    grid: tuple[int, int] | None,
) -> Tensor:
    """[B, H, N, D]: F1 (Z (F3 v))."""
    q_BHND, q_means_BHMD = _with_means(q_BHND, params, grid)
    k_BHND, k_means_BHMD = _with_means(k_BHND, params, grid)
    scale = q_BHND.shape[-1] ** -0.25
    z_BHMM = invert(q_means_BHMD * scale, k_means_BHMD * scale, params)
    gathered_BHMD = z_BHMM @ _sdpa.flash(q_means_BHMD, k_BHND, v_BHND)
    return _sdpa.flash(q_BHND, k_means_BHMD, gathered_BHMD)


def _with_means(
    x_BHND: Tensor, params: Params, grid: tuple[int, int] | None
) -> tuple[Tensor, Tensor]:
    """The tokens as they are, and their landmarks [B, H, M, D].

    What uses the tokens must use those given back, and nothing else may, for their gradient is
    changed in place.
    """
    if params.landmarks == "pool":
        return x_BHND, _sdpa.prepared(means(x_BHND, params, grid))
    return cast(tuple[Tensor, Tensor], _WithMeans.apply(x_BHND, params.num_landmarks))  # type: ignore[no-untyped-call]


class _WithMeans(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, num_landmarks: int) -> tuple[Tensor, Tensor]:
        return x.view_as(x), segment_means(x, num_landmarks)

    @staticmethod
    def backward(ctx: Any, dx: Tensor, dmeans: Tensor) -> tuple[Tensor, None]:
        refuse_second("nystromformer")
        _add_to_segments(dx, dmeans)
        return dx, None


def _add_to_segments(dx_BHND: Tensor, dmeans_BHMD: Tensor) -> None:
    """Add to every token its share of the gradient of its segment's mean."""
    number = dmeans_BHMD.shape[2]
    length, longer = divmod(int(dx_BHND.shape[2]), number)
    shorter = number - longer
    tokens = dx_BHND.tensor_split((shorter * length,), dim=2)
    means = dmeans_BHMD.tensor_split((shorter,), dim=2)
    for part, of_part, size in zip(tokens, means, (length, length + 1), strict=True):
        sizes = (*part.shape[:2], of_part.shape[2], size, part.shape[3])
        part.view(sizes).add_(of_part[:, :, :, None], alpha=1 / size)
