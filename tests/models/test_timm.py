"""The family as timm's users know models: by name, with timm's options and hooks."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import pytest
import timm
import torch
from timm.data.config import resolve_data_config
from timm.models import group_parameters
from torch import nn

import softbench.models  # noqa: F401 - makes the names known

TINY: dict[str, Any] = {"img_size": 64, "num_classes": 7}


def create(name: str = "soft_tiny", **options: Any) -> Any:
    torch.manual_seed(0)
    return timm.create_model(name, **TINY | options)


def image(channels: int = 3, rows: int = 64, columns: int = 64) -> torch.Tensor:
    generator = torch.Generator().manual_seed(5)
    return torch.randn(2, channels, rows, columns, generator=generator)


def test_every_name_is_known() -> None:
    known = set(timm.list_models())
    sizes = ("tiny", "small", "small_d20", "medium", "large", "huge")
    assert {f"{kind}_{size}" for kind in ("soft", "soft_norm") for size in sizes} <= known
    for mechanism in ("softmax", "linformer", "performer", "nystromformer", "soft", "soft_norm"):
        assert {f"pyramid_{mechanism}_tiny", f"vit_{mechanism}"} <= known
    assert not timm.list_models("soft_*", pretrained=True)


@pytest.mark.slow  # another process imports torch and timm
def test_importing_the_room_makes_names_known_and_nothing_else() -> None:
    program = (
        "import timm, torch\n"
        "before = set(timm.list_models())\n"
        "torch.manual_seed(0); drawn = torch.get_rng_state()\n"
        "import softbench.models\n"
        "new = set(timm.list_models()) - before\n"
        "assert before <= set(timm.list_models()) and 'soft_tiny' in new\n"
        "assert torch.equal(drawn, torch.get_rng_state())\n"
    )
    done = subprocess.run(
        [sys.executable, "-W", "error::UserWarning:timm", "-c", program],
        capture_output=True,
        text=True,
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_options_of_timm_are_taken() -> None:
    model = create(in_chans=1, drop_rate=0.3, drop_path_rate=0.2)
    assert model(image(1, 64, 96)).shape == (2, 7)
    assert model.head_drop.p == 0.3
    rates = [block.drop.p for stage in model.stages[:3] for block in stage.blocks]
    rates += [block.drop_path.drop_prob for block in model.stages[3].blocks]
    assert rates == pytest.approx([0.2 * step / 7 for step in range(8)])
    assert not torch.equal(model(image(1)), model(image(1)))  # something is dropped


def test_first_values_follow_pytorch_s_seed() -> None:
    one, again = create().state_dict(), create().state_dict()
    assert all(torch.equal(tensor, again[name]) for name, tensor in one.items())
    torch.manual_seed(1)
    other = timm.create_model("soft_tiny", **TINY).state_dict()
    assert not torch.equal(one["head.weight"], other["head.weight"])
    assert float(one["head.weight"].std()) == pytest.approx(0.02, rel=0.1)


def test_features_of_every_stage_are_images() -> None:
    model = create(features_only=True).eval()
    assert model.feature_info.channels() == [64, 128, 320, 512]
    assert model.feature_info.reduction() == [4, 8, 16, 32]
    shapes = [tuple(one.shape[1:]) for one in model(image(3, 64, 96))]
    assert shapes == [(64, 16, 24), (128, 8, 12), (320, 4, 6), (512, 2, 3)]
    middle = create(features_only=True, out_indices=(1, 2)).eval()
    for one, other in zip(middle(image()), model(image())[1:3], strict=True):
        assert torch.equal(one, other)
    assert not any(name.startswith("model.stages.3") for name, _ in middle.named_parameters())


def test_intermediates_lead_to_the_same_features() -> None:
    model = create().eval()
    features, found = model.forward_intermediates(image(), indices=(0, 3), norm=True)
    assert torch.equal(features, model.forward_features(image()))
    assert len(found) == 2
    assert torch.equal(found[1].flatten(2).transpose(1, 2), features[:, 1:])
    plain = model.forward_intermediates(image(), indices=1, intermediates_only=True)
    assert not torch.allclose(plain[0], found[1])
    with pytest.raises(ValueError, match="'NLC'"):
        model.forward_intermediates(image(), output_fmt="NLC")


def test_the_classifier_can_be_had_reset_and_left_out() -> None:
    model = create().eval()
    assert isinstance(model.get_classifier(), nn.Linear)
    tokens = model.forward_features(image())
    assert tokens.shape == (2, 5, 512)
    assert torch.equal(model.forward_head(tokens), model(image()))
    assert torch.equal(model.forward_head(tokens, pre_logits=True), tokens[:, 0])
    model.reset_classifier(3)
    assert (model(image()).shape, model.num_classes) == ((2, 3), 3)
    model.reset_classifier(0)
    assert torch.equal(model(image()), tokens[:, 0])
    with pytest.raises(ValueError, match="'token'"):
        model.reset_classifier(3, "avg")
    with pytest.raises(ValueError, match="'token'"):
        create(global_pool="avg")


def test_checkpointed_gradients_are_the_same_and_less_is_kept() -> None:
    kept, gradients = [], []
    for enable in (False, True):
        model = create().train()
        model.set_grad_checkpointing(enable)
        sizes: list[int] = []

        def pack(tensor: torch.Tensor, sizes: list[int] = sizes) -> torch.Tensor:
            sizes.append(tensor.numel())
            return tensor

        with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
            output = model(image())
        kept.append(sum(sizes))
        output.square().sum().backward()
        gradients.append([parameter.grad for parameter in model.parameters()])
    assert kept[1] < kept[0] / 2
    for plain, again in zip(*gradients, strict=True):
        assert torch.allclose(plain, again, rtol=1e-4, atol=1e-6)


def test_groups_for_a_learning_rate_by_depth_hold_every_parameter_once() -> None:
    model = create()
    for coarse in (False, True):
        groups = group_parameters(model, model.group_matcher(coarse=coarse))
        names = [name for group in groups.values() for name in group]
        assert sorted(names) == sorted(name for name, _ in model.named_parameters())
        assert "stages.0.embed.0.weight" in groups[0]
        assert "head.weight" in groups[max(groups)]
    places = [
        next(at for at, group in groups.items() if f"stages.{stage}.pos_embed" in group)
        for stage in range(4)
    ]
    assert places == sorted(places)
    undecayed = model.no_weight_decay()
    assert undecayed == {
        *(f"stages.{stage}.pos_embed" for stage in range(4)),
        "stages.3.cls_token",
    }


def test_how_images_are_prepared_is_the_authors_evaluation() -> None:
    data: Any = resolve_data_config(model=create(img_size=224))  # type: ignore[no-untyped-call]
    assert data["input_size"] == (3, 224, 224)
    assert (data["crop_pct"], data["interpolation"]) == (0.875, "bicubic")
    assert data["mean"] == (0.485, 0.456, 0.406)


def test_the_mechanism_and_its_backend_can_be_chosen() -> None:
    eager = create("pyramid_softmax_tiny").eval()
    fused = create("pyramid_softmax_tiny", backend="sdpa").eval()
    assert torch.allclose(eager(image()), fused(image()), atol=1e-4)
    one: Any = create("pyramid_soft_tiny").eval()
    soft = create().eval()
    assert torch.equal(one(image()), soft(image()))
    few = create(attention_params={"num_newton_iters": 1}).eval()
    assert not torch.equal(few(image()), soft(image()))


def test_a_plain_transformer_by_name() -> None:
    options: dict[str, Any] = {"depth": 2, "dim": 32, "num_heads": 2, "patch_size": 8}
    model = create("vit_performer", drop_path_rate=0.1, drop_rate=0.2, **options)
    assert [block.drop_path.drop_prob for block in model.blocks] == [0.0, 0.1]
    assert model.head_drop.p == 0.2
    assert model(image()).shape == (2, 7)
    words = timm.create_model("vit_softmax", vocabulary=9, seq_len=6, num_classes=4, **options)
    assert words(torch.zeros(2, 6, dtype=torch.long)).shape == (2, 4)


def test_no_weights_are_hosted() -> None:
    with pytest.raises(ValueError, match="no weights of soft_tiny are hosted"):
        create(pretrained=True)
