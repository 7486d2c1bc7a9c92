"""Making the stages of a backbone: its blocks, their attention, their share of dropped paths."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from softbench import plugins
from softbench.attention import softmax
from softbench.models import _initial
from softbench.models._backbone_stages import ClassStage, Stage, merging, stem
from softbench.models._blocks import PostNormBlock, PreNormBlock
from softbench.models._sizes import MLP_RATIO, Size, grid_at
from softbench.models._stages import final_backend, params_at, shape_at

STD = 0.02
EPS = 1e-6


@dataclass(frozen=True)
class Making:
    """What all stages of one backbone are made by."""

    size: Size
    attention: str
    attention_params: Mapping[str, Any]
    backend: str
    image_size: tuple[int, int]
    generator: torch.Generator
    streams: _initial.Streams

    def stages(self, in_chans: int, drop_path_rate: float) -> Iterator[nn.Module]:
        """The four, in order; the share of dropped paths grows from block to block."""
        dims, depths = self.size.dims, self.size.depths
        rates = iter(_initial.rising(drop_path_rate, sum(depths)))
        yield self._stage(0, stem(in_chans, dims[0]), rates)
        yield self._stage(1, merging(dims[0], dims[1]), rates)
        yield self._stage(2, merging(dims[1], dims[2]), rates)
        yield self._class_stage(merging(dims[2], dims[3]), rates)

    def _stage(self, stage: int, embed: nn.Module, rates: Iterator[float]) -> Stage:
        dim = self.size.dims[stage]
        blocks: list[nn.Module] = [
            PostNormBlock(self._mechanism(stage), dim, MLP_RATIO * dim, drop=next(rates))
            for _ in range(self.size.depths[stage])
        ]
        grid = grid_at(stage, self.image_size)
        return Stage(
            embed, blocks, self._embedding(f"positions {stage}", grid[0] * grid[1], dim), grid
        )

    def _class_stage(self, embed: nn.Module, rates: Iterator[float]) -> ClassStage:
        dim = self.size.dims[3]
        blocks: list[nn.Module] = [
            PreNormBlock(self._softmax(), dim, MLP_RATIO * dim, eps=EPS, drop_path=next(rates))
            for _ in range(self.size.depths[3])
        ]
        grid = grid_at(3, self.image_size)
        positions = self._embedding("positions 3", 1 + grid[0] * grid[1], dim)
        return ClassStage(embed, blocks, positions, grid, self._embedding("class", 1, dim))

    def _mechanism(self, stage: int) -> nn.Module:
        shape = shape_at(stage, self.size, self.image_size, batch_size=1)
        params = params_at(stage, shape, self.attention, self.attention_params)
        layer: nn.Module = plugins.load("attention", self.attention).Attention(
            shape, params, backend=self.backend, generator=self.generator
        )
        return layer

    def _softmax(self) -> nn.Module:
        return softmax.Attention(
            shape_at(3, self.size, self.image_size, batch_size=1),
            softmax.Params(),
            backend=final_backend(self.attention, self.backend),
            generator=self.generator,
        )

    def _embedding(self, name: str, tokens: int, dim: int) -> nn.Parameter:
        return _initial.embedding(1, tokens, dim, std=STD, generator=self.streams.of(name))
