"""WebDataset and Hugging Face data sets, by timm's names for them."""

from __future__ import annotations

import io
import tarfile
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor
from training_cases import ALONE, finish, image_folder, same, tiny, weights

from softbench.training.errors import DataError
from softbench.training.loading import Reading
from softbench.training.recipe import Recipe
from softbench.training.session import prepared, train

SHARDS = 2


def sharded(root: Path, images: Path) -> Path:
    """The folder's images as two shards a split; counts as timm has them, after a stroke."""
    for split, folder in (("train", "train"), ("val", "val")):
        files = sorted((images / folder).rglob("*.jpg"), key=lambda file: file.name)
        for shard in range(SHARDS):
            with tarfile.open(root / f"{split}-{shard}.tar", "w") as archive:
                for file in files[shard::SHARDS]:
                    _add(archive, f"{file.stem}.jpg", file.read_bytes())
                    _add(archive, f"{file.stem}.cls", file.parent.name[-1].encode())
    return root


def _add(archive: tarfile.TarFile, name: str, content: bytes) -> None:
    entry = tarfile.TarInfo(name)
    entry.size = len(content)
    archive.addfile(entry, io.BytesIO(content))


def streamed(**data: Any) -> Recipe:
    named = {"name": "wds/", "train_split": "train-{0..1}.tar|18", "test_split": "val-{0..1}.tar|7"}
    return tiny(data={"workers": 0, "num_classes": 3} | named | data)


@pytest.fixture
def shards(tmp_path: Path) -> Path:
    pytest.importorskip("webdataset")
    return sharded(tmp_path, image_folder(tmp_path / "images"))


@pytest.mark.parametrize("workers", [0, 2])
def test_a_webdataset_is_trained_on_and_gone_on_with(shards: Path, workers: int) -> None:
    recipe = streamed(workers=workers)
    finish(recipe, shards, shards / "whole")
    for event in train(recipe, shards, shards / "parts", ALONE):
        if event.__class__.__name__ == "Ended":
            break
    finish(recipe, shards, shards / "parts", resume=True)
    assert same(weights(shards / "whole"), weights(shards / "parts"))


def test_an_epoch_of_a_stream_is_the_same_again(shards: Path) -> None:
    loop = prepared(streamed(), shards, ALONE)

    def batches(epoch: int) -> list[Tensor]:
        read = Reading(loop.recipe, ALONE).training(loop.train, epoch, 0, 2)
        return [images for images, _ in read]

    first = batches(0)
    assert [len(images) for images in first] == [8, 8]
    assert all(map(torch.equal, first, batches(0)))
    assert not torch.equal(first[0], batches(1)[0])
    tested = Reading(loop.recipe, ALONE).testing(loop.test)
    assert sum(len(targets) for _, targets in tested) == 7


def test_broken_and_missing_shards_are_named(shards: Path) -> None:
    with tarfile.open(shards / "train-1.tar", "a") as archive:
        _add(archive, "bad.jpg", b"not an image")
    with pytest.raises(DataError, match=r"1 image cannot be read: train-1.tar: bad.jpg \(cannot"):
        prepared(streamed(), shards, ALONE)
    (shards / "train-0.tar").unlink()
    with pytest.raises(DataError, match=r"train-0.tar: no such file \(1 missing\)"):
        prepared(streamed(), shards, ALONE)


def test_streams_say_what_they_lack(shards: Path) -> None:
    with pytest.raises(DataError, match="does not say how many classes"):
        prepared(streamed(num_classes=None), shards, ALONE)
    with pytest.raises(DataError, match=r"2 shards for 3 readers"):
        prepared(streamed(workers=3), shards, ALONE)
    with pytest.raises(DataError, match=r"class 2 is none of 0 to 1"):
        finish(streamed(num_classes=2), shards, shards / "out")


def test_a_hugging_face_data_set_is_trained_on(tmp_path: Path, monkeypatch: Any) -> None:
    datasets = pytest.importorskip("datasets")
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "cache")
    images = image_folder(tmp_path / "images")
    recipe = tiny(data={"name": "hfds/", "workers": 0})
    loop = prepared(recipe, images, ALONE)
    assert loop.train.split.classes == ["class0", "class1", "class2"]
    assert (len(loop.train.split.images), len(loop.test.split.images)) == (18, 7)
    finish(recipe, images, tmp_path / "out")
    assert (tmp_path / "out" / "last.pt").exists()


@pytest.mark.parametrize(("name", "package"), [("hfds/", "datasets"), ("wds/", "webdataset")])
def test_a_package_that_is_missing_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, package: str
) -> None:
    import timm.data.readers.reader_wds as reader

    monkeypatch.setattr(reader, "wds", None)
    monkeypatch.setitem(__import__("sys").modules, "datasets", None)
    with pytest.raises(DataError, match=package):
        prepared(streamed(name=name), image_folder(tmp_path), ALONE)
