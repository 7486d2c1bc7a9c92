"""The recipe as data: the paper's settings, what is refused, what two recipes differ in."""

from __future__ import annotations

from typing import Any

import pytest
import yaml
from pydantic import ValidationError
from training_cases import TINY, tiny

from softbench.suite import packaged, read
from softbench.training.differing import differences
from softbench.training.recipe import Recipe

PATH = packaged("recipe")["imagenet_soft"]


def paper(*changes: str) -> Recipe:
    return Recipe.model_validate(read(PATH, changes))


@pytest.mark.parametrize(
    ("model", "rate"),
    [
        ("soft_tiny", 1e-3),
        ("soft_small", 1e-3),
        ("soft_small_d20", 1e-3),
        ("soft_medium", 3.5e-4),
        ("soft_norm_large", 3.3e-4),
        ("soft_huge", 2.7e-4),
        ("pyramid_linformer_tiny", 1e-3),
    ],
)
def test_every_size_has_the_papers_learning_rate(model: str, rate: float) -> None:
    assert paper(f"model={model}").learning_rate == pytest.approx(rate)
    assert paper(f"model={model}", "batch_size=512").learning_rate == pytest.approx(rate / 2)


def test_the_settings_are_the_papers() -> None:
    recipe = paper()
    assert (recipe.epochs, recipe.batch_size, recipe.image_size, recipe.seed) == (
        300,
        1024,
        224,
        42,
    )
    assert recipe.model_kwargs == {"drop_path_rate": 0.1}
    done, steps = recipe.augmentation, recipe.schedule
    assert (done.auto_augment, done.color_jitter) == ("rand-m9-mstd0.5-inc1", 0.4)
    assert (done.erasing, done.erasing_mode) == (0.25, "pixel")
    assert (done.mixup, done.cutmix, done.label_smoothing) == (0.8, 1.0, 0.1)
    assert (steps.warmup_epochs, steps.warmup_lr, steps.min_lr) == (10, 1e-6, 5e-5)
    ours = recipe.optimizer
    assert (ours.name, ours.weight_decay, ours.eps, ours.clip_grad) == ("adamw", 0.05, 1e-8, 1.0)
    assert recipe.ema is not None
    assert recipe.ema.decay == 0.99996
    assert recipe.image_size / recipe.evaluation.resize == 224 / 256


def test_a_recipe_is_no_suite() -> None:
    assert not [name for name in packaged() if "imagenet" in name]


def test_numbers_without_a_point_are_numbers() -> None:
    assert paper("optimizer.base_lr=1e-3").learning_rate == 1e-3


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"model": "resnet"}, "nothing for the model 'resnet'"),
        ({"epochs": 10}, "leaves nothing of 10 epochs"),
        ({"evaluation": {"resize": 200}}, "smaller than the crop"),
        ({"optimizer": {"base_lr": "fast"}}, "valid number"),
        ({"optimizer": {"weight_decay": -1.0}}, "greater than or equal to 0"),
        ({"augmentation": {"erasing": 1.5}}, "less than or equal to 1"),
        ({"epochz": 3}, "Extra inputs"),
    ],
)
def test_what_cannot_be_meant_is_refused(changes: dict[str, Any], said: str) -> None:
    raw = yaml.safe_load(PATH.read_text())
    with pytest.raises(ValidationError, match=said):
        Recipe.model_validate(raw | changes)


@pytest.mark.parametrize(
    ("size", "processes", "accumulate", "said"),
    [
        (10, 4, 1, "cannot be parted into 4"),
        (2, 4, 1, "cannot be parted into 4"),
        (8, 2, 3, "cannot be parted into 6"),
        (12, 2, 2, "even number of images .* is 3"),
    ],
)
def test_a_batch_must_part(size: int, processes: int, accumulate: int, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        tiny(batch_size=size, accumulate=accumulate).share(processes)
    assert tiny(batch_size=16, accumulate=2).share(2) == 4


def test_recipes_differ_in_what_changes_a_training() -> None:
    other = tiny(
        epochs=3, data={"workers": 2}, log_updates=7, optimizer=TINY["optimizer"] | {"eps": 1e-6}
    )
    assert differences(tiny(), tiny().model_dump()) == []
    assert sorted(differences(tiny(), other.model_dump())) == ["epochs", "optimizer.eps"]
    stream = tiny(data={"name": "wds/", "workers": 1})
    more = tiny(data={"name": "wds/", "workers": 2})
    assert differences(stream, more.model_dump()) == ["data.workers"]
