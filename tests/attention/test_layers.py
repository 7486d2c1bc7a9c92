"""What all layers share: their shape, their seed, and dealing channels to heads.

Broken on purpose, each of these turned a test here red: weights from the global generator, bounds
twice as wide, heads dealt with a stride, heads merged without going back.
"""

from __future__ import annotations

from types import ModuleType

import pytest
import torch

from softbench.attention import soft, softmax
from softbench.attention._heads import merge_heads, split_heads
from softbench.attention._weights import linear
from softbench.case import Shape

SHAPE = Shape(batch_size=2, num_heads=3, seq_len=49, head_dim=4)
BOTH = pytest.mark.parametrize("mechanism", [softmax, soft])


def layer(mechanism: ModuleType, seed: int) -> torch.nn.Module:
    params = mechanism.Params(**getattr(mechanism, "LEVEL_DEFAULTS", {}).get("layer", {}))
    built: torch.nn.Module = mechanism.Attention(
        SHAPE, params, generator=torch.Generator().manual_seed(seed)
    )
    return built


@BOTH
def test_layer_keeps_the_shape(mechanism: ModuleType) -> None:
    x = torch.randn(2, 49, 12, generator=torch.Generator().manual_seed(0))
    out = layer(mechanism, 0)(x)
    assert out.shape == x.shape
    assert out.isfinite().all()


@BOTH
def test_weights_follow_the_seed_and_nothing_else(mechanism: ModuleType) -> None:
    before = torch.random.get_rng_state()
    first, again, other = (layer(mechanism, seed).state_dict() for seed in (0, 0, 1))
    assert torch.equal(torch.random.get_rng_state(), before)
    assert all(torch.equal(first[name], again[name]) for name in first)
    assert not torch.equal(first["q_proj.weight"], other["q_proj.weight"])


def test_names_of_parameters() -> None:
    def names(mechanism: ModuleType) -> set[str]:
        return {name for name, _ in layer(mechanism, 0).named_parameters()}

    def projections(*kinds: str) -> set[str]:
        return {f"{kind}_proj.{part}" for kind in kinds for part in ("weight", "bias")}

    landmarks = {"landmark_conv", "landmark_norm_weight", "landmark_norm_bias"}
    assert names(softmax) == projections("q", "k", "v", "out")
    assert names(soft) == projections("q", "v", "out") | landmarks | {"value_conv"}


def test_heads_are_runs_of_channels() -> None:
    x = torch.arange(2 * 5 * 12).reshape(2, 5, 12)
    heads = split_heads(x, 3)
    assert torch.equal(heads[:, 1], x[..., 4:8])
    assert torch.equal(merge_heads(heads), x)


def test_linear_is_drawn_within_its_bound() -> None:
    drawn = linear(100, 50, generator=torch.Generator().manual_seed(0))
    assert drawn.weight.shape == (50, 100)
    for tensor in (drawn.weight, drawn.bias):
        assert 0.09 < tensor.abs().max() <= 0.1
