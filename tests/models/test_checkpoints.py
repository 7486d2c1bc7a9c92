"""Released checkpoints by their names and shapes; wrong files, told apart and never run."""

from __future__ import annotations

import argparse
import os
from pathlib import Path
from typing import Any

import pytest
import timm
import torch
from safetensors.torch import save_file
from torch import Tensor

from softbench.models import CheckpointError, _released, load_released
from softbench.models._checkpoints import checkpoint_filter_fn


@pytest.fixture
def released(golden_meta: Any) -> dict[str, Tensor]:
    """What a released soft_tiny file holds, by the names and shapes in the goldens."""
    generator = torch.Generator().manual_seed(0)
    shapes = golden_meta("models")["state_dict_shapes"]
    drawn = {name: torch.randn(shape, generator=generator) for name, shape in shapes.items()}
    return {name: 0.05 * one.abs() + ("var" in name) for name, one in drawn.items()}


def create(name: str = "soft_tiny", **options: Any) -> Any:
    return timm.create_model(name, **options)


def saved(tensors: Any, path: Path) -> Path:
    torch.save(tensors, path)
    return path


def test_every_released_name_has_its_place_and_no_place_is_left(
    released: dict[str, Tensor],
) -> None:
    model = create()
    placed = [name for one in released for name in _released.names_here(one)]
    assert len(placed) == len(set(placed))
    assert set(placed) == set(model.state_dict())


@pytest.mark.parametrize("attention", ["soft", "soft_norm"])
def test_a_released_file_is_loaded(
    attention: str, released: dict[str, Tensor], tmp_path: Path
) -> None:
    model = create(f"{attention}_tiny")
    load_released(model, saved(released, tmp_path / "soft.pth"))
    state = model.state_dict()
    assert torch.equal(state["head.weight"], released["head.weight"])
    both = released["block4.1.attn.kv.weight"]
    assert torch.equal(state["stages.3.blocks.1.attention.k_proj.weight"], both[:512])
    assert torch.equal(state["stages.3.blocks.1.attention.v_proj.weight"], both[512:])
    landmarks = released["block3.2.att.mha.attn.Qlandmark_op.weight"]
    assert torch.equal(state["stages.2.blocks.2.attention.landmark_conv"], landmarks)


def test_weights_are_found_inside_what_training_saves(
    released: dict[str, Tensor], tmp_path: Path
) -> None:
    averaged = {f"module.{name}": tensor + 1 for name, tensor in released.items()}
    whole = {
        "epoch": 3,
        "args": argparse.Namespace(lr=0.1),
        "state_dict": released,
        "state_dict_ema": averaged,
    }
    model = create()
    load_released(model, saved(whole, tmp_path / "whole.pth"))
    assert torch.equal(model.head.weight, released["head.weight"] + 1)
    save_file(released, tmp_path / "soft.safetensors")
    load_released(model, tmp_path / "soft.safetensors")
    assert torch.equal(model.head.weight, released["head.weight"])
    load_released(create(), saved(model.state_dict(), tmp_path / "ours.pth"))


def test_timm_fits_a_file_to_other_classes_and_channels(
    released: dict[str, Tensor], tmp_path: Path
) -> None:
    overlay = {"file": str(saved(released, tmp_path / "soft.pth"))}
    options: dict[str, Any] = {"pretrained": True, "pretrained_cfg_overlay": overlay}
    whole = create(**options)
    assert torch.equal(whole.head.weight, released["head.weight"])
    other = create(num_classes=10, in_chans=1, img_size=64, **options)
    assert other.head.weight.shape == (10, 512)
    summed = released["patch_embed1.proj.0.weight"].sum(1, keepdim=True)
    assert torch.allclose(other.stages[0].embed[0].weight, summed, atol=1e-6)
    features = create(features_only=True, **options)
    first = released["patch_embed1.proj.0.weight"]
    assert torch.equal(features.model.stages[0].embed[0].weight, first)
    with pytest.raises(CheckpointError, match=r"weight is \(1000, 512\), expected \(10, 512\)"):
        load_released(create(num_classes=10), overlay["file"])


def test_positions_are_resized_to_the_model(released: dict[str, Tensor], tmp_path: Path) -> None:
    path = saved(released, tmp_path / "soft.pth")
    small, whole = create(img_size=(64, 96)).eval(), create().eval()
    load_released(small, path)
    load_released(whole, path)
    assert small.stages[0].pos_embed.shape == (1, 16 * 24, 64)
    image = torch.randn(1, 3, 64, 96)
    assert torch.allclose(small(image), whole(image), rtol=1e-3, atol=1e-3)


