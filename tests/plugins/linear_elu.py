"""Linear attention with elu + 1 features (Katharopoulos et al., 2020), as one file to drop in.

"Transformers are RNNs", arXiv 2006.16236, eqs. 5 and 7: `φ(Q) (φ(K)ᵀ V) / (φ(Q) Σⱼ φ(Kⱼ))` with
`φ(x) = elu(x) + 1`. The product in brackets is D × D, so that the cost is linear in tokens.

Difference from the authors' code:
- Queries and keys are divided by D^¼ first: scores as spread as those of softmax attention.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional

from softbench.attention import _counts, _heads, _weights
from softbench.case import Level, Mode, Shape, Value

RANK: str | None = None


class Params(Value):
    """What can be set."""

    eps: float = Field(default=1e-6, ge=0, le=1, description="added to the normaliser")


def attend(
    q_BHND: Tensor, k_BHND: Tensor, v_BHND: Tensor, *, params: Params, **_: object
) -> Tensor:
    """[B, H, N, D], eq. 5 with the features of eq. 7; it has no weights and needs no grid."""
    scale = q_BHND.shape[-1] ** -0.25
    q_BHND, k_BHND = (functional.elu(x_BHND * scale) + 1 for x_BHND in (q_BHND, k_BHND))
    norms_BHN1 = (q_BHND * k_BHND.sum(2, keepdim=True)).sum(-1, keepdim=True)
    return q_BHND @ (k_BHND.mT @ v_BHND) / (norms_BHN1 + params.eps)


BACKENDS: dict[str, Callable[..., Tensor]] = {"eager": attend}


def weights(shape: Shape, params: Params, generator: torch.Generator) -> dict[str, Tensor]:
    """Nothing learned or drawn besides the projections."""
    return {}


def supports(shape: Shape, params: Params) -> None:
    """Every shape."""


def flops(shape: Shape, params: Params, *, level: Level, mode: Mode, **_: object) -> dict[str, int]:
    """FLOPs by term: two products of N · D² multiply-adds a head."""
    product = 2 * shape.batch_size * shape.num_heads * shape.seq_len * shape.head_dim**2
    return {
        "projections": _counts.projections(shape, 4, mode) if level == "layer" else 0,
        "products": 2 * _counts.passes(mode) * product,
    }


class Attention(nn.Module):
    """Multi-head linear self-attention, [B, N, C] to [B, N, C] with C = num_heads · head_dim."""

    def __init__(
        self, shape: Shape, params: Params, *, backend: str = "eager", generator: torch.Generator
    ) -> None:
        """Draw the four projections from `generator`."""
        super().__init__()
        self.num_heads, self.params, self.attend = shape.num_heads, params, BACKENDS[backend]
        width = shape.num_heads * shape.head_dim
        drawn = [_weights.linear(width, width, generator=generator) for _ in range(4)]
        self.qkv, self.out = nn.ModuleList(drawn[:3]), drawn[3]

    def forward(self, x_BNC: Tensor) -> Tensor:
        """Project, attend with every head, project back."""
        heads = (_heads.split_heads(project(x_BNC), self.num_heads) for project in self.qkv)
        out_BNC: Tensor = self.out(_heads.merge_heads(self.attend(*heads, params=self.params)))
        return out_BNC
