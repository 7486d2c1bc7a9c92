"""The body of the plain transformer: tokens with positions, blocks, a norm, a pool, a head."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from softbench.attention._grid import image_to_tokens
from softbench.models import _initial
from softbench.models._blocks import PreNormBlock
from softbench.models._plain_features import Features

EPS = 1e-6


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


class Plain(Features):
    """Images [B, in_chans, rows, columns] or numbers [B, N] to logits [B, num_classes]."""

    def __init__(
        self,
        params: Params,
        attention: Callable[[], nn.Module],
        seq_len: int,
        grid: tuple[int, int] | None,
        hidden: int,
        generator: torch.Generator,
        *,
        drop_rate: float = 0.0,
        drop_path_rate: float = 0.0,
    ) -> None:
        """attention: makes a layer for each block in turn, drawing from `generator`.

        grid: rows and columns of an image's tokens. hidden: channels inside an MLP.
        drop_rate: before the head; drop_path_rate: of the last block's branches, 0 in the first.
        """
        super().__init__()
        self.num_classes, self.in_chans = params.num_classes, params.in_chans
        self.num_features = self.head_hidden_size = params.dim
        self.pool, self.grad_checkpointing = params.pool, False
        self.grid, self.feature_info = grid, _feature_info(params)
        self.embed = _Patches(params) if params.vocabulary is None else _Words(params)
        streams = _initial.Streams(generator)
        self.pos_embed = _initial.embedding(
            1, seq_len, params.dim, std=params.pos_std, generator=streams.of("pos_embed")
        )
        self.blocks = nn.ModuleList(
            PreNormBlock(attention(), params.dim, hidden, eps=EPS, drop_path=rate)
            for rate in _initial.rising(drop_path_rate, params.depth)
        )
        self.norm = nn.LayerNorm(params.dim, eps=EPS)
        self.head_drop = nn.Dropout(drop_rate)
        self.head: nn.Module = _head(params.dim, params.num_classes)
        _initial.by_fan_in(self, streams)
        _initial.words(self, streams)

    def forward_features(self, x: Tensor) -> Tensor:
        """Tokens [B, N, C] after the last norm. ValueError: not as many as there are positions."""
        x_BNC = self.embedded(x)
        for block in self.blocks:
            x_BNC = self.through(block, x_BNC)
        normed_BNC: Tensor = self.norm(x_BNC)
        return normed_BNC

    def embedded(self, x: Tensor) -> Tensor:
        """Tokens [B, N, C] in their places, before any block."""
        x_BNC: Tensor = self.embed(x)
        if x_BNC.shape[1] != self.pos_embed.shape[1]:
            raise ValueError(
                f"{x_BNC.shape[1]} tokens for a model of {self.pos_embed.shape[1]}; "
                "build it for that many"
            )
        return x_BNC + self.pos_embed

    def through(self, block: nn.Module, x_BNC: Tensor) -> Tensor:
        """Tokens [B, N, C] after the block, which runs again in the backward pass if so set."""
        again = self.grad_checkpointing and torch.is_grad_enabled()
        out_BNC: Tensor = checkpoint(block, x_BNC, use_reentrant=False) if again else block(x_BNC)
        return out_BNC

    def forward_head(self, x_BNC: Tensor, pre_logits: bool = False) -> Tensor:
        """[B, num_classes] from the pooled tokens, or those themselves, [B, C]."""
        x_BC = self.head_drop(x_BNC.mean(1) if self.pool == "mean" else x_BNC[:, -1])
        logits_BK: Tensor = x_BC if pre_logits else self.head(x_BC)
        return logits_BK

    def forward(self, x: Tensor) -> Tensor:
        """[B, num_classes]."""
        return self.forward_head(self.forward_features(x))

    def get_classifier(self) -> nn.Module:
        """The last linear layer; an identity where there are no classes."""
        return self.head

    def reset_classifier(self, num_classes: int, global_pool: str | None = None) -> None:
        """A new classifier, from PyTorch's global seed. ValueError: another pooling."""
        if global_pool not in (None, self.pool):
            raise ValueError(
                f"global_pool {global_pool!r}: this model was built with {self.pool!r}"
            )
        self.num_classes = num_classes
        self.head = _head(self.num_features, num_classes).to(self.pos_embed)
        _initial.by_fan_in(self.head, _initial.Streams(_initial.own_generator()))

    def set_grad_checkpointing(self, enable: bool = True) -> None:
        """Run every block again in the backward pass instead of keeping what is inside it."""
        self.grad_checkpointing = enable

    def no_weight_decay(self) -> set[str]:
        """The names of what a recipe does not decay, besides biases and norms."""
        return {"pos_embed"}


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


def _head(width: int, num_classes: int) -> nn.Module:
    return nn.Linear(width, num_classes) if num_classes else nn.Identity()


def _feature_info(params: Params) -> list[dict[str, Any]]:
    return [
        {"num_chs": params.dim, "reduction": params.patch_size, "module": f"blocks.{number}"}
        for number in range(params.depth)
    ]
