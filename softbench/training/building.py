"""From a recipe to what is trained and what trains it, all of timm's and torch's parts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import timm
import torch
from timm.data import Mixup, create_transform, resolve_model_data_config
from timm.loss import LabelSmoothingCrossEntropy, SoftTargetCrossEntropy
from timm.optim import create_optimizer_v2, list_optimizers
from timm.scheduler import create_scheduler_v2
from timm.utils import ModelEmaV3
from torch import Tensor, nn
from torch.amp.grad_scaler import GradScaler

import softbench.models  # noqa: F401 - registers its models with timm
from softbench.plugins import did_you_mean
from softbench.training.distributed import World, parallel, settle
from softbench.training.errors import RecipeError
from softbench.training.posterizing import with_black
from softbench.training.recipe import Augmentation, Ema, Recipe
from softbench.training.seeding import seed_of, start_from

NARROW = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}


def model_of(recipe: Recipe, num_classes: int) -> nn.Module:
    """The recipe's model by timm's name, its weights drawn from the seed. RecipeError: no such."""
    refuse_unknown(recipe.model)
    start_from(seed_of("weights", recipe.seed))
    try:
        made = timm.create_model(recipe.model, num_classes=num_classes, **_sized(recipe))
    except (TypeError, ValueError, LookupError, AssertionError) as error:
        raise RecipeError(f"{recipe.model} cannot be made: {error}") from error
    assert isinstance(made, nn.Module)
    return made


def refuse_unknown(model: str) -> None:
    """RecipeError: timm has no such model, its nearest name."""
    known = timm.list_models()
    if model not in known:
        near = did_you_mean(model, known)
        told = near if near.startswith("did") else "`timm.list_models()` names them all"
        raise RecipeError(f"no model {model!r}; {told}")


def _sized(recipe: Recipe) -> dict[str, Any]:
    """What a model is made with; the image's size where the model has one that is fixed."""
    config = timm.models.get_pretrained_cfg(recipe.model)
    fixed = config is not None and config.fixed_input_size
    return {**({"img_size": recipe.image_size} if fixed else {}), **recipe.model_kwargs}


def transform_of(recipe: Recipe, model: nn.Module, *, training: bool) -> Any:
    """timm's transform of an image to [C, H, W], normalised as the model says."""
    config = resolve_model_data_config(model)
    size = (config["input_size"][0], recipe.image_size, recipe.image_size)
    shared = {"input_size": size, "mean": config["mean"], "std": config["std"]}
    ours = recipe.augmentation
    if not training:
        return create_transform(
            **shared,
            interpolation=config["interpolation"],
            # timm rounds size / crop_pct down, which rounding may have left a hair too small.
            crop_pct=recipe.image_size / recipe.evaluation.resize * (1 - 1e-9),
        )
    try:
        made = create_transform(
            **shared,
            is_training=True,
            scale=(ours.scale[0], ours.scale[1]),
            ratio=(ours.ratio[0], ours.ratio[1]),
            hflip=ours.hflip,
            color_jitter=ours.color_jitter,
            auto_augment=ours.auto_augment,
            interpolation=ours.interpolation,
            re_prob=ours.erasing,
            re_mode=ours.erasing_mode,
        )
    except (AssertionError, KeyError, ValueError) as error:
        raise RecipeError(
            f"augmentation {ours.auto_augment!r} is none of timm's: {error}"
        ) from error
    return with_black(made)


def mixing_of(ours: Augmentation, num_classes: int) -> Mixup | None:
    """timm's Mixup and CutMix of a batch, which also smooths its labels; None if neither is on."""
    if not ours.mixes:
        return None
    return Mixup(
        mixup_alpha=ours.mixup,
        cutmix_alpha=ours.cutmix,
        prob=ours.mix_probability,
        switch_prob=ours.switch_to_cutmix,
        mode=ours.mix_mode,
        label_smoothing=ours.label_smoothing,
        num_classes=num_classes,
    )


def loss_of(ours: Augmentation) -> nn.Module:
    """Cross entropy against what the mixing leaves as targets."""
    if ours.mixes:
        return SoftTargetCrossEntropy()
    if ours.label_smoothing:
        return LabelSmoothingCrossEntropy(ours.label_smoothing)
    return nn.CrossEntropyLoss()


@dataclass(frozen=True)
class Parts:
    """A model in training: what is called, and everything that changes with an update."""

    model: nn.Module
    runner: nn.Module
    optimizer: torch.optim.Optimizer
    schedule: Any
    scaler: GradScaler
    ema: ModelEmaV3 | None

    def state(self) -> dict[str, Any]:
        """All that an update changes, under the names by which timm knows a checkpoint's parts."""
        return {
            "state_dict": self.model.state_dict(),
            "state_dict_ema": None if self.ema is None else self.ema.module.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "scheduler": self.schedule.state_dict(),
            "amp_scaler": self.scaler.state_dict(),
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Take up a `state()`."""
        self.model.load_state_dict(state["state_dict"])
        if self.ema is not None:
            self.ema.module.load_state_dict(state["state_dict_ema"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.schedule.load_state_dict(state["scheduler"])
        self.scaler.load_state_dict(state["amp_scaler"])

    def is_finite(self) -> bool:
        """Whether every weight and buffer is a number."""
        values = [v for v in self.model.state_dict().values() if v.is_floating_point()]
        return bool(torch.stack([value.isfinite().all() for value in values]).all())


def parts_of(recipe: Recipe, num_classes: int, updates: int, world: World) -> Parts:
    """Everything for a training of `updates` an epoch. RecipeError: a name that timm has not."""
    model = model_of(recipe, num_classes).to(world.device)
    optimizer = _optimizer(recipe, model)
    schedule, _ = create_scheduler_v2(
        optimizer,
        recipe.schedule.name,
        num_epochs=recipe.epochs,
        min_lr=recipe.schedule.min_lr,
        warmup_lr=recipe.schedule.warmup_lr,
        warmup_epochs=recipe.schedule.warmup_epochs,
        step_on_epochs=recipe.schedule.per == "epoch",
        updates_per_epoch=updates,
    )
    scaler = GradScaler(world.device.type, enabled=recipe.dtype == "float16")
    ema = _average(recipe.ema, model)
    runner = parallel(model, world)
    settle(runner, _example(recipe, model, world))
    return Parts(model, runner, optimizer, schedule, scaler, ema)


def _optimizer(recipe: Recipe, model: nn.Module) -> torch.optim.Optimizer:
    ours = recipe.optimizer
    known = [str(name) for name in list_optimizers()]
    if ours.name not in known:
        raise RecipeError(f"no optimizer {ours.name!r}; {did_you_mean(ours.name, known)}")
    stated = ours.model_dump(include={"eps", "betas"}, exclude_none=True)
    return create_optimizer_v2(model, ours.name, recipe.learning_rate, ours.weight_decay, **stated)


def _average(ours: Ema | None, model: nn.Module) -> ModelEmaV3 | None:
    return ModelEmaV3(model, ours.decay, use_warmup=ours.warmup) if ours else None


def _example(recipe: Recipe, model: nn.Module, world: World) -> Tensor:
    channels = resolve_model_data_config(model)["input_size"][0]
    side = recipe.image_size
    return torch.zeros(2, channels, side, side, device=world.device)
