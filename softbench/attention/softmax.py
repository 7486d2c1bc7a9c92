"""Softmax attention (Vaswani et al., 2017): the exact, quadratic baseline.

"Attention Is All You Need", arXiv 1706.03762, eq. 1: `softmax(Q Kᵀ/√D) V`.

Backends: `eager`, unfused, holding all N × N weights; `sdpa`, PyTorch's fused attention with the
kernel of its choice, which is the softmax that another mechanism has to beat; `flash`, `efficient`
and `math`, the same call held to one kernel, unsupported where the device has not got it.

Differences from the paper:
- Q is divided by √D before the product, not the product after it: N·D divisions instead of N².
- Projections have biases, as in vision transformers.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from functools import partial

import torch
from torch import Tensor, nn

from softbench.attention import _counts, _sdpa
from softbench.attention._multihead import assembled
from softbench.case import Level, Mode, Shape, Value

RANK: str | None = None


class Params(Value):
    """Softmax attention has nothing to set."""


def attend(
    q_BHND: Tensor,
    k_BHND: Tensor | None,
    v_BHND: Tensor,
    *,
    params: Params,
    weights: Mapping[str, Tensor],
    grid: tuple[int, int] | None,
) -> Tensor:
    """[B, H, N, D] by the N × N matrix itself. ValueError without keys."""
    keys_BHND = _keys(k_BHND)
    scores_BHNN = (q_BHND / math.sqrt(q_BHND.shape[-1])) @ keys_BHND.mT
    return scores_BHNN.softmax(-1) @ v_BHND


def attend_sdpa(
    q_BHND: Tensor,
    k_BHND: Tensor | None,
    v_BHND: Tensor,
    *,
    params: Params,
    weights: Mapping[str, Tensor],
    grid: tuple[int, int] | None,
) -> Tensor:
    """[B, H, N, D] by the fused kernel that PyTorch chooses. ValueError without keys."""
    return _sdpa.fused(q_BHND, _keys(k_BHND), v_BHND)


def attend_by_kernel(
    kernel: _sdpa.Kernel,
    q_BHND: Tensor,
    k_BHND: Tensor | None,
    v_BHND: Tensor,
    *,
    params: Params,
    weights: Mapping[str, Tensor],
    grid: tuple[int, int] | None,
) -> Tensor:
    """[B, H, N, D] by the fused kernel of that name. ValueError without keys.

    RuntimeError: the device has no such kernel for these tensors.
    """
    return _sdpa.fused_by(kernel, q_BHND, _keys(k_BHND), v_BHND)


BACKENDS: dict[str, Callable[..., Tensor]] = {
    "eager": attend,
    "sdpa": attend_sdpa,
    "flash": partial(attend_by_kernel, "flash"),
    "efficient": partial(attend_by_kernel, "efficient"),
    "math": partial(attend_by_kernel, "math"),
}


def backend_ran(
    shape: Shape, *, backend: str, device: str, dtype: torch.dtype, with_gradient: bool
) -> str:
    """The kernel that `backend` runs on `device`. Raises Unsupported where it has none."""
    if backend == "eager":
        return "eager"
    kernel = None if backend == "sdpa" else backend
    return _sdpa.kernel_ran(
        shape, kernel=kernel, device=device, dtype=dtype, with_gradient=with_gradient
    )


def weights(shape: Shape, params: Params, generator: torch.Generator) -> dict[str, Tensor]:
    """Nothing learned or drawn besides the projections."""
    return {}


def supports(shape: Shape, params: Params) -> str | None:
    """None: every shape is supported."""
    return None


def flops(
    shape: Shape, params: Params, *, level: Level, backend: str, mode: Mode
) -> dict[str, int]:
    """FLOPs by term: two N × N × D products, each with two in its gradient.

    The backward pass of a fused kernel computes the scores once more: `recomputation`, work of the
    device and not of the model. `math` is not fused and keeps them.
    """
    product = 2 * shape.batch_size * shape.num_heads * shape.seq_len**2 * shape.head_dim
    again = backend in ("sdpa", "flash", "efficient") and mode == "forward_backward"
    return {
        "projections": _counts.projections(shape, 4, mode) if level == "layer" else 0,
        "products": 2 * _counts.passes(mode) * product,
        "recomputation": product if again else 0,
    }


class Attention(nn.Module):
    """Multi-head softmax self-attention, [B, N, C] to [B, N, C] with C = num_heads · head_dim."""

    def __init__(
        self, shape: Shape, params: Params, *, backend: str = "eager", generator: torch.Generator
    ) -> None:
        """Draw the four projections from `generator`."""
        super().__init__()
        attend = BACKENDS[backend]
        self.heads = assembled(self, "qkv", attend, weights, shape, params, generator)

    def forward(self, x_BNC: Tensor) -> Tensor:
        """Project, attend with every head, project back."""
        return self.heads(self, x_BNC)


def _keys(k_BHND: Tensor | None) -> Tensor:
    if k_BHND is None:
        raise ValueError("softmax attention needs keys; k is None")
    return k_BHND
