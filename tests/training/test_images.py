"""Data that is refused: wrong paths, empty folders, broken images by name, classes that shift."""

from __future__ import annotations

import io
import shutil
import tarfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from training_cases import ALONE, CLASSES, image_folder, tiny

from softbench.training.checking import faults_of_image, faults_of_tar
from softbench.training.data import num_classes, opened
from softbench.training.errors import DataError
from softbench.training.recipe import Data
from softbench.training.session import prepared


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A few good images in train/ and val/."""
    return image_folder(tmp_path / "images")


def refusal(path: Path, split: str = "train", name: str = "", **options: object) -> str:
    with pytest.raises(DataError) as refused:
        opened(Data(name=name), path, split, ALONE, **options)  # type: ignore[arg-type]
    return str(refused.value)


def test_a_good_folder_is_opened(folder: Path) -> None:
    split = opened(Data(), folder, "train", ALONE)
    assert (len(split.images), split.classes) == (18, ["class0", "class1", "class2"])
    test_split = opened(Data(), folder, "validation", ALONE, split.classes)
    assert (len(test_split.images), Path(test_split.where).name) == (7, "val")
    assert num_classes(split, None) == CLASSES
    own = opened(Data(), folder / "val", "validation", ALONE, split.classes, itself=True)
    assert len(own.images) == 7


def test_broken_images_are_counted_and_named(folder: Path) -> None:
    good = folder / "train" / "class0" / "000.jpg"
    cut_off = good.read_bytes()[:-200]
    (folder / "train" / "class0" / "empty.jpg").touch()
    (folder / "train" / "class1" / "words.png").write_text("not an image")
    (folder / "train" / "class2" / "cut.jpg").write_bytes(cut_off)
    said = refusal(folder)
    assert "3 images cannot be read" in said
    assert "class0/empty.jpg (empty)" in said
    assert "class1/words.png (cannot identify image file)" in said
    assert "class2/cut.jpg (image file is truncated" in said
    (folder / "train" / "class0" / "empty.jpg").unlink()
    for index in range(9):
        (folder / "train" / "class1" / f"more{index}.jpg").touch()
    said = refusal(folder)
    assert "11 images cannot be read" in said
    assert said.count("(") == 5
    assert "and 6 more" in said
    assert len(opened(Data(check_images=False), folder, "train", ALONE).images) == 29


def test_a_jpeg_may_go_on_after_its_end(folder: Path) -> None:
    odd = folder / "train" / "class0" / "000.jpg"
    odd.write_bytes(odd.read_bytes() + b"\0\0a camera's note")
    assert faults_of_image(odd) == []


def test_images_in_a_tar_are_looked_at(folder: Path, tmp_path: Path) -> None:
    shard = tmp_path / "shard.tar"
    good = (folder / "train" / "class0" / "000.jpg").read_bytes()
    with tarfile.open(shard, "w") as archive:
        for name, content in (
            ("a.jpg", good),
            ("a.cls", b"0"),
            ("b.jpg", good[:90]),
            ("c.png", b""),
        ):
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            archive.addfile(entry, io.BytesIO(content))
    first, second = faults_of_tar(shard)
    assert (first[:9], second) == (": b.jpg (", ": c.png (empty)")
    assert faults_of_tar(folder / "train" / "class0" / "000.jpg")


@pytest.mark.parametrize("name", ["", "wds/"])
def test_a_path_that_is_not_there_has_its_nearest_neighbour_named(folder: Path, name: str) -> None:
    assert "did you mean 'images'" in refusal(folder.parent / "image", name=name)


def test_folders_of_another_shape_are_refused(folder: Path, tmp_path: Path) -> None:
    assert "no folder train or training in it; it holds class0" in refusal(folder / "train")
    (tmp_path / "bare" / "train").mkdir(parents=True)
    assert "Found 0 images" in refusal(tmp_path / "bare")
    (tmp_path / "nothing").mkdir()
    assert "it holds nothing" in refusal(tmp_path / "nothing")
    assert "but a file" in refusal(folder / "train" / "class0" / "000.jpg")
    assert "no data set 'imagenet/'" in refusal(folder, name="imagenet/")


@pytest.mark.parametrize("name", [None, "test"])
def test_training_images_are_never_taken_for_the_test(folder: Path, name: str | None) -> None:
    """Missing, or by a name that is not looked for, which would leave the folder itself."""
    if name:
        (folder / "val").rename(folder / name)
    else:
        shutil.rmtree(folder / "val")
    with pytest.raises(DataError, match="no folder validation or val"):
        prepared(tiny(), folder, ALONE)
    classes = opened(Data(), folder, "train", ALONE).classes
    assert "no folder validation or val" in refusal(
        folder, "validation", classes=classes, itself=True
    )
    assert len(opened(Data(), folder / "train", "validation", ALONE, classes, itself=True).images)


def test_what_was_cut_off_is_told_of_every_kind_of_image(tmp_path: Path) -> None:
    pixels = np.random.default_rng(0).integers(0, 255, (60, 60, 3), dtype="uint8")
    for ending in ("png", "jpg", "bmp", "webp"):
        path = tmp_path / f"x.{ending}"
        Image.fromarray(pixels).save(path)
        assert faults_of_image(path) == []
        path.write_bytes(path.read_bytes()[:-300])
        assert faults_of_image(path), ending


def test_classes_must_be_those_of_the_training(folder: Path) -> None:
    classes = opened(Data(), folder, "train", ALONE).classes
    shutil.move(folder / "val" / "class1", folder / "val" / "klass1")
    said = refusal(folder, "validation", classes=classes)
    assert "class1, klass1 (2 in all)" in said


def test_the_number_of_classes_is_found_or_stated(folder: Path) -> None:
    split = opened(Data(), folder, "train", ALONE)
    assert num_classes(split, 10) == 10
    with pytest.raises(DataError, match=r"3 classes, but data.num_classes is 2"):
        num_classes(split, 2)


def test_other_kinds_of_images_are_images(tmp_path: Path) -> None:
    for ending in ("png", "bmp", "webp"):
        Image.new("L", (9, 9)).save(tmp_path / f"x.{ending}")
        assert faults_of_image(tmp_path / f"x.{ending}") == []
