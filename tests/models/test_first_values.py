"""What mechanisms have in common starts alike under one seed, so that accuracies are paired.

Mutants seen red: one stream for all layers, the position embedding from the mechanisms' own.
"""

from __future__ import annotations

from typing import Any

import pytest
import torch

from softbench import plugins
from softbench.models import pyramid, vit

MECHANISMS = sorted(set(plugins.names("attention")) - {"softmax"})
SIZES: dict[str, dict[str, Any]] = {
    "vit": {"image_size": 28, "patch_size": 2, "depth": 2, "dim": 16, "num_heads": 2},
    "pyramid": {"image_size": 64},
}
MODELS = {"vit": vit, "pyramid": pyramid}


def beside_attention(name: str, attention: str, seed: int = 0) -> dict[str, torch.Tensor]:
    """The model's weights but those of the blocks' attention."""
    module = MODELS[name]
    built = module.build(
        module.Params(**SIZES[name], num_classes=5),
        attention=attention,
        attention_params={},
        backend="eager",
        generator=torch.Generator().manual_seed(seed),
    )
    return {name: weight for name, weight in built.named_parameters() if ".attention." not in name}


@pytest.mark.parametrize("name", MODELS)
def test_all_but_the_attention_starts_alike(name: str) -> None:
    wanted = beside_attention(name, "softmax")
    assert len(wanted) > 10
    for attention in MECHANISMS:
        found = beside_attention(name, attention)
        assert found.keys() == wanted.keys()
        assert all(torch.equal(found[key], wanted[key]) for key in wanted), attention


@pytest.mark.parametrize("name", MODELS)
def test_layers_of_one_size_and_other_seeds_start_apart(name: str) -> None:
    weights, others = (beside_attention(name, "softmax", seed) for seed in (0, 1))
    drawn = {key: weight for key, weight in weights.items() if float(weight.detach().std()) > 0}
    assert any("mlp" in key for key in drawn)
    assert any("pos" in key for key in drawn)
    assert not any(torch.equal(drawn[key], others[key]) for key in drawn)
    sums = [round(float(weight.detach().double().sum()), 9) for weight in drawn.values()]
    assert len(set(sums)) == len(sums)


def test_whole_numbers_are_embedded_alike() -> None:
    words = vit.Params(vocabulary=11, seq_len=64, depth=1, dim=16, num_heads=2)
    softmax, linformer = (
        vit.build(
            words,
            attention=attention,
            attention_params={},
            backend="eager",
            generator=torch.Generator().manual_seed(0),
        )
        for attention in ("softmax", "linformer")
    )
    one, other = (model.get_parameter("embed.proj.weight") for model in (softmax, linformer))
    assert torch.equal(one, other)
