"""The plain transformer: its contract for every mechanism, its counts, its sequences of tokens."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from pydantic import ValidationError
from torch import Tensor

from softbench import plugins
from softbench.metrics._dispatch import DispatchCounter
from softbench.models import vit

MECHANISMS = plugins.names("attention")
IMAGE: dict[str, Any] = {
    "image_size": 28,
    "patch_size": 2,
    "in_chans": 1,
    "depth": 2,
    "dim": 16,
    "num_heads": 2,
    "num_classes": 5,
}
WORDS: dict[str, Any] = {
    "vocabulary": 11,
    "seq_len": 64,
    "depth": 2,
    "dim": 16,
    "num_heads": 2,
    "num_classes": 11,
    "pool": "last",
}


def model(
    params: vit.Params, attention: str, *, backend: str = "eager", seed: int = 0, **given: Any
) -> torch.nn.Module:
    return vit.build(
        params,
        attention=attention,
        attention_params=given,
        backend=backend,
        generator=torch.Generator().manual_seed(seed),
    )


def drawn(params: vit.Params, batch_size: int = 2, seed: int = 1) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return vit.draw(params, batch_size, generator, torch.float32)


def counted(module: torch.nn.Module, x: Tensor, mode: str) -> int:
    with DispatchCounter() as counter:
        output = module(x)
        if mode == "forward_backward":
            output.backward(torch.empty_like(output))
    return int(counter.total)


def weights(module: torch.nn.Module) -> int:
    return sum(weight.numel() for weight in module.parameters())


@pytest.mark.parametrize("mode", ["forward", "forward_backward"])
@pytest.mark.parametrize("sizes", [IMAGE, WORDS], ids=["image", "words"])
@pytest.mark.parametrize("attention", MECHANISMS)
def test_the_closed_form_is_what_is_dispatched(
    attention: str, sizes: dict[str, Any], mode: Any
) -> None:
    params = vit.Params(**sizes)
    assert vit.supports(params, attention, {}) is None
    for backend in plugins.load("attention", attention).BACKENDS:
        if backend == "auto":  # what it stands for depends on the machine
            continue
        with torch.device("meta"):
            module = model(params, attention, backend=backend)
            total = counted(module, drawn(params), mode)
        terms = vit.flops(
            params,
            batch_size=2,
            attention=attention,
            attention_params={},
            backend=backend,
            mode=mode,
        )
        assert sum(terms.values()) == total, (backend, terms)


@pytest.mark.parametrize("sizes", [IMAGE, WORDS], ids=["image", "words"])
@pytest.mark.parametrize("attention", MECHANISMS)
def test_logits_are_finite_and_follow_from_the_seed(attention: str, sizes: dict[str, Any]) -> None:
    params = vit.Params(**sizes)
    torch.manual_seed(3)
    first = model(params, attention).eval()
    torch.manual_seed(4)
    before = torch.get_rng_state()
    again, other = model(params, attention).eval(), model(params, attention, seed=1).eval()
    assert torch.equal(torch.get_rng_state(), before)
    x = drawn(params)
    logits = first(x)
    assert logits.shape == (2, params.num_classes)
    assert torch.isfinite(logits).all()
    assert torch.equal(logits, again(x))
    assert not torch.allclose(logits, other(x))
    assert all(
        torch.equal(one, two)
        for one, two in zip(first.state_dict().values(), again.state_dict().values(), strict=True)
    )


def test_the_mechanism_inside_is_the_one_asked_for() -> None:
    params = vit.Params(**IMAGE)
    few, many = (model(params, "soft", num_newton_iters=steps)(drawn(params)) for steps in (1, 20))
    assert not torch.allclose(few, many)
    plain, fused = (
        model(params, "softmax", backend=name)(drawn(params)) for name in ("eager", "sdpa")
    )
    assert torch.allclose(plain, fused, atol=1e-5)
    assert "no stride" in str(vit.supports(params, "soft", {"num_landmarks": 50}))
    with pytest.raises(ValidationError, match="num_landmarks"):
        vit.supports(params, "soft", {"num_landmarks": 0})


def test_tokens_of_a_sequence_lie_in_a_row() -> None:
    """64 of them are no 8 × 8 image: landmarks are means of what stands together."""
    params = vit.Params(**WORDS)
    assert vit.supports(params, "soft", {"num_landmarks": 7}) is None
    assert "grid" in str(vit.supports(params, "soft", {"landmarks": "conv"}))
    layer: Any = model(params, "soft", num_landmarks=7).get_submodule("blocks.0.attention")
    assert layer.heads.shape.grid is None
    image: Any = model(vit.Params(**IMAGE), "soft").get_submodule("blocks.0.attention")
    assert image.heads.shape.grid == (14, 14)


def test_where_a_token_stands_is_seen_as_far_as_pos_std_says() -> None:
    params = vit.Params(**WORDS | {"pool": "mean"})
    x = drawn(params)
    moved = x.flip(1)
    blind = model(params.model_copy(update={"pos_std": 0.0}), "softmax").eval()
    seeing = model(params.model_copy(update={"pos_std": 0.5}), "softmax").eval()
    assert torch.allclose(blind(x), blind(moved), atol=1e-5)
    assert not torch.allclose(seeing(x), seeing(moved), atol=1e-3)
    spread = float(seeing.get_parameter("pos_embed").detach().std())
    assert spread == pytest.approx(0.5, rel=0.1)


def test_the_last_token_or_the_mean_goes_to_the_head() -> None:
    params = vit.Params(**WORDS)
    last = model(params, "softmax").eval()
    tokens = torch.randn(2, 64, 16)
    head: Any = last
    assert torch.equal(head.forward_head(tokens, pre_logits=True), tokens[:, -1])
    mean: Any = model(params.model_copy(update={"pool": "mean"}), "softmax")
    assert torch.equal(mean.forward_head(tokens, pre_logits=True), tokens.mean(1))


def test_the_shape_is_that_of_the_attention() -> None:
    shape = vit.shape(vit.Params(image_size="448x224", num_heads=12), 3)  # type: ignore[arg-type]
    assert (shape.batch_size, shape.num_heads, shape.head_dim) == (3, 12, 32)
    assert (shape.seq_len, shape.grid) == (392, (28, 14))
    assert vit.shape(vit.Params(**WORDS), 2).seq_len == 64


def test_an_input_is_of_the_dtype_asked_for_and_tokens_are_below_the_vocabulary() -> None:
    generator = torch.Generator().manual_seed(0)
    image = vit.draw(vit.Params(**IMAGE), 3, generator, torch.bfloat16)
    assert (image.shape, image.dtype) == ((3, 1, 28, 28), torch.bfloat16)
    words = vit.draw(vit.Params(**WORDS), 50, generator, torch.bfloat16)
    assert (words.shape, words.dtype) == ((50, 64), torch.int64)
    assert (int(words.min()), int(words.max())) == (0, 10)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"patch_size": 3}, "take 27x27"),
        ({"num_heads": 3}, "take 2 heads"),
        ({"vocabulary": 5}, "a sequence has both"),
        ({"seq_len": 5}, "a sequence has both"),
        ({"image_size": "28 by 28"}, "such as 224x448"),
        ({"depth": 0}, "depth"),
    ],
)
def test_what_does_not_fit_is_refused(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        vit.Params(**IMAGE | changes)


def test_parameters_are_read_back_as_they_are_written() -> None:
    for size in (224, "448x224"):
        params = vit.Params(image_size=size)  # type: ignore[arg-type]
        written = params.model_dump(mode="json")
        assert written["image_size"] == size
        assert vit.Params(**written) == params
        assert vit.Params.model_validate_json(params.model_dump_json()) == params


def test_another_number_of_tokens_is_refused() -> None:
    with pytest.raises(ValueError, match="63 tokens for a model of 64"):
        model(vit.Params(**WORDS), "softmax")(torch.zeros(1, 63, dtype=torch.long))


@pytest.mark.parametrize("sizes", [IMAGE, WORDS], ids=["image", "words"])
@pytest.mark.parametrize("attention", MECHANISMS)
def test_models_are_made_equally_large(attention: str, sizes: dict[str, Any]) -> None:
    params = vit.Params(**sizes, equal_parameters=True)
    wanted = weights(model(vit.Params(**sizes), "softmax"))
    few: dict[str, Any] = {"projection_length": 4} if attention == "linformer" else {}
    own = model(params, attention, **few)
    counts = vit.flops(
        params,
        batch_size=2,
        attention=attention,
        attention_params=few,
        backend="eager",
        mode="forward",
    )
    assert counted(own, drawn(params), "forward") == sum(counts.values())
    a_channel = params.depth * (2 * params.dim + 1)
    assert abs(weights(own) - wanted) <= a_channel / 2
    assert own(drawn(params)).shape == (2, params.num_classes)


def test_one_that_cannot_be_made_as_small_says_which_width_would_do() -> None:
    narrow = {**WORDS, "mlp_ratio": 0.5, "equal_parameters": True}
    given = {"projection_length": 32}
    refused = vit.supports(vit.Params(**narrow), "linformer", given)
    assert refused is not None
    ratio = float(refused.split("an mlp_ratio of ")[1].split()[0])
    enough, little = ({**narrow, "mlp_ratio": ratio - less} for less in (0, 0.1))
    assert vit.supports(vit.Params(**enough), "linformer", given) is None
    assert vit.supports(vit.Params(**little), "linformer", given) is not None


def test_what_recipes_ask_of_a_model() -> None:
    params = vit.Params(**IMAGE)
    one: Any = model(params, "soft")
    x = drawn(params)
    one(x).sum().backward()
    wanted = one.get_parameter("blocks.0.mlp.fc1.weight").grad.clone()
    one.zero_grad()
    one.set_grad_checkpointing()
    one(x).sum().backward()
    assert torch.allclose(one.get_parameter("blocks.0.mlp.fc1.weight").grad, wanted)
    one.reset_classifier(3)
    assert one(x).shape == (2, 3)
    assert one.get_classifier().out_features == 3
    with pytest.raises(ValueError, match="'last'"):
        one.reset_classifier(3, "last")
    assert one.no_weight_decay() <= {name for name, _ in one.named_parameters()}
