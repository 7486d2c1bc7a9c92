"""timm's ways into the plain transformer: features of its blocks, fewer blocks, layer groups.

Mutants seen red: one block too few left, the norm forgotten, tokens of a row laid in columns.
"""

from __future__ import annotations

from typing import Any

import pytest
import timm
import torch
from timm.models import group_parameters

import softbench.models  # noqa: F401 - registers the models

SMALL: dict[str, Any] = {"patch_size": 4, "depth": 4, "dim": 16, "num_heads": 2, "num_classes": 5}
IMAGE = torch.randn(2, 3, 16, 32, generator=torch.Generator().manual_seed(0))


def create(attention: str = "softmax", **options: Any) -> Any:
    torch.manual_seed(0)
    return timm.create_model(f"vit_{attention}", img_size=(16, 32), **SMALL, **options).eval()


def test_features_of_the_last_blocks_are_images() -> None:
    model = create(features_only=True)
    assert model.feature_info.channels() == [16] * 3
    assert model.feature_info.reduction() == [4] * 3
    assert [tuple(one.shape) for one in model(IMAGE)] == [(2, 16, 4, 8)] * 3
    early = create(features_only=True, out_indices=(0, 1))
    every = create(features_only=True, out_indices=(0, 1, 2, 3))
    for one, other in zip(early(IMAGE), every(IMAGE)[:2], strict=True):
        assert torch.equal(one, other)
    assert not any(name.startswith("model.blocks.2") for name, _ in early.named_parameters())


@pytest.mark.parametrize(
    ("attention", "given"), [("softmax", {}), ("soft", {"landmarks": "pool", "num_landmarks": 8})]
)
def test_intermediates_lead_to_the_same_features(attention: str, given: dict[str, Any]) -> None:
    model = create(attention, attention_params=given)
    features, found = model.forward_intermediates(IMAGE, indices=[1, 3], norm=True)
    assert torch.equal(features, model.forward_features(IMAGE))
    assert torch.equal(found[1].flatten(2).transpose(1, 2), features)
    plain, tokens = model.forward_intermediates(
        IMAGE, indices=2, intermediates_only=True, output_fmt="NLC"
    )
    assert tokens.shape == plain.shape == (2, 32, 16)
    assert torch.equal(model.norm(tokens), features)


def test_a_sequence_has_no_images_of_features() -> None:
    model: Any = timm.create_model("vit_softmax", vocabulary=7, seq_len=8, **SMALL)
    words = torch.zeros(2, 8, dtype=torch.long)
    with pytest.raises(ValueError, match=r"'NCHW'.*'NLC'"):
        model.forward_intermediates(words)
    found = model.forward_intermediates(words, output_fmt="NLC", intermediates_only=True)
    assert [tuple(one.shape) for one in found] == [(2, 8, 16)] * 4


def test_groups_for_a_learning_rate_by_depth_hold_every_parameter_once() -> None:
    model = create("linformer")
    groups = group_parameters(model, model.group_matcher())
    names = [name for group in groups.values() for name in group]
    assert sorted(names) == sorted(name for name, _ in model.named_parameters())
    assert {"pos_embed", "embed.proj.weight"} <= set(groups[0])
    assert "head.weight" in groups[max(groups)]
    assert len(groups) == 1 + 4 + 1
