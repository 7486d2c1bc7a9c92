"""What the training's tests share: generated images, a tiny recipe, processes side by side."""

from __future__ import annotations

from collections.abc import Callable
from multiprocessing.context import BaseContext
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import distributed, multiprocessing

from softbench.training.distributed import World
from softbench.training.recipe import Recipe
from softbench.training.session import train

ALONE = World(torch.device("cpu"))
TINY: dict[str, Any] = {
    "model": "test_vit",
    "image_size": 32,
    "epochs": 2,
    "batch_size": 8,
    "data": {"workers": 0},
    "augmentation": {
        "auto_augment": "rand-m9-mstd0.5-inc1",
        "erasing": 0.25,
        "mixup": 0.8,
        "cutmix": 1.0,
        "label_smoothing": 0.1,
    },
    "optimizer": {"base_lr": 0.1, "clip_grad": 1.0},
    "schedule": {"min_lr": 1e-5},
    "ema": {"decay": 0.9},
    "evaluation": {"resize": 36},
    "log_updates": 1,
}
PLAIN = {"augmentation": {"scale": [1.0, 1.0], "hflip": 0.0}}  # nothing that a batch's size changes
CLASSES = 3


def tiny(**changes: Any) -> Recipe:
    """The tiny recipe, with some of its keys changed."""
    return Recipe.model_validate(TINY | changes)


def image_folder(root: Path, train_images: int = 18, test_images: int = 7) -> Path:
    """Small JPEGs of three classes that a colour tells apart, from one seed."""
    draws = np.random.default_rng(0)
    for split, count in (("train", train_images), ("val", test_images)):
        for index in range(count):
            number = index % CLASSES
            folder = root / split / f"class{number}"
            folder.mkdir(parents=True, exist_ok=True)
            pixels = draws.integers(0, 120, (40, 44, 3))
            pixels[..., number] += 120
            Image.fromarray(pixels.astype("uint8")).save(folder / f"{index:03d}.jpg")
    return root


def finish(recipe: Recipe, data: Path, out: Path, world: World = ALONE, **options: Any) -> None:
    """Train to the end."""
    for _ in train(recipe, data, out, world, **options):
        pass


def weights(out: Path, name: str = "last.pt") -> dict[str, torch.Tensor]:
    """Every tensor in a checkpoint, by its place in it."""
    content = torch.load(out / name, weights_only=True)
    return dict(_tensors(content, ""))


def _tensors(content: Any, above: str) -> list[tuple[str, torch.Tensor]]:
    if isinstance(content, torch.Tensor):
        return [(above, content)]
    items: list[tuple[Any, Any]] = []
    if isinstance(content, dict):
        items = list(content.items())
    elif isinstance(content, list | tuple):
        items = list(enumerate(content))
    return [pair for key, value in items for pair in _tensors(value, f"{above}/{key}")]


def same(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> bool:
    """Whether all tensors are equal to the last bit."""
    return (
        bool(one)
        and one.keys() == other.keys()
        and all(torch.equal(one[name], other[name]) for name in one)
    )


def context() -> BaseContext:
    """Fresh processes: what was forked after any backward pass cannot make one itself."""
    return multiprocessing.get_context("spawn")


def side_by_side(work: Callable[..., None], size: int, folder: Path, *arguments: Any) -> None:
    """Run `work(world, folder, …)` in `size` processes that meet through a file."""
    folder.mkdir(exist_ok=True)
    crew = [
        context().Process(target=_joined, args=(work, rank, size, folder, arguments))  # type: ignore[attr-defined]
        for rank in range(size)
    ]
    for process in crew:
        process.start()
    for process in crew:
        process.join(120)
    assert [process.exitcode for process in crew] == [0] * size


def _joined(work: Any, rank: int, size: int, folder: Path, arguments: Any) -> None:
    torch.set_num_threads(1)
    store = f"file://{folder}/store"
    distributed.init_process_group("gloo", init_method=store, rank=rank, world_size=size)
    try:
        work(World(torch.device("cpu"), rank, size), folder, *arguments)
    finally:
        distributed.destroy_process_group()
