"""Performer: softmax attention by positive random features, FAVOR+ (Choromanski et al., 2021).

"Rethinking Attention with Performers", ICLR 2021, arXiv 2009.14794, eqs. 5 to 7. With features φ,
`out = φ_q (φ_kᵀ v) / (φ_q Σ φ_k)`; the products in brackets have no N × N matrix. For `softmax`,
with x divided by D^¼ and u = x Wᵀ: `φ = R^(-½) (exp(u - ½‖x‖² - max u) + ε)`, the maximum of each
query by itself and of all keys of a (batch, head) together; for `relu`, `φ = relu(u) + 0.001`.

ε is part of what is computed, not a guard: outputs for 1e-4 and 1e-6 differ by 5 % and more.

Backends: `eager`, the formula as it stands; `fused`, the same function on the CPU block by block,
holding no features; `auto`, the best that runs.

Differences from the paper and the authors' code:
- `detach_max` keeps gradients out of the maxima, as the widely used PyTorch port does; the authors'
  code lets them through (`detach_max: false`). They would cancel, were it not for ε.
- Features are drawn once from the case's seed and never again, one W for all heads: a case must be
  reproduced, and a new draw within a call would be part of its latency.
- W is of uniform orthogonal blocks, which the authors' is not, see `_random_features.py`.
- Exponentials and sums over tokens run in float32 or wider, autocast and TF32 off: in narrower
  types sums over thousands of features of unequal size lose the small ones.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from functools import partial
from typing import Annotated, Literal

import torch
from pydantic import Field
from torch import Tensor, nn

from softbench.attention import _backends, _counts, _performer_fused, softmax
from softbench.attention._multihead import assembled
from softbench.attention._random_features import orthogonal_features
from softbench.case import Level, Mode, Shape, Unsupported, Value
from softbench.inverse._precision import full_precision, widened

RANK: str | None = "num_features"
RELU_EPSILON = 1e-3


class Params(Value):
    """What Performer lets one choose."""

    num_features: Annotated[int, Field(ge=1, le=2**20)] | None = Field(
        default=None, description="random features R, the rank; None for int(D ln D)"
    )
    kernel: Literal["softmax", "relu"] = Field(
        default="softmax", description="what the features are of"
    )
    epsilon: float = Field(
        default=1e-6, ge=0, le=1, description="added to every feature of the softmax kernel"
    )
    detach_max: bool = Field(default=True, description="no gradient through the maxima")


def attend(
    q_BHND: Tensor,
    k_BHND: Tensor | None,
    v_BHND: Tensor,
    *,
    params: Params,
    weights: Mapping[str, Tensor],
    grid: tuple[int, int] | None,
) -> Tensor:
    """[B, H, N, D] in the dtype of v; FAVOR+. ValueError without keys."""
    if k_BHND is None:
        raise ValueError("performer needs keys; k is None")
    with full_precision(q_BHND.device):
        w_RD = widened(weights["random_features"])
        phi_q_BHNR = _features(widened(q_BHND), w_RD, params, stabilised_over=(3,))
        phi_k_BHNR = _features(widened(k_BHND), w_RD, params, stabilised_over=(2, 3))
        numerator_BHND = phi_q_BHNR @ (phi_k_BHNR.mT @ widened(v_BHND))
        denominator_BHN1 = phi_q_BHNR @ phi_k_BHNR.sum(2)[..., None]
        out_BHND = numerator_BHND / denominator_BHN1
    return out_BHND.to(v_BHND.dtype)


BACKENDS = _backends.offered(
    attend, partial(_performer_fused.attend, RELU_EPSILON), _backends.not_on_cpu
)
backend_ran = partial(_backends.ran, _backends.not_on_cpu)


def exact(q_BHND: Tensor, k_BHND: Tensor | None, v_BHND: Tensor, params: Params) -> Tensor:
    """[B, H, N, D]: softmax attention, which R → ∞ gives. Raises Unsupported for `relu`."""
    if params.kernel == "relu":
        raise Unsupported("performer's relu features approximate no attention; exact needs softmax")
    nothing = softmax.Params()
    return softmax.attend(q_BHND, k_BHND, v_BHND, params=nothing, weights={}, grid=None)


def weights(shape: Shape, params: Params, generator: torch.Generator) -> dict[str, Tensor]:
    """`random_features` W, [R, D], drawn and not learned."""
    features = orthogonal_features(_num_features(shape, params), shape.head_dim, generator)
    return {"random_features": features}


def supports(shape: Shape, params: Params) -> str | None:
    """None: every shape is supported."""
    return None


def flops(
    shape: Shape, params: Params, *, level: Level, backend: str, mode: Mode
) -> dict[str, int]:
    """FLOPs by term: features of q and k (`landmarks`), and what is made of them (`products`).

    `fused` has numerator and denominator in one product, and makes features again in its backward.
    """
    rank, times = _num_features(shape, params), _counts.passes(mode)
    pairs = 2 * shape.batch_size * shape.num_heads * shape.seq_len * rank
    fused = backend == "fused"
    again = fused and mode == "forward_backward"
    return {
        "projections": _counts.projections(shape, 4, mode) if level == "layer" else 0,
        # W is not learned: one product for a gradient, not two.
        "landmarks": 2 * (1 if mode == "forward" else 2) * pairs * shape.head_dim,
        # Numerator twice D wide; denominator one, its sum over keys a product in fused alone.
        "products": times * pairs * (2 * shape.head_dim + (2 if fused else 1)),
        "recomputation": 2 * pairs * shape.head_dim if again else 0,
    }


class Attention(nn.Module):
    """Performer self-attention, [B, N, C] to [B, N, C] with C = num_heads · head_dim."""

    def __init__(
        self, shape: Shape, params: Params, *, backend: str = "eager", generator: torch.Generator
    ) -> None:
        """Draw the linear layers, then W, from `generator`."""
        super().__init__()
        attend = BACKENDS[backend]
        self.heads = assembled(self, "qkv", attend, weights, shape, params, generator)

    def forward(self, x_BNC: Tensor) -> Tensor:
        """Project, attend with every head, project back."""
        return self.heads(self, x_BNC)


def _num_features(shape: Shape, params: Params) -> int:
    """R; where it is not set int(D ln D), the number in the authors' code, and at least one."""
    return params.num_features or max(1, int(shape.head_dim * math.log(shape.head_dim)))


def _features(
    x_BHND: Tensor, w_RD: Tensor, params: Params, *, stabilised_over: tuple[int, ...]
) -> Tensor:
    """[B, H, N, R]: φ of tokens, the maximum taken over the dimensions `stabilised_over`."""
    x_BHND = x_BHND / x_BHND.shape[-1] ** 0.25
    u_BHNR = x_BHND @ w_RD.mT
    if params.kernel == "relu":
        return u_BHNR.relu() + RELU_EPSILON
    largest = u_BHNR.amax(stabilised_over, keepdim=True)
    if params.detach_max:
        largest = largest.detach()
    half_norm_BHN1 = 0.5 * x_BHND.square().sum(-1, keepdim=True)
    features_BHNR = (u_BHNR - half_norm_BHN1 - largest).exp() + params.epsilon
    return features_BHNR / math.sqrt(w_RD.shape[0])
