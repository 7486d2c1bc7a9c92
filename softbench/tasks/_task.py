"""What a task loads: two sets of inputs and labels, and what one must know to train on them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True, eq=False)
class Split:
    """Inputs and their labels, in memory: images uint8 [n, C, H, W], or tokens int64 [n, N].

    `labels` is int64 [n]. Raises ValueError for any other dtype or shape, and for none at all.
    """

    inputs: Tensor
    labels: Tensor

    def __post_init__(self) -> None:
        kind = str(self.inputs.dtype).removeprefix("torch."), self.inputs.ndim
        if kind not in (("uint8", 4), ("int64", 2)):
            shape = list(self.inputs.shape)
            raise ValueError(
                f"inputs are {kind[0]} {shape}; images are uint8 [n, C, H, W], tokens int64 [n, N]"
            )
        if str(self.labels.dtype) != "torch.int64" or self.labels.shape != self.inputs.shape[:1]:
            raise ValueError(
                f"labels are {self.labels.dtype} {list(self.labels.shape)}; "
                f"int64 [{len(self.inputs)}] as the inputs are {len(self.inputs)}"
            )
        if not self.inputs.numel():
            raise ValueError(f"inputs are {list(self.inputs.shape)}: there is nothing in them")

    def __len__(self) -> int:
        return len(self.labels)

    def first(self, number: int) -> Split:
        """The first `number` samples. Raises ValueError if there are fewer."""
        if not 1 <= number <= len(self):
            raise ValueError(f"{number} samples of {len(self)}: take 1 to {len(self)}")
        return Split(self.inputs[:number], self.labels[:number])


@dataclass(frozen=True, eq=False)
class Task:
    """Train and test sets of one kind, the number of classes, and where they come from.

    `vocabulary` is the number of different tokens, None for images. `baselines` are test
    accuracies (0 to 1) of answers that look at less than all of an input, by what they do.
    Raises ValueError where sets, classes and vocabulary do not fit each other.
    """

    name: str
    train: Split
    test: Split
    num_classes: int
    licence: str
    source: str
    vocabulary: int | None = None
    baselines: Mapping[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        ours, theirs = self.train.inputs, self.test.inputs
        if (ours.shape[1:], ours.dtype) != (theirs.shape[1:], theirs.dtype):
            raise ValueError(
                f"{self.name}: a train input is {list(ours.shape[1:])} {ours.dtype}, "
                f"a test input {list(theirs.shape[1:])} {theirs.dtype}"
            )
        for split in (self.train, self.test):
            _within(self.name, "label", split.labels, self.num_classes)
            if self.vocabulary is not None and not self.is_images:
                _within(self.name, "token", split.inputs, self.vocabulary)
        if (self.vocabulary is None) is not self.is_images:
            raise ValueError(f"{self.name}: vocabulary is {self.vocabulary}; None for images alone")

    @property
    def is_images(self) -> bool:
        """Whether an input is an image, not a sequence of tokens."""
        return self.train.inputs.ndim == 4

    @property
    def channels(self) -> int | None:
        """The channels of an image; None for tokens."""
        return self.train.inputs.shape[1] if self.is_images else None

    @property
    def image_size(self) -> tuple[int, int] | None:
        """The height and width of an image; None for tokens."""
        height, width = self.train.inputs.shape[-2:]
        return (height, width) if self.is_images else None

    @property
    def length(self) -> int | None:
        """The tokens of a sequence; None for images, whose tokens are as many as their patches."""
        return None if self.is_images else self.train.inputs.shape[1]

    @property
    def majority(self) -> float:
        """The share of the test set's most frequent class: what a constant answer reaches."""
        return int(self.test.labels.bincount().max()) / len(self.test)

    def grid(self, patch_size: int) -> tuple[int, int]:
        """The token grid of an image cut into square patches.

        Raises ValueError for tokens, which have none, and for a side that does not divide.
        """
        if self.image_size is None:
            raise ValueError(f"{self.name}: tokens have no patches; leave the patch size out")
        height, width = self.image_size
        fitting = [n for n in range(1, min(height, width) + 1) if height % n == width % n == 0]
        if patch_size not in fitting:
            near = min(fitting, key=lambda size: abs(size - patch_size))
            raise ValueError(
                f"{self.name}: patches of {patch_size} do not tile {height}x{width}; take {near}"
            )
        return height // patch_size, width // patch_size


def _within(name: str, what: str, values: Tensor, number: int) -> None:
    least, most = int(values.min()), int(values.max())
    if least < 0 or most >= number:
        wrong = least if least < 0 else most
        raise ValueError(f"{name}: a {what} is {wrong}; there are {number}, numbered from 0")
