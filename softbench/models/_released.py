"""The names of the released checkpoints, and ours.

released                                   here
patch_embed{1..4}.proj.{i}.*               stages.{0..3}.embed.{i}.*
pos_embed{1..4}                            stages.{0..3}.pos_embed
cls_token                                  stages.3.cls_token
block{1..3}.{j}.att.mha.W_q.*              stages.{0..2}.blocks.{j}.attention.q_proj.*
block{1..3}.{j}.att.mha.W_v.*              ….attention.v_proj.*
block{1..3}.{j}.att.mha.ff.*               ….attention.out_proj.*
….att.mha.attn.Qlandmark_op.weight         ….attention.landmark_conv
….att.mha.attn.Qnorm_act.0.weight, .bias   ….attention.landmark_norm_weight, _bias
….att.mha.attn.conv.weight                 ….attention.value_conv
block{1..3}.{j}.att.ff1.*, ff2.*           ….mlp.fc1.*, fc2.*
block{1..3}.{j}.att.norm1.*, norm2.*       ….norm1.*, norm2.*
block4.{j}.attn.q.*                        stages.3.blocks.{j}.attention.q_proj.*
block4.{j}.attn.kv.*                       ….attention.k_proj.* (first half), v_proj.* (second)
block4.{j}.attn.proj.*                     ….attention.out_proj.*
block4.{j}.mlp.*, norm1.*, norm2.*         ….mlp.*, norm1.*, norm2.*
norm.*, head.*                             norm.*, head.*
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from torch import Tensor

# What a whole released name becomes; two names share its tensor along the first dimension. Stages
# still have their released numbers here, which count from 1.
BLOCK = r"stages.\1.blocks.\2."
SOFT = r"block([123])\.(\d+)\.att\."
LAST = r"block(4)\.(\d+)\."
RENAMED: tuple[tuple[str, tuple[str, ...]], ...] = (
    (r"patch_embed(\d)\.proj\.(.+)", (r"stages.\1.embed.\2",)),
    (r"pos_embed(\d)", (r"stages.\1.pos_embed",)),
    (r"cls_token", ("stages.4.cls_token",)),
    (SOFT + r"mha\.W_([qv])\.(\w+)", (BLOCK + r"attention.\3_proj.\4",)),
    (SOFT + r"mha\.ff\.(\w+)", (BLOCK + r"attention.out_proj.\3",)),
    (SOFT + r"mha\.attn\.Qlandmark_op\.weight", (BLOCK + r"attention.landmark_conv",)),
    (SOFT + r"mha\.attn\.Qnorm_act\.0\.(\w+)", (BLOCK + r"attention.landmark_norm_\3",)),
    (SOFT + r"mha\.attn\.conv\.weight", (BLOCK + r"attention.value_conv",)),
    (SOFT + r"ff([12])\.(\w+)", (BLOCK + r"mlp.fc\3.\4",)),
    (SOFT + r"(norm[12]\.\w+)", (BLOCK + r"\3",)),
    (LAST + r"attn\.q\.(\w+)", (BLOCK + r"attention.q_proj.\3",)),
    (LAST + r"attn\.kv\.(\w+)", (BLOCK + r"attention.k_proj.\3", BLOCK + r"attention.v_proj.\3")),
    (LAST + r"attn\.proj\.(\w+)", (BLOCK + r"attention.out_proj.\3",)),
    (LAST + r"((?:mlp\.fc[12]|norm[12])\.\w+)", (BLOCK + r"\3",)),
    (r"((?:norm|head)\.\w+)", (r"\1",)),
)


def names_here(released: str) -> tuple[str, ...]:
    """What a released tensor is called here: one name, two for keys and values in one, or none."""
    for pattern, templates in RENAMED:
        found = re.fullmatch(pattern, released)
        if found:
            return tuple(_from_zero(found.expand(template)) for template in templates)
    return ()


def parts(name: str, tensor: Tensor) -> Iterator[tuple[str, Tensor]]:
    """A released tensor under each of its names here; one of another name as it is."""
    names = names_here(name) or (name,)
    # What has no dimension, a counter, cannot be cut.
    yield from zip(names, tensor.chunk(len(names)) if len(names) > 1 else (tensor,), strict=True)


def _from_zero(name: str) -> str:
    return re.sub(r"^stages\.(\d)", lambda found: f"stages.{int(found[1]) - 1}", name)
