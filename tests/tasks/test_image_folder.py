"""A folder of images is read whole, or the file or class that is wrong is named.

Each test breaks one thing in a folder that is read without complaint by the first of them.
"""

import re
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from softbench.contract import tasks as contract
from softbench.tasks.image_folder import Params, load, model_params

SMALL = Params(image_size=16)
COLOURS = {"apple": (200, 10, 10), "leaf": (10, 200, 10), "sky": (10, 10, 200)}


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Three classes of one colour each, in several forms and sizes."""
    for split, number in (("train", 4), ("val", 2)):
        for name, colour in COLOURS.items():
            folder = tmp_path / split / name
            folder.mkdir(parents=True)
            for index in range(number):
                size = (20 + 7 * index, 30)
                Image.new("RGB", size, colour).save(folder / f"{index}.{('png', 'jpg')[index % 2]}")
    return tmp_path


def test_images_are_read_with_the_class_of_their_folder(root: Path) -> None:
    task = load(SMALL, seed=0, data_root=root)
    assert (len(task.train), len(task.test), task.num_classes) == (12, 6, 3)
    assert (task.channels, task.image_size, task.grid(4)) == (3, (16, 16), (4, 4))
    for split in (task.train, task.test):
        expected = torch.tensor(list(COLOURS.values()))[split.labels]
        assert (split.inputs.amin((2, 3)) - expected).abs().max() <= 4
        assert (split.inputs.amax((2, 3)) - expected).abs().max() <= 4
    assert list(contract._said("image_folder", task)) == []


def test_an_image_is_resized_to_its_short_side_and_cut_in_the_middle(root: Path) -> None:
    pixels = np.zeros((16, 32, 3), dtype=np.uint8)
    pixels[:, 8:24] = 255
    Image.fromarray(pixels).save(root / "train" / "apple" / "00.png")
    first = load(SMALL, seed=0, data_root=root).train
    assert (first.inputs == 255).all((1, 2, 3)).sum() == 1


def test_grey_and_transparent_images_become_rgb(root: Path) -> None:
    Image.new("L", (20, 20), 77).save(root / "train" / "apple" / "8.png")
    Image.new("RGBA", (20, 20), (77, 77, 77, 255)).save(root / "train" / "apple" / "9.png")
    inputs = load(SMALL, seed=0, data_root=root).train.inputs
    assert (inputs == 77).all((1, 2, 3)).sum() == 2


@pytest.mark.parametrize("content", [b"", b"no image", "cut"], ids=["empty", "text", "cut"])
@pytest.mark.parametrize("file", ["train/sky/0.png", "val/leaf/1.jpg"])
def test_an_unreadable_image_is_named(root: Path, file: str, content: bytes | str) -> None:
    path = root / file
    noise = np.random.RandomState(0).randint(0, 256, (40, 40, 3)).astype(np.uint8)
    Image.fromarray(noise).save(path)
    path.write_bytes(path.read_bytes()[:900] if isinstance(content, str) else content)
    with pytest.raises(ValueError, match=re.escape(f"{path} is no image that can be read")):
        load(SMALL, seed=0, data_root=root)


def test_without_a_root_it_says_what_to_give() -> None:
    with pytest.raises(FileNotFoundError, match="give a data root that holds train/CLASS/image"):
        load(SMALL, seed=0)


@pytest.mark.parametrize("split", ["train", "val"])
def test_a_missing_folder_is_named(root: Path, split: str) -> None:
    (root / split).rename(root / "elsewhere")
    with pytest.raises(FileNotFoundError, match=re.escape(f"no folder {root / split}; give")):
        load(SMALL, seed=0, data_root=root)


@pytest.mark.parametrize("split", ["train", "val"])
def test_a_class_without_images_is_named(root: Path, split: str) -> None:
    folder = root / split / "empty"
    folder.mkdir()
    (folder / "notes.txt").write_text("no image")
    with pytest.raises(ValueError, match=re.escape(f"{folder} has no image in it; fill it")):
        load(SMALL, seed=0, data_root=root)


def test_a_folder_without_any_image_is_named(tmp_path: Path) -> None:
    (tmp_path / "train").mkdir()
    with pytest.raises(ValueError, match=re.escape(f"no image in {tmp_path / 'train'}")):
        load(SMALL, seed=0, data_root=tmp_path)


@pytest.mark.parametrize("split", ["train", "val"])
def test_a_class_of_one_set_alone_is_named(root: Path, split: str) -> None:
    (root / split / "sky").rename(root / split / "night")
    with pytest.raises(ValueError, match=r"class '(sky|night)' is not in both train/ and val/"):
        load(SMALL, seed=0, data_root=root)


@pytest.mark.parametrize("place", ["train", "train/sky/deep"])
def test_an_image_outside_a_class_is_refused(root: Path, place: str) -> None:
    (root / place).mkdir(exist_ok=True)
    Image.new("RGB", (9, 9)).save(root / place / "stray.png")
    message = f"{root / place} holds images and is no class of {root / 'train'}"
    with pytest.raises(ValueError, match=re.escape(message)):
        load(SMALL, seed=0, data_root=root)


def test_more_than_the_limit_of_memory_is_refused_before_it_is_read(root: Path) -> None:
    needed = 18 * 3 * 16 * 16
    load(Params(image_size=16, memory_limit=needed), seed=0, data_root=root)
    (root / "train" / "sky" / "0.png").write_bytes(b"never read")
    message = f"18 images of 16x16 take {needed} bytes, over memory_limit {needed - 1}"
    with pytest.raises(ValueError, match=message):
        load(Params(image_size=16, memory_limit=needed - 1), seed=0, data_root=root)


def test_classes_that_are_stated_go_to_the_model_and_must_be_there(root: Path) -> None:
    stated = SMALL.model_copy(update={"num_classes": 3})
    assert model_params(stated) == {"image_size": (16, 16), "in_chans": 3, "num_classes": 3}
    assert "num_classes" not in model_params(SMALL)
    assert load(stated, seed=0, data_root=root).num_classes == 3
    with pytest.raises(ValueError, match=r"num_classes is 4, but .*train has 3"):
        load(SMALL.model_copy(update={"num_classes": 4}), seed=0, data_root=root)
