"""The SOFT family's backbone: four stages of tokens, the first three with any mechanism inside.

Lu et al., "SOFT: Softmax-free Transformer with Linear Complexity", NeurIPS 2021, arXiv 2110.11945,
section 3.3 and Table 1, in the released code's form: a stem of three convolutions, one convolution
of stride 2 before each later stage, learned position embeddings, blocks with norms behind; in the
last stage softmax attention with a class token, and blocks with norms in front.

Differences from the authors' code:
- Position embeddings are resized only where the tokens lie on another grid than they were made for.
- First values of convolutions are PyTorch's rule; those of linear layers and embeddings, normal
  with 0.02, are the authors'.
- `drop_rate` is dropout before the classifier, as everywhere in timm.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from timm.models._features import feature_take_indices
from torch import Tensor, nn

from softbench.attention._grid import tokens_to_image
from softbench.models import _initial
from softbench.models._backbone_stages import ClassStage, Stage
from softbench.models._making import EPS, STD, Making
from softbench.models._sizes import PATCHES, Size

UNDECAYED = ("pos_embed", "cls_token")


class Backbone(nn.Module):
    """Images [B, in_chans, rows, columns] of any size to logits [B, num_classes]."""

    def __init__(
        self,
        size: Size,
        *,
        attention: str,
        attention_params: Mapping[str, Any] | None = None,
        backend: str = "eager",
        image_size: tuple[int, int] = (224, 224),
        num_classes: int = 1000,
        in_chans: int = 3,
        drop_rate: float = 0.0,
        drop_path_rate: float = 0.0,
        generator: torch.Generator | None = None,
    ) -> None:
        """attention_params: what of the mechanism's is not as this backbone has it by itself.

        image_size: what position embeddings, and landmarks that are not convolved, are made for.
        generator: of all first values; without one they follow from PyTorch's global seed.
        """
        super().__init__()
        generator = generator or _initial.own_generator()
        self.num_classes, self.in_chans = num_classes, in_chans
        self.num_features = self.head_hidden_size = size.dims[-1]
        self.feature_info = _feature_info(size)
        streams = _initial.Streams(generator)
        making = Making(
            size, attention, attention_params or {}, backend, image_size, generator, streams
        )
        self.stages = nn.ModuleList(making.stages(in_chans, drop_path_rate))
        self.norm: nn.Module = nn.LayerNorm(self.num_features, eps=EPS)
        self.head_drop = nn.Dropout(drop_rate)
        self.head: nn.Module = _head(self.num_features, num_classes)
        _initial.by_fan_in(self, streams)
        _initial.narrow(self, streams, STD)

    def forward_features(self, x_BCRS: Tensor) -> Tensor:
        """Tokens [B, 1 + N, C] of the last stage, normed, the class token first."""
        *early, last = self.stages
        for stage in early:
            x_BCRS = stage(x_BCRS)
        tokens_BNC, _ = last(x_BCRS)
        normed_BNC: Tensor = self.norm(tokens_BNC)
        return normed_BNC

    def forward_head(self, tokens_BNC: Tensor, pre_logits: bool = False) -> Tensor:
        """[B, num_classes] from the class token, or [B, C] before the classifier."""
        first_BC: Tensor = self.head_drop(tokens_BNC[:, 0])
        if pre_logits:
            return first_BC
        logits_BK: Tensor = self.head(first_BC)
        return logits_BK

    def forward(self, x_BCRS: Tensor) -> Tensor:
        """[B, num_classes]."""
        return self.forward_head(self.forward_features(x_BCRS))

    def forward_intermediates(
        self,
        x_BCRS: Tensor,
        indices: int | list[int] | None = None,
        norm: bool = False,
        stop_early: bool = False,
        output_fmt: str = "NCHW",
        intermediates_only: bool = False,
    ) -> Any:
        """Images [B, C, rows, columns] of the stages `indices`; with them, unless only they are
        wanted, what `forward_features` gives.

        norm: the last stage's with its norm. ValueError: an output_fmt other than NCHW.
        """
        if output_fmt != "NCHW":
            raise ValueError(f"output_fmt {output_fmt!r}: the stages give images; take 'NCHW'")
        wanted, furthest = feature_take_indices(len(self.stages), indices)
        found = []
        for number, stage in enumerate(self.stages):
            if number == 3:
                tokens_BNC, grid = stage(x_BCRS)
                normed_BNC = self.norm(tokens_BNC)
                x_BCRS = tokens_to_image((normed_BNC if norm else tokens_BNC)[:, 1:], grid)
            else:
                x_BCRS = stage(x_BCRS)
            if number in wanted:
                found.append(x_BCRS)
            if number == furthest and (stop_early or intermediates_only):
                return found
        return found if intermediates_only else (normed_BNC, found)

    def prune_intermediate_layers(
        self,
        indices: int | list[int] = 1,
        prune_norm: bool = False,
        prune_head: bool = True,
    ) -> list[int]:
        """Drop what stages up to the last of `indices` do not need; the indices as they are now."""
        wanted, furthest = feature_take_indices(len(self.stages), indices)
        self.stages = self.stages[: furthest + 1]
        if prune_norm:
            self.norm = nn.Identity()
        if prune_head:
            self.reset_classifier(0)
        return list(wanted)

    def get_classifier(self) -> nn.Module:
        """The last linear layer; an identity where there are no classes."""
        return self.head

    def reset_classifier(self, num_classes: int, global_pool: str | None = None) -> None:
        """A new classifier, from PyTorch's global seed. ValueError: a pooling but `token`."""
        if global_pool not in (None, "token"):
            raise ValueError(
                f"global_pool {global_pool!r}: the head reads the class token; 'token'"
            )
        self.num_classes = num_classes
        like = self.get_parameter("stages.0.pos_embed")
        self.head = _head(self.num_features, num_classes).to(like)
        _initial.narrow(self.head, _initial.Streams(_initial.own_generator()), STD)

    def set_grad_checkpointing(self, enable: bool = True) -> None:
        """Run every block again in the backward pass instead of keeping what is inside it."""
        for stage in self.stages:
            assert isinstance(stage, Stage | ClassStage)  # what Making makes
            stage.grad_checkpointing = enable

    def no_weight_decay(self) -> set[str]:
        """The names of what the recipe does not decay, besides biases and norms."""
        return {name for name, _ in self.named_parameters() if name.endswith(UNDECAYED)}

    def group_matcher(self, coarse: bool = False) -> dict[str, Any]:
        """timm's layer groups, for a learning rate by depth: by stage where coarse, or by block."""
        block = (r"^stages\.(\d+)\.blocks\.(\d+)", None)
        embed = (r"^stages\.(\d+)\.(?:embed|pos_embed|cls_token)", (-1,))
        return {
            "stem": r"^stages\.0\.(?:embed|pos_embed)",
            "blocks": r"^stages\.(\d+)" if coarse else [embed, block, (r"^norm", (99999,))],
        }


def _feature_info(size: Size) -> list[dict[str, Any]]:
    return [
        {"num_chs": dim, "reduction": patch, "module": f"stages.{stage}"}
        for stage, (dim, patch) in enumerate(zip(size.dims, PATCHES, strict=True))
    ]


def _head(width: int, num_classes: int) -> nn.Module:
    return nn.Linear(width, num_classes) if num_classes else nn.Identity()
