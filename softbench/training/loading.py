"""From a data set to batches: which images, in which order, altered how, by how many processes.

Order and alteration go by seed, epoch and image, so that neither the number of loading processes
nor an interruption changes them, and the number of training processes only parts them otherwise.
An exception is a stream (WebDataset): which shard a process reads goes by their number.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Any

import torch
from PIL import Image
from timm.data.dataset import ImageDataset
from timm.data.distributed_sampler import OrderedDistributedSampler
from torch import Tensor
from torch.utils.data import DataLoader
from torch.utils.data.distributed import DistributedSampler

from softbench.training.checking import told
from softbench.training.data import Split
from softbench.training.distributed import World
from softbench.training.errors import DataError, LateError
from softbench.training.recipe import Recipe
from softbench.training.seeding import drawn_from, seed_of

Batch = tuple[Tensor, Tensor]


@dataclass(frozen=True)
class Drawing:
    """Images by (epoch, number), altered by what their place seeds: a data set to a DataLoader."""

    split: Split
    transform: Any
    seed: int
    num_classes: int

    def __getitem__(self, draw: tuple[int, int]) -> tuple[Tensor, int]:
        """The image [C, H, W] and its class. DataError: it cannot be read, or is of no class."""
        epoch, index = draw
        image, target = self._read(index)
        checked = _class(target, self.num_classes, self.split.name(index))
        with drawn_from(seed_of("image", self.seed, epoch, index)):
            return self.transform(image), checked

    def _read(self, index: int) -> tuple[Any, Any]:
        images = self.split.images
        try:
            if not isinstance(images, ImageDataset):
                return tuple(images[index])
            file, target = images.reader[index]
            with file, Image.open(file) as image:
                return image.convert("RGB"), target
        except Exception as error:  # Pillow raises what a broken file makes of its parsers
            raise DataError(
                f"{self.split.name(index)}: not a readable image ({told(error)})"
            ) from None


@dataclass(frozen=True)
class ByContent:
    """A transform whose randomness goes by epoch and by what is in the image: for streams."""

    transform: Any
    seed: int
    epoch: int

    def __call__(self, image: Image.Image) -> Tensor:
        """The altered image [C, H, W]."""
        with drawn_from(seed_of("image", self.seed, self.epoch, zlib.crc32(image.tobytes()))):
            altered: Tensor = self.transform(image)
        return altered


@dataclass(frozen=True)
class InRange:
    """A target that is a class's number, or DataError: for streams."""

    num_classes: int
    where: str

    def __call__(self, target: Any) -> int:
        """The class."""
        return _class(target, self.num_classes, self.where)


def _class(target: Any, num_classes: int, where: str) -> int:
    if not isinstance(target, int) or not 0 <= target < num_classes:
        raise DataError(f"{where}: class {target!r} is none of 0 to {num_classes - 1}")
    return target


@dataclass(frozen=True)
class Reading:
    """How a process reads: by what recipe, as which of the processes."""

    recipe: Recipe
    world: World

    def training(self, drawing: Drawing, epoch: int, first: int, last: int) -> Iterator[Batch]:
        """Batches `first` to `last` (not included) of this process in an epoch, on the device."""
        size, images = self.recipe.share(self.world.size), drawing.split.images
        seed = seed_of("epoch", drawing.seed, epoch)
        if drawing.split.is_stream:
            images.set_epoch(epoch)
            transform = ByContent(drawing.transform, drawing.seed, epoch)
            stream = self._stream(drawing, transform)
            return self._moved(islice(self._loader(stream, size, seed, None), first, last))
        sampler: Any = DistributedSampler(
            images, self.world.size, self.world.rank, seed=drawing.seed % 2**31, drop_last=True
        )
        sampler.set_epoch(epoch)
        order = [(epoch, index) for index in islice(sampler, first * size, last * size)]
        return self._moved(self._loader(drawing, size, seed, order))

    def testing(self, drawing: Drawing) -> Iterator[Batch]:
        """This process's share of all images, each once; of a stream every process has all."""
        images, world = drawing.split.images, self.world
        size = self.recipe.test_share(world.size)
        if drawing.split.is_stream:
            images.reader.dist_rank, images.reader.dist_num_replicas = 0, 1
            stream = self._stream(drawing, drawing.transform)
            return self._moved(self._loader(stream, size, 0, None))
        sampler = OrderedDistributedSampler(images, world.size, world.rank)
        order = [(0, index) for index in islice(sampler, sampler.num_valid_samples)]
        return self._moved(self._loader(drawing, size, 0, order))

    def _stream(self, drawing: Drawing, transform: Any) -> Any:
        """timm's stream, from its start."""
        images = drawing.split.images
        images.set_loader_cfg(num_workers=self.recipe.data.workers)
        images.reader.ds = None  # without it a WebDataset's order goes on where an epoch ended
        images.transform = transform
        images.target_transform = InRange(drawing.num_classes, drawing.split.where)
        return images

    def _loader(self, images: Any, size: int, seed: int, order: Any) -> DataLoader[Any]:
        """Batches of `images`; its processes' own seeds come from `seed`, not from the global."""
        return DataLoader(
            images,
            batch_size=size,
            sampler=order,
            num_workers=self.recipe.data.workers,
            pin_memory=self.world.device.type == "cuda",
            generator=torch.Generator().manual_seed(seed),
        )

    def _moved(self, batches: Iterable[Any]) -> Iterator[Batch]:
        device = self.world.device
        try:
            for images, targets in batches:
                yield images.to(device, non_blocking=True), targets.to(device, non_blocking=True)
        except DataError as error:  # of a loading process it comes with that one's traceback
            last = str(error).strip().splitlines()[-1]
            raise LateError(last.partition("DataError: ")[2] or last) from None
