"""A training recipe as a value: all that decides which weights a training ends with, as data.

Lu et al., "SOFT: Softmax-free Transformer with Linear Complexity", NeurIPS 2021, arXiv 2110.11945,
trains every size by one recipe of DeiT's kind; `suites/recipes/imagenet_soft.yaml` holds it. The
words and what they mean are timm's, which does the work.
"""

from __future__ import annotations

import fnmatch
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, model_validator

from softbench.case import Size, Value
from softbench.plugins import did_you_mean


def _number(given: Any) -> Any:
    """YAML reads 1e-3, without a point, as a word."""
    try:
        return float(given) if isinstance(given, str) else given
    except ValueError:
        return given


Real = Annotated[float, BeforeValidator(_number), Field(allow_inf_nan=False)]
Positive = Annotated[float, BeforeValidator(_number), Field(gt=0, allow_inf_nan=False)]
NotNegative = Annotated[float, BeforeValidator(_number), Field(ge=0, allow_inf_nan=False)]
Share = Annotated[float, BeforeValidator(_number), Field(ge=0, le=1)]
Pair = Annotated[list[Positive], Field(min_length=2, max_length=2)]
Count = Annotated[int, Field(ge=0, le=2**40)]


class Data(Value):
    """Where images come from, in timm's names for data sets."""

    name: str = Field(
        default="", description="'' for a folder, wds/, hfds/ or hfds/NAME, torch/NAME; see timm."
    )
    train_split: str = "train"
    test_split: str = "validation"
    num_classes: Size | None = Field(default=None, description="Found in the data where null.")
    workers: Count = Field(default=4, description="Loading processes of each training process.")
    check_images: bool = Field(default=True, description="Look at every image before training.")


class Augmentation(Value):
    """What is done to a training image; timm's create_transform and Mixup."""

    scale: Pair = [0.08, 1.0]
    ratio: Pair = [3 / 4, 4 / 3]
    hflip: Share = 0.5
    color_jitter: NotNegative = Field(default=0.0, description="Idle where auto_augment is set.")
    auto_augment: str | None = None
    interpolation: Literal["random", "bilinear", "bicubic"] = "bicubic"
    erasing: Share = 0.0
    erasing_mode: Literal["const", "rand", "pixel"] = "pixel"
    mixup: NotNegative = Field(default=0.0, description="α of the Beta distribution; 0 is off.")
    cutmix: NotNegative = 0.0
    mix_probability: Share = 1.0
    switch_to_cutmix: Share = 0.5
    mix_mode: Literal["batch", "pair", "elem"] = "batch"
    label_smoothing: Share = 0.0

    @property
    def mixes(self) -> bool:
        """Whether images are mixed in pairs, which needs an even number of them."""
        return self.mixup > 0 or self.cutmix > 0


class Optimizer(Value):
    """timm's create_optimizer_v2: biases, norms and what the model names go without decay."""

    name: str = "adamw"
    base_lr: Positive | dict[str, Positive] = Field(
        default=1e-3, description="One number, or one for each pattern of model names."
    )
    base_images: Size = Field(default=1024, description="The batch that base_lr is meant for.")
    weight_decay: NotNegative = 0.05
    eps: Positive | None = Field(default=None, description="null: the optimiser's own.")
    betas: Pair | None = None
    clip_grad: Positive | None = Field(default=None, description="Largest norm of all gradients.")


class Schedule(Value):
    """timm's create_scheduler_v2."""

    name: Literal["cosine", "constant"] = "cosine"
    warmup_epochs: Count = 0
    warmup_lr: NotNegative = 1e-6
    min_lr: NotNegative = 0.0
    per: Literal["epoch", "update"] = "epoch"


class Ema(Value):
    """timm's ModelEmaV3 of weights and buffers."""

    decay: Share = 0.99996
    warmup: bool = Field(default=False, description="Decay grows as 1 - (1 + update)^(-2/3).")


class Evaluation(Value):
    """Top-1 and top-5 of one centre crop."""

    resize: Size = Field(default=256, description="Pixels of the shorter side before the crop.")
    batch_size: Size | None = Field(
        default=None, description="A process's; null: as trained, at most 256."
    )
    every: Size = Field(default=1, description="Epochs from one to the next; the last always.")


class Recipe(Value):
    """One training: sizes are counts, learning rates a step's, times epochs unless they say."""

    model: str
    model_kwargs: dict[str, Any] = {}
    image_size: Size = 224
    epochs: Size
    batch_size: Size = Field(default=1024, description="Of all processes and passes together.")
    accumulate: Size = Field(default=1, description="Backward passes for one step.")
    dtype: Literal["float32", "bfloat16", "float16"] = "float32"
    seed: Annotated[int, Field(ge=0, lt=2**63)] = 42
    data: Data = Data()
    augmentation: Augmentation = Augmentation()
    optimizer: Optimizer = Optimizer()
    schedule: Schedule = Schedule()
    ema: Ema | None = None
    evaluation: Evaluation = Evaluation()
    checkpoint_updates: Count = Field(default=0, description="0: at the ends of epochs alone.")
    log_updates: Size = Field(default=50, description="Updates from one look at the loss on.")
    deterministic: bool = Field(default=False, description="Same bits again on a GPU; slower.")

    @property
    def learning_rate(self) -> float:
        """`base_lr` of the model, scaled by batch_size / base_images."""
        return self._base_lr() * self.batch_size / self.optimizer.base_images

    def _base_lr(self) -> float:
        base = self.optimizer.base_lr
        if not isinstance(base, dict):
            return base
        for pattern, lr in base.items():
            if fnmatch.fnmatchcase(self.model, pattern):
                return lr
        near = did_you_mean(self.model, base)
        raise ValueError(
            f"optimizer.base_lr has nothing for the model {self.model!r}; {near}, or give one "
            "number for all: --set optimizer.base_lr=1e-3"
        )

    @model_validator(mode="after")
    def _fits_together(self) -> Recipe:
        if self.schedule.warmup_epochs >= self.epochs and self.schedule.name == "cosine":
            raise ValueError(
                f"schedule.warmup_epochs {self.schedule.warmup_epochs} leaves nothing of "
                f"{self.epochs} epochs for the cosine"
            )
        if self.evaluation.resize < self.image_size:
            raise ValueError(
                f"evaluation.resize {self.evaluation.resize} is smaller than the crop, "
                f"image_size {self.image_size}"
            )
        self._base_lr()
        return self

    def share(self, processes: int) -> int:
        """Images of one process in one pass. ValueError: not a whole (or even) number of them."""
        parts = processes * self.accumulate
        images, rest = divmod(self.batch_size, parts)
        if rest or not images:
            raise ValueError(
                f"batch_size {self.batch_size} cannot be parted into {parts} "
                f"({processes} processes, accumulate {self.accumulate})"
            )
        if self.augmentation.mixes and images % 2:
            raise ValueError(
                f"mixup and cutmix need an even number of images in a pass; batch_size "
                f"{self.batch_size} in {parts} parts is {images}"
            )
        return images

    def test_share(self, processes: int) -> int:
        """Images of one process in one batch of a test."""
        return self.evaluation.batch_size or min(256, max(1, self.batch_size // processes))
