"""Backend `fused` of Linformer: no N × L scores, no copies of tokens, on the CPU.

Queries attend to the compressed tokens by PyTorch's flash kernel. Compressing is a product a head,
or one for all of them where they lie side by side, as in a layer; eager's `projection @ tokens`
may copy the tokens transposed, to have one product of them. The projection's gradient is summed in
place.

Narrow dtypes are computed in float32. Second derivatives are refused with a RuntimeError.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol, cast

import torch
from torch import Tensor

from softbench.attention import _backends, _landmarks, _sdpa
from softbench.case import Unsupported
from softbench.inverse._precision import full_precision, widened
from softbench.kernels.low_rank import refuse_second


class Params(Protocol):
    """What is asked of a mechanism's parameters here."""

    @property
    def share(self) -> str:
        """none, or kv: keys and values have one projection."""


def attend(
    q_BHND: Tensor,
    k_BHND: Tensor | None,
    v_BHND: Tensor,
    *,
    params: Params,
    weights: Mapping[str, Tensor],
    grid: tuple[int, int] | None,
) -> Tensor:
    """[B, H, N, D] in the dtype of v, eq. 7. ValueError without keys.

    Raises Unsupported: not on the CPU, or projections that were built for other tokens.
    """
    _backends.check_on_cpu(q_BHND)
    if k_BHND is None:
        raise ValueError("linformer needs keys; k is None")
    for_keys = weights["key_projection"]
    for_values = for_keys if params.share == "kv" else weights["value_projection"]
    with full_precision(q_BHND.device):
        keys_BHLD = _compressed(for_keys, k_BHND, grid)
        values_BHLD = _compressed(for_values, v_BHND, grid)
        out_BHND = _sdpa.flash(_sdpa.prepared(q_BHND), keys_BHLD, values_BHLD)
    return out_BHND.to(v_BHND.dtype)


def check_length(projection: Tensor, x_BHND: Tensor) -> None:
    """Raise Unsupported unless `projection`, [..., L, N], was built for so many tokens."""
    built_for, given = projection.shape[-1], x_BHND.shape[2]
    if built_for != given:
        raise Unsupported(
            f"these projections were built for {built_for} tokens, not {given}; "
            f"build them with seq_len {given}"
        )


def _compressed(projection: Tensor, x_BHND: Tensor, grid: tuple[int, int] | None) -> Tensor:
    """[B, H, L, D]: `projection`, [L, N] or [H, L, N], times the tokens. Raises Unsupported.

    A convolution over the tokens if it is [D, D, r, r].
    """
    if projection.ndim == 4:
        made_BHLD = _landmarks.strided(widened(x_BHND), widened(projection), grid)
        return _sdpa.prepared(made_BHLD)
    check_length(projection, x_BHND)
    wide = widened(projection), _sdpa.prepared(x_BHND)
    return cast(Tensor, _Compress.apply(*wide))  # type: ignore[no-untyped-call]


class _Compress(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, projection: Tensor, x: Tensor) -> Tensor:
        ctx.save_for_backward(projection, x)
        merged = _side_by_side(projection, x)
        return _split(_products(projection, _matrices(x, merged)), x, merged)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, Tensor]:
        refuse_second("linformer")
        projection, x = ctx.saved_tensors
        merged = _side_by_side(projection, x)
        of_matrices = _matrices(grad, merged)
        dx = _split(_products(projection.mT, of_matrices), x, merged)
        return _of_projection(projection, of_matrices, _matrices(x, merged)), dx


def _side_by_side(projection: Tensor, x_BHND: Tensor) -> bool:
    """Whether the heads share a projection and lie in memory as [B, N, H, D]."""
    return projection.ndim == 2 and x_BHND.transpose(1, 2).is_contiguous()


def _matrices(x_BHND: Tensor, merged: bool) -> Tensor:
    """[B, G, N, W]: a matrix a head, or one of all heads."""
    return x_BHND.transpose(1, 2).flatten(2)[:, None] if merged else x_BHND


def _split(x_BGLW: Tensor, of_BHND: Tensor, merged: bool) -> Tensor:
    """[B, H, L, D]: the inverse of `_matrices` for tokens with the heads of `of_BHND`."""
    if not merged:
        return x_BGLW
    batch_size, num_heads, _, head_dim = of_BHND.shape
    x_BLHD = x_BGLW.reshape(batch_size, x_BGLW.shape[2], num_heads, head_dim)
    return x_BLHD.transpose(1, 2)


def _products(projection: Tensor, x_BGNW: Tensor) -> Tensor:
    """[B, G, L, W]: image by image, for which neither the projection nor the tokens are copied."""
    batch_size, groups, _, width = x_BGNW.shape
    length = projection.shape[-2]
    filters_GLN = projection.expand(groups, *projection.shape[-2:])
    made_BGLW = x_BGNW.new_empty(batch_size, groups, length, width)
    for image in range(batch_size):
        torch.bmm(filters_GLN, x_BGNW[image], out=made_BGLW[image])
    return made_BGLW


def _of_projection(projection: Tensor, grad_BGLW: Tensor, x_BGNW: Tensor) -> Tensor:
    """The gradient of `projection`, [L, N] or [H, L, N]: a sum over images, or over heads too."""
    gradient = torch.zeros_like(projection)
    for grad_GLW, x_GNW in zip(grad_BGLW, x_BGNW, strict=True):
        if projection.ndim == 3:
            gradient.baddbmm_(grad_GLW, x_GNW.mT)
            continue
        for grad_LW, x_NW in zip(grad_GLW, x_GNW, strict=True):
            gradient.addmm_(grad_LW, x_NW.mT)
    return gradient
