"""The pyramid with every mechanism: its counts, its stages, what it refuses."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from pydantic import ValidationError

from softbench import plugins
from softbench.attention import softmax
from softbench.metrics._dispatch import DispatchCounter
from softbench.models import pyramid

MECHANISMS = plugins.names("attention")
SMALL = pyramid.Params(image_size=64, num_classes=7, in_chans=1)  # type: ignore[arg-type]


def model(attention: str, backend: str = "eager", seed: int = 0, **given: Any) -> torch.nn.Module:
    return pyramid.build(
        SMALL,
        attention=attention,
        attention_params=given,
        backend=backend,
        generator=torch.Generator().manual_seed(seed),
    )


def whole(attention: str) -> torch.nn.Module:
    return pyramid.build(
        pyramid.Params(),
        attention=attention,
        attention_params={},
        backend="eager",
        generator=torch.Generator(),
    )


def images(batch_size: int = 2) -> torch.Tensor:
    return pyramid.draw(SMALL, batch_size, torch.Generator().manual_seed(1), torch.float32)


# Few steps: how many there are is told by the mechanisms' own tests.
STEPS = ("num_newton_iters", "num_pinv_iters")


@pytest.mark.parametrize("attention", MECHANISMS)
def test_the_closed_form_is_what_is_dispatched(attention: str) -> None:
    known = plugins.load("attention", attention).Params.model_fields
    given = {name: 2 for name in STEPS if name in known}
    assert pyramid.supports(SMALL, attention, {}) is None
    for backend in {"eager", "fused", "sdpa"} & set(plugins.load("attention", attention).BACKENDS):
        with torch.device("meta"):
            module, x = model(attention, backend, **given), images()
        counted: dict[Any, int] = {}
        with DispatchCounter() as counter:
            output = module(x)
            counted["forward"] = counter.total
            output.backward(torch.empty_like(output))
            counted["forward_backward"] = counter.total
        for mode, total in counted.items():
            terms = pyramid.flops(
                SMALL,
                batch_size=2,
                attention=attention,
                attention_params=given,
                backend=backend,
                mode=mode,
            )
            assert sum(terms.values()) == total, (backend, mode, terms)


@pytest.mark.parametrize("attention", MECHANISMS)
def test_logits_follow_from_the_seed_on_every_size_of_image(attention: str) -> None:
    torch.manual_seed(3)
    one = model(attention).eval()
    torch.manual_seed(4)
    before = torch.get_rng_state()
    again = model(attention).eval()
    assert torch.equal(torch.get_rng_state(), before)
    logits = one(images())
    assert logits.shape == (2, 7)
    assert torch.isfinite(logits).all()
    assert torch.equal(logits, again(images()))
    assert attention != "soft" or not torch.allclose(logits, model("soft", seed=1).eval()(images()))
    for rows, columns in ((64, 96), (70, 45)):
        assert torch.isfinite(one(torch.randn(1, 1, rows, columns))).all()


@pytest.mark.parametrize(
    ("attention", "number"),
    [
        ("softmax", 13.3),
        ("linformer", 13.5),
        ("performer", 13.3),
        ("nystromformer", 13.3),
        ("soft", 13.1),
        ("soft_norm", 13.1),
    ],
)
def test_all_have_the_paper_s_thirteen_million_parameters(attention: str, number: float) -> None:
    with torch.device("meta"):
        module = whole(attention)
    found = sum(parameter.numel() for parameter in module.parameters())
    assert found / 1e6 == pytest.approx(number, abs=0.05)


def test_every_stage_has_as_many_landmarks_whatever_the_mechanism() -> None:
    for attention, field in (
        ("soft", "num_landmarks"),
        ("soft_norm", "num_landmarks"),
        ("linformer", "projection_length"),
        ("nystromformer", "num_landmarks"),
    ):
        with torch.device("meta"):
            module = whole(attention)
        for stage, heads in enumerate((2, 4, 10)):
            layer: Any = module.get_submodule(f"stages.{stage}.blocks.0.attention")
            assert getattr(layer.heads.params, field) == 49
            assert (layer.heads.shape.num_heads, layer.heads.shape.head_dim) == (heads, 32)
            if attention == "soft":
                assert layer.landmark_conv.shape[-1] == (8, 4, 2)[stage]
                assert layer.value_conv.shape[-1] == (9, 5, 3)[stage]
            if attention == "linformer":
                assert layer.value_projection.shape == (32, 32, *2 * ((8, 4, 2)[stage],))
            if attention == "nystromformer":
                assert layer.heads.params.landmarks == "pool"
            if attention == "soft_norm":
                assert layer.heads.params.scope == "batch"


def test_the_last_stage_stays_softmax_with_a_class_token() -> None:
    for attention in ("soft", "performer"):
        layer: Any = model(attention).get_submodule("stages.3.blocks.0.attention")
        assert layer.heads.projections == "qkv"
        assert layer.heads.shape.seq_len == 5
        assert not layer.heads.weight_names


def test_the_last_stage_is_plain_beside_plain_and_fused_beside_fused() -> None:
    with torch.device("meta"):
        made = {backend: model("soft", backend) for backend in ("eager", "fused", "auto")}
    for backend, wanted in {"eager": "eager", "fused": "sdpa", "auto": "sdpa"}.items():
        layer: Any = made[backend].get_submodule("stages.3.blocks.0.attention")
        assert layer.heads.attend is softmax.BACKENDS[wanted]


def test_what_is_asked_for_goes_to_every_stage() -> None:
    pooled: Any = model("soft", landmarks="pool", conv_kernel_size=0)
    for stage in range(3):
        params = pooled.get_submodule(f"stages.{stage}.blocks.0.attention").heads.params
        assert (params.landmarks, params.conv_kernel_size) == ("pool", 0)
    few, many = (model("soft", num_newton_iters=steps).eval()(images()) for steps in (1, 20))
    assert not torch.equal(few, many)
    eager, fused = (model("softmax", backend).eval()(images()) for backend in ("eager", "sdpa"))
    assert torch.allclose(eager, fused, atol=1e-4)


def test_what_a_stage_cannot_have_is_refused() -> None:
    reason = pyramid.supports(SMALL, "soft", {"num_landmarks": 49})
    assert reason is not None
    assert reason.startswith("stage 1: landmarks conv on a 16x16 grid")
    with pytest.raises(ValidationError, match="num_landmarks"):
        pyramid.supports(SMALL, "soft", {"num_landmarks": 0})
    with pytest.raises(ValidationError, match="take 224x32"):
        pyramid.Params(image_size="225x20")  # type: ignore[arg-type]
    with pytest.raises(ValidationError, match="small_d20"):
        pyramid.Params(size="smal")  # type: ignore[arg-type]


def test_the_shape_is_that_of_the_first_stage() -> None:
    shape = pyramid.shape(pyramid.Params(image_size="224x448"), 4)  # type: ignore[arg-type]
    assert (shape.batch_size, shape.num_heads, shape.head_dim) == (4, 2, 32)
    assert shape.grid == (56, 112)