def test_positions_of_the_same_grid_are_as_they_were(tmp_path: Path) -> None:
    """64x256 pixels have 16x64 tokens, as many as a square of 32."""
    torch.manual_seed(0)
    own, other = create(img_size=(64, 256)), create(img_size=(64, 256))
    path = saved(own.state_dict(), tmp_path / "own.pth")
    load_released(other, path)
    for name, tensor in own.state_dict().items():
        assert torch.equal(other.state_dict()[name], tensor), name


def test_a_file_of_another_model_says_which(released: dict[str, Tensor]) -> None:
    with torch.device("meta"):
        tiny, medium = create(), create("soft_medium")
    with pytest.raises(CheckpointError) as told:
        checkpoint_filter_fn(medium.state_dict(), tiny)
    text = str(told.value)
    assert "The file fits soft_medium, or soft_norm_medium" in text
    assert "stages.2.pos_embed is (1, 196, 288), expected (1, 196, 320)" in text
    with pytest.raises(CheckpointError, match="The file fits soft_tiny"):
        checkpoint_filter_fn(released, medium)
    fewer = {name: one for name, one in released.items() if not name.startswith("block3.2")}
    with pytest.raises(CheckpointError, match="The nearest model is soft_tiny"):
        checkpoint_filter_fn(fewer, tiny)


def test_a_tensor_too_few_too_many_or_of_another_shape_is_named(
    released: dict[str, Tensor], tmp_path: Path
) -> None:
    model, name = create(), "block3.1.att.norm1.weight"
    tensor = released.pop(name)
    with pytest.raises(CheckpointError, match=r"2\.blocks\.1\.norm1\.weight \(320,\) is missing"):
        load_released(model, saved(released, tmp_path / "one.pth"))
    released[name] = tensor[:100]
    with pytest.raises(CheckpointError, match=rf"{name} is \(100,\), expected \(320,\)"):
        checkpoint_filter_fn(released, model)
    released[name] = tensor
    released["block3.1.att.extra"] = tensor
    with pytest.raises(CheckpointError, match=r"extra \(320,\) is no name of this model"):
        checkpoint_filter_fn(released, model)
    with pytest.raises(CheckpointError, match="no SOFT model"):
        load_released(model, saved({"fc.weight": tensor}, tmp_path / "four.pth"))


class Runs:
    def __reduce__(self) -> Any:
        return os.mkdir, (os.environ["WHERE"],)


def test_a_file_with_code_in_it_is_refused_and_not_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, released: dict[str, Tensor]
) -> None:
    monkeypatch.setenv("WHERE", str(tmp_path / "ran"))
    path = saved({"state_dict": released, "code": Runs()}, tmp_path / "code.pth")
    overlay = {"file": str(path)}
    for load in (
        lambda: load_released(create(), path),
        lambda: create(pretrained=True, pretrained_cfg_overlay=overlay),
    ):
        with pytest.raises(CheckpointError, match=r"could run code: it asks for .*mkdir"):
            load()
    assert not (tmp_path / "ran").exists()


def test_what_is_no_checkpoint_is_refused(tmp_path: Path) -> None:
    model = create()
    with pytest.raises(FileNotFoundError, match="nowhere"):
        load_released(model, tmp_path / "nowhere.pth")
    for name in ("text.pth", "text.safetensors"):
        (tmp_path / name).write_text("no weights at all")
        with pytest.raises(CheckpointError, match=name):
            load_released(model, tmp_path / name)
    (tmp_path / "empty.pth").write_bytes(b"")
    with pytest.raises(CheckpointError, match=r"empty\.pth"):
        load_released(model, tmp_path / "empty.pth")
    whole = saved(model.state_dict(), tmp_path / "whole.pth").read_bytes()
    (tmp_path / "cut.pth").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(CheckpointError, match=r"cut\.pth"):
        load_released(model, tmp_path / "cut.pth")
    with pytest.raises(CheckpointError, match="'lr' is a float"):
        load_released(model, saved({"lr": 0.1}, tmp_path / "numbers.pth"))
    with pytest.raises(CheckpointError, match="a list"):
        load_released(model, saved([1, 2], tmp_path / "list.pth"))
