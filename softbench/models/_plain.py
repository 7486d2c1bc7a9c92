"""The body of the plain transformer: tokens with positions, blocks, a norm, a pool, a head."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from softbench.models import _initial, _plain_features
from softbench.models._blocks import PreNormBlock
from softbench.models._plain_embedding import Params, embedding

EPS = 1e-6


class Plain(nn.Module):
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
        self.embed = embedding(params)
        streams = _initial.Streams(generator)
        self.pos_embed = _initial.embedding(
            1, seq_len, params.dim, std=params.pos_std, generator=streams.of("pos_embed")
        )
        self.blocks = nn.ModuleList(
            PreNormBlock(attention(), params.dim, hidden, eps=EPS, drop_path=rate)
            for rate in _initial.rising(drop_path_rate, params.depth)
        )
        self.norm: nn.Module = nn.LayerNorm(params.dim, eps=EPS)
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

    def forward_intermediates(
        self,
        x: Tensor,
        indices: int | list[int] | None = None,
        norm: bool = False,
        stop_early: bool = False,
        output_fmt: str = "NCHW",
        intermediates_only: bool = False,
    ) -> Any:
        """What the blocks `indices` give, images [B, C, rows, columns] or, by output_fmt NLC,
        tokens [B, N, C]; with it, unless only that is wanted, what `forward_features` gives.

        ValueError: another output_fmt, or images of a sequence, which has no grid.
        """
        whole = not (stop_early or intermediates_only)
        x_BNC, found = _plain_features.intermediates(
            self, x, indices, norm=norm, whole=whole, output_fmt=output_fmt
        )
        return found if intermediates_only or stop_early else (self.norm(x_BNC), found)

    def prune_intermediate_layers(
        self, indices: int | list[int] = 1, prune_norm: bool = False, prune_head: bool = True
    ) -> list[int]:
        """Drop what blocks up to the last of `indices` do not need; the indices as they are now."""
        return _plain_features.prune(
            self, indices, without_norm=prune_norm, without_head=prune_head
        )

    def group_matcher(self, coarse: bool = False) -> dict[str, Any]:
        """timm's layer groups, for a learning rate by depth: by block, coarse or not."""
        return _plain_features.layer_groups()

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


def _head(width: int, num_classes: int) -> nn.Module:
    return nn.Linear(width, num_classes) if num_classes else nn.Identity()


def _feature_info(params: Params) -> list[dict[str, Any]]:
    return [
        {"num_chs": params.dim, "reduction": params.patch_size, "module": f"blocks.{number}"}
        for number in range(params.depth)
    ]
