"""The two transformer blocks: SOFT's with norms behind, the plain one with norms in front."""

from __future__ import annotations

from timm.layers.activations import GELUTanh
from timm.layers.drop import DropPath
from timm.layers.mlp import Mlp
from torch import Tensor, nn

from softbench.attention._multihead import Multihead


class PostNormBlock(nn.Module):
    """SOFT's block: `x = norm(x + attention(x))`, `x = norm(x + mlp(x))`, with a tanh-GELU.

    What the authors' code calls drop path is dropout of single values, and is so here.
    """

    def __init__(self, attention: nn.Module, dim: int, hidden: int, *, drop: float) -> None:
        """`attention` is a mechanism's layer of width `dim`."""
        super().__init__()
        self.attention = attention
        self.norm1 = nn.LayerNorm(dim, eps=1e-5)
        self.mlp = Mlp(dim, hidden, act_layer=GELUTanh)
        self.norm2 = nn.LayerNorm(dim, eps=1e-5)
        self.drop = nn.Dropout(drop)

    def forward(self, x_BNC: Tensor, grid: tuple[int, int]) -> Tensor:
        """[B, N, C] to [B, N, C]; `grid` is where the tokens lie, whatever it was built for."""
        x_BNC = self.norm1(x_BNC + self.drop(attended(self.attention, x_BNC, grid)))
        out_BNC: Tensor = self.norm2(x_BNC + self.drop(self.mlp(x_BNC)))
        return out_BNC


class PreNormBlock(nn.Module):
    """The plain block: `x = x + attention(norm(x))`, `x = x + mlp(norm(x))`, with a GELU."""

    def __init__(
        self, attention: nn.Module, dim: int, hidden: int, *, eps: float, drop_path: float = 0.0
    ) -> None:
        """`attention` is a mechanism's layer of width `dim`; `drop_path` drops whole branches."""
        super().__init__()
        self.norm1 = nn.LayerNorm(dim, eps=eps)
        self.attention = attention
        self.norm2 = nn.LayerNorm(dim, eps=eps)
        self.mlp = Mlp(dim, hidden)
        self.drop_path = DropPath(drop_path)

    def forward(self, x_BNC: Tensor) -> Tensor:
        """[B, N, C] to [B, N, C]."""
        x_BNC = x_BNC + self.drop_path(self.attention(self.norm1(x_BNC)))
        out_BNC: Tensor = x_BNC + self.drop_path(self.mlp(self.norm2(x_BNC)))
        return out_BNC


def attended(layer: nn.Module, x_BNC: Tensor, grid: tuple[int, int]) -> Tensor:
    """[B, N, C]: what `layer` makes of tokens that lie on `grid`."""
    heads = getattr(layer, "heads", None)
    if not isinstance(heads, Multihead):
        out_BNC: Tensor = layer(x_BNC)  # a mechanism of other make sees to its tokens itself
        return out_BNC
    return heads(layer, x_BNC, grid)
