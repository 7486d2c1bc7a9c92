"""What a plain transformer's tokens are made from: patches of an image, or whole numbers."""

from __future__ import annotations

from typing import Protocol

from torch import Tensor, nn

from softbench.attention._grid import image_to_tokens


class Params(Protocol):
    """What is asked of the model's parameters here."""

    @property
    def patch_size(self) -> int:
        """Pixels along a token's side."""

    @property
    def in_chans(self) -> int:
        """Channels of an image."""

    @property
    def vocabulary(self) -> int | None:
        """Tokens are numbers below it; None for patches."""

    @property
    def depth(self) -> int:
        """Blocks."""

    @property
    def dim(self) -> int:
        """Channels of a token."""

    @property
    def num_classes(self) -> int:
        """Logits."""

    @property
    def pool(self) -> str:
        """`mean` of all tokens, or the `last` one."""

    @property
    def pos_std(self) -> float:
        """Spread of the position embeddings at first."""


def embedding(params: Params) -> nn.Module:
    """Images [B, C, rows, columns] or numbers [B, N] to tokens [B, N, C]."""
    return _Patches(params) if params.vocabulary is None else _Words(params)


class _Patches(nn.Module):
    def __init__(self, params: Params) -> None:
        super().__init__()
        side = params.patch_size
        self.proj = nn.Conv2d(params.in_chans, params.dim, kernel_size=side, stride=side)

    def forward(self, x_BCRS: Tensor) -> Tensor:
        return image_to_tokens(self.proj(x_BCRS))


class _Words(nn.Module):
    def __init__(self, params: Params) -> None:
        super().__init__()
        assert params.vocabulary is not None  # else it has patches
        self.proj = nn.Embedding(params.vocabulary, params.dim)

    def forward(self, x_BN: Tensor) -> Tensor:
        embedded_BNC: Tensor = self.proj(x_BN)
        return embedded_BNC
