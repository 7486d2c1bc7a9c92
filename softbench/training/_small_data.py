"""Batches of a task in memory: ordered and augmented by (seed, epoch), normalised, on the device.

Images stay bytes until they are fed, and are normalised by the train set's mean and deviation of
each channel, which are counted, not estimated. Random numbers are drawn on the CPU for all samples
of an epoch at once: what happens to a sample does not depend on the batch it is in.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Protocol

import torch
from torch import Tensor
from torch.nn import functional as F  # noqa: N812 - the field's own short name

from softbench.case import content_hash
from softbench.tasks._task import Split, Task


class Augmentation(Protocol):
    """Those fields of a recipe that change images."""

    @property
    def shift(self) -> int:
        """Pixels an image is moved by at most."""

    @property
    def flip(self) -> bool:
        """Whether half of the images are mirrored."""


@dataclass(frozen=True, eq=False)
class Data:
    """Both sets on one device; what pixels are normalised by, [1, C, 1, 1], None for tokens."""

    train: Split
    test: Split
    mean: Tensor | None
    deviation: Tensor | None

    def fed(self, inputs: Tensor) -> Tensor:
        """What the model takes: images as normalised float32 [B, C, H, W], tokens as they are."""
        if self.mean is None or self.deviation is None:
            return inputs
        return (inputs.float() - self.mean) / self.deviation


def placed(task: Task, device: torch.device) -> Data:
    """The task's sets on `device`."""
    train, test = (
        Split(split.inputs.to(device), split.labels.to(device)) for split in (task.train, task.test)
    )
    if not task.is_images:
        return Data(train, test, None, None)
    mean, deviation = _mean_and_deviation(task.train.inputs)
    return Data(train, test, _by_channel(mean, device), _by_channel(deviation, device))


def _by_channel(values: Tensor, device: torch.device) -> Tensor:
    """[C] as [1, C, 1, 1]."""
    return values[None, :, None, None].to(device)


def batches(
    data: Data, recipe: Augmentation, seed: int, epoch: int, batch_size: int
) -> Iterator[tuple[Tensor, Tensor]]:
    """Inputs as the model takes them and labels, in whole batches, in the epoch's order."""
    number = len(data.train)
    device = data.train.inputs.device
    order = torch.randperm(number, generator=stream(seed, epoch, "order"))
    moves, mirrored = _moves(recipe, seed, epoch, number)
    for start in range(0, number - batch_size + 1, batch_size):
        chosen = order[start : start + batch_size]
        inputs = data.train.inputs[chosen.to(device)]
        if recipe.shift or recipe.flip:
            inputs = moved(inputs, moves[chosen].to(device), mirrored[chosen].to(device))
        yield data.fed(inputs), data.train.labels[chosen.to(device)]


def moved(images_BCHW: Tensor, moves_B2: Tensor, mirrored_B: Tensor) -> Tensor:
    """Each image moved down and right by its own pixels, after mirroring where `mirrored`.

    What comes in at the edges is 0, black.
    """
    size = int(moves_B2.abs().max())
    padded = F.pad(images_BCHW, (size,) * 4)
    rows_BH = _places(images_BCHW.shape[2], size, moves_B2[:, 0])
    columns_BW = _places(images_BCHW.shape[3], size, moves_B2[:, 1])
    width = padded.shape[3]
    columns_BW = torch.where(mirrored_B[:, None], width - 1 - columns_BW, columns_BW)
    which = torch.arange(len(padded), device=padded.device)[:, None, None, None]
    channels = torch.arange(padded.shape[1], device=padded.device)[None, :, None, None]
    return padded[which, channels, rows_BH[:, None, :, None], columns_BW[:, None, None, :]]


def stream(*name: Any) -> torch.Generator:
    """The CPU generator of that name."""
    return torch.Generator().manual_seed(seeded(*name))


def seeded(*name: Any) -> int:
    """A seed for that name. Adjacent seeds give correlated streams; a hash of the name does not."""
    return int(content_hash(list(name), 15), 16)


def _places(side: int, size: int, moves_B: Tensor) -> Tensor:
    """int64 [B, side]: the padded row or column that each place is taken from."""
    return size - moves_B[:, None] + torch.arange(side, device=moves_B.device)


def _moves(recipe: Augmentation, seed: int, epoch: int, number: int) -> tuple[Tensor, Tensor]:
    """int64 [n, 2] in -shift to shift, and bool [n], a half True where images are flipped."""
    generator = stream(seed, epoch, "augmentation")
    moves = torch.randint(-recipe.shift, recipe.shift + 1, (number, 2), generator=generator)
    mirrored = torch.rand(number, generator=generator) < 0.5
    return moves, mirrored & recipe.flip


def _mean_and_deviation(images: Tensor) -> tuple[Tensor, Tensor]:
    """float32 [C] each, by counting how often a channel has each of its 256 values."""
    levels = torch.arange(256, dtype=torch.float64)
    counts = [
        images[:, channel].flatten().bincount(minlength=256) for channel in range(images.shape[1])
    ]
    shares = torch.stack(counts).double() / (images.numel() // images.shape[1])
    mean = shares @ levels
    deviation = (shares @ levels**2 - mean**2).clamp(min=0).sqrt()
    # A channel of one value is 0 after its mean is taken off, whatever it is divided by.
    deviation[deviation == 0] = 1
    return mean.float(), deviation.float()
