"""Batches that go by seed, epoch and image alone.

Mutants seen red: NumPy's or torch's generator left out of `drawn_from`, NumPy's not put back, the
epoch left out of an image's seed or of the order, a start in the middle that begins at the front,
padding counted at the end of a test, draws of a stream that do not go by the epoch.
"""

from __future__ import annotations

import random
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor
from training_cases import ALONE, image_folder, tiny

from softbench.training.building import model_of, transform_of
from softbench.training.data import opened
from softbench.training.distributed import World
from softbench.training.errors import DataError
from softbench.training.loading import ByContent, Drawing, Reading
from softbench.training.recipe import Recipe
from softbench.training.seeding import drawn_from, seed_of, start_from

Batches = list[tuple[Tensor, Tensor]]
PARTS = [World(torch.device("cpu"), rank, 2) for rank in range(2)]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return image_folder(tmp_path_factory.mktemp("data"))


def drawing(folder: Path, recipe: Recipe, split: str = "train", classes: int = 3) -> Drawing:
    transform = transform_of(recipe, model_of(recipe, 3), training=split == "train")
    return Drawing(opened(recipe.data, folder, split, ALONE), transform, 7, classes)


def batches(
    folder: Path, workers: int = 0, epoch: int = 0, first: int = 0, world: World = ALONE
) -> Batches:
    recipe = tiny(data={"workers": workers}, batch_size=4)
    reading = Reading(recipe, world)
    return list(reading.training(drawing(folder, recipe), epoch, first, 4))


def equal(one: Batches, other: Batches) -> bool:
    pairs = zip(one, other, strict=True)
    return all(torch.equal(a[0], b[0]) and torch.equal(a[1], b[1]) for a, b in pairs)


def test_loading_processes_change_nothing(folder: Path) -> None:
    assert equal(batches(folder), batches(folder, workers=2))


def test_an_epoch_has_its_own_order_and_its_own_draws(folder: Path) -> None:
    one, other = batches(folder), batches(folder, epoch=1)
    assert equal(one, batches(folder))
    assert [targets.tolist() for _, targets in one] != [targets.tolist() for _, targets in other]
    images = drawing(folder, tiny())
    assert torch.equal(images[0, 3][0], images[0, 3][0])
    assert not torch.equal(images[0, 3][0], images[1, 3][0])
    assert not torch.equal(images[0, 3][0], images[0, 4][0])


def test_a_start_in_the_middle_has_the_rest(folder: Path) -> None:
    assert equal(batches(folder)[2:], batches(folder, first=2))


def test_two_processes_part_the_batch_of_one(folder: Path) -> None:
    whole = batches(folder)
    parts = [batches(folder, world=world) for world in PARTS]
    for (images, _), (first, _), (second, _) in zip(whole, *parts, strict=True):
        assert torch.equal(images[0::2], first)
        assert torch.equal(images[1::2], second)


def test_every_test_image_is_read_once(folder: Path) -> None:
    recipe = tiny()
    images = drawing(folder, recipe, "validation")
    counts = [
        sum(len(targets) for _, targets in Reading(recipe, world).testing(images))
        for world in PARTS
    ]
    assert counts == [4, 3]


def test_the_global_generators_are_left_alone(folder: Path) -> None:
    images = drawing(folder, tiny())

    def drawn_after(batches_read: int) -> tuple[float, float, float]:
        start_from(1)
        list(Reading(tiny(), ALONE).training(images, 0, 0, batches_read))
        return random.random(), np.random.rand(), torch.rand(()).item()

    assert drawn_after(2) == drawn_after(0)


def test_all_three_generators_start_from_the_seed() -> None:
    def drawn(seed: int) -> tuple[float, float, float]:
        with drawn_from(seed):
            return random.random(), np.random.rand(), torch.rand(()).item()

    assert drawn(3) == drawn(3)
    assert all(a != b for a, b in zip(drawn(3), drawn(4), strict=True))
    assert seed_of("image", 1, 23) != seed_of("image", 12, 3)


def test_randaugment_at_its_largest_magnitude_makes_black(folder: Path) -> None:
    """Pillow refuses to posterize to 0 bits, which timm draws once in some hundreds of images."""
    recipe = tiny()
    steps = transform_of(recipe, model_of(recipe, 3), training=True).transforms
    [ops] = [step.ops for step in steps if hasattr(step, "ops")]
    posterize = [one for one in ops if one.name.startswith("Posterize")]
    assert posterize
    for one in posterize:
        one.magnitude, one.magnitude_std, one.prob = 10, 0, 1.0
        black = one(Image.new("RGB", (4, 4), "white"))
        assert black.getcolors() == [(16, (0, 0, 0))]
        one.magnitude = 5
        assert one(Image.new("RGB", (4, 4), "white")).getcolors() != [(16, (0, 0, 0))]


def test_in_a_stream_draws_go_by_epoch_and_content(folder: Path) -> None:
    recipe = tiny()
    images = drawing(folder, recipe)
    pictures = [images._read(index)[0] for index in (0, 1)]

    def altered(picture: int, epoch: int) -> Tensor:
        return ByContent(images.transform, 7, epoch)(pictures[picture])

    assert torch.equal(altered(0, 0), altered(0, 0))
    assert not torch.equal(altered(0, 0), altered(0, 1))


@pytest.mark.parametrize("workers", [0, 1])
def test_an_image_that_breaks_later_stops_it_by_name(tmp_path: Path, workers: int) -> None:
    folder = image_folder(tmp_path)
    recipe = tiny(data={"workers": workers}, batch_size=6)
    images = drawing(folder, recipe)
    (folder / "train" / "class1" / "004.jpg").write_bytes(b"gone")
    with pytest.raises(DataError, match=r"^\S*: \S*004.jpg: not a readable image \(cannot") as said:
        list(Reading(recipe, ALONE).training(images, 0, 0, 3))
    assert "\n" not in str(said.value)


def test_a_class_that_is_none_stops_it_by_name(folder: Path) -> None:
    with pytest.raises(DataError, match=r"002.jpg: class 2 is none of 0 to 1"):
        drawing(folder, tiny(), classes=2)[0, 12]
