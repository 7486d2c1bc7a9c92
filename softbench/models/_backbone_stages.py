"""The stages of the SOFT family's backbone: an image to tokens, through blocks, with a position."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.utils.checkpoint import checkpoint

from softbench.attention._grid import image_to_tokens, tokens_to_image
from softbench.models._sizes import STEM_WIDTH


class Stage(nn.Module):
    """One of the first three: blocks that know where their tokens lie."""

    def __init__(
        self,
        embed: nn.Module,
        blocks: list[nn.Module],
        pos_embed_1NC: nn.Parameter,
        grid: tuple[int, int],
    ) -> None:
        """grid: of the tokens that the position embeddings are for."""
        super().__init__()
        self.embed = embed
        self.pos_embed = pos_embed_1NC
        self.blocks = nn.ModuleList(blocks)
        self.grid = grid
        self.grad_checkpointing = False

    def forward(self, x_BCRS: Tensor) -> Tensor:
        """[B, C, rows, columns] to [B, C', rows', columns'], by the strides of `embed`."""
        x_BCRS = self.embed(x_BCRS)
        grid = _grid_of(x_BCRS)
        x_BNC = image_to_tokens(x_BCRS) + resized(self.pos_embed, self.grid, grid)
        for block in self.blocks:
            x_BNC = _called(block, x_BNC, grid, checkpointed=self.grad_checkpointing)
        return tokens_to_image(x_BNC, grid)


class ClassStage(nn.Module):
    """The last: a class token before the others, blocks of plain softmax attention."""

    def __init__(
        self,
        embed: nn.Module,
        blocks: list[nn.Module],
        pos_embed_1NC: nn.Parameter,
        grid: tuple[int, int],
        cls_token_11C: nn.Parameter,
    ) -> None:
        """grid: as in Stage; the class token has the first of the position embeddings."""
        super().__init__()
        self.embed = embed
        self.pos_embed = pos_embed_1NC
        self.cls_token = cls_token_11C
        self.blocks = nn.ModuleList(blocks)
        self.grid = grid
        self.grad_checkpointing = False

    def forward(self, x_BCRS: Tensor) -> tuple[Tensor, tuple[int, int]]:
        """[B, C, rows, columns] to tokens [B, 1 + N, C'], the class token first, and their grid."""
        x_BCRS = self.embed(x_BCRS)
        grid = _grid_of(x_BCRS)
        x_BNC = image_to_tokens(x_BCRS) + resized(self.pos_embed[:, 1:], self.grid, grid)
        first_B1C = (self.cls_token + self.pos_embed[:, :1]).expand(len(x_BNC), -1, -1)
        x_BNC = torch.cat((first_B1C, x_BNC), dim=1)
        for block in self.blocks:
            x_BNC = _called(block, x_BNC, checkpointed=self.grad_checkpointing)
        return x_BNC, grid


def resized(pos_embed_1NC: Tensor, made_for: tuple[int, int], grid: tuple[int, int]) -> Tensor:
    """[1, rows·columns, C]: the embeddings for `grid`, bilinear between those that there are."""
    if grid == made_for:
        return pos_embed_1NC
    image_1CRS = tokens_to_image(pos_embed_1NC, made_for)
    return image_to_tokens(functional.interpolate(image_1CRS, size=grid, mode="bilinear"))


def stem(in_chans: int, dim: int) -> nn.Sequential:
    """Three 3×3 convolutions, strides 2, 1, 2: a token of 4 × 4 pixels."""
    return nn.Sequential(
        *_convolution(in_chans, STEM_WIDTH, 2),
        *_convolution(STEM_WIDTH, STEM_WIDTH, 1),
        *_convolution(STEM_WIDTH, dim, 2),
    )


def merging(dim: int, dim_after: int) -> nn.Sequential:
    """One 3×3 convolution of stride 2: a token for 2 × 2 tokens."""
    return nn.Sequential(*_convolution(dim, dim_after, 2))


def _convolution(channels: int, channels_after: int, stride: int) -> tuple[nn.Module, ...]:
    return (
        nn.Conv2d(channels, channels_after, kernel_size=3, stride=stride, padding=1),
        nn.BatchNorm2d(channels_after),
        nn.ReLU(),
    )


def _grid_of(x_BCRS: Tensor) -> tuple[int, int]:
    return int(x_BCRS.shape[-2]), int(x_BCRS.shape[-1])


def _called(block: nn.Module, x_BNC: Tensor, *where: object, checkpointed: bool) -> Tensor:
    """[B, N, C]; checkpointed, the block is run again for its gradient and keeps nothing."""
    if checkpointed and torch.is_grad_enabled():
        return checkpoint(block, x_BNC, *where, use_reentrant=False)  # type: ignore[no-any-return]
    out_BNC: Tensor = block(x_BNC, *where)
    return out_BNC
