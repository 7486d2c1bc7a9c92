"""Fashion-MNIST is read from IDX files that are what they should be, or it is said what is wrong.

Mutants seen red: hashes not compared, a header not held, train for test, a place not looked in.
"""

import gzip
import hashlib
import re
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from softbench.tasks import fashion_mnist
from softbench.tasks.fashion_mnist import PACKAGED, SHA256, Params, load

SIZES = {"train": 6, "t10k": 4}
FEW = Params(train_size=6, test_size=4)
Write = Callable[[Path, bool], None]


def idx(values: torch.Tensor) -> bytes:
    sizes = b"".join(size.to_bytes(4, "big") for size in values.shape)
    return bytes([0, 0, 8, values.ndim]) + sizes + values.numpy().tobytes()


def made_up() -> dict[str, torch.Tensor]:
    """Images whose every value tells which they are, and labels."""
    made = {}
    for name, size in SIZES.items():
        start = 100 if name == "t10k" else 0
        values = start + torch.arange(size * 12, dtype=torch.uint8)
        made[f"{name}-images-idx3-ubyte"] = values.reshape(size, 4, 3)
        made[f"{name}-labels-idx1-ubyte"] = (torch.arange(size) + start // 100).byte()
    return made


@pytest.fixture
def write(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Write:
    """Write small IDX files into a folder; the task takes their hashes for the right ones."""
    contents = {name: idx(values) for name, values in made_up().items()}
    hashes = {name: hashlib.sha256(content).hexdigest() for name, content in contents.items()}
    monkeypatch.setattr(fashion_mnist, "SHA256", hashes)
    monkeypatch.setattr(fashion_mnist, "PACKAGED", tmp_path / "packaged")

    def written(folder: Path, packed: bool) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        for name, content in contents.items():
            if packed:
                (folder / f"{name}.gz").write_bytes(gzip.compress(content))
            else:
                (folder / name).write_bytes(content)

    return written


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize(
    "place", ["root", "root/fashion-mnist", "root/FashionMNIST/raw", "packaged"]
)
def test_files_are_found_and_read(write: Write, tmp_path: Path, place: str, packed: bool) -> None:
    write(tmp_path / place, packed)
    task = load(FEW, seed=0, data_root=tmp_path / "root")
    expected = made_up()
    for name, split in (("train", task.train), ("t10k", task.test)):
        assert torch.equal(split.inputs, expected[f"{name}-images-idx3-ubyte"][:, None])
        assert torch.equal(split.labels, expected[f"{name}-labels-idx1-ubyte"].long())


def test_the_package_is_found_without_a_root(write: Write, tmp_path: Path) -> None:
    write(tmp_path / "packaged", True)
    few = Params(train_size=2, test_size=3)
    assert (len(load(few, seed=0).train), len(load(few, seed=0).test)) == (2, 3)


def test_a_missing_file_is_named_with_how_to_get_it(write: Write, tmp_path: Path) -> None:
    write(tmp_path, False)
    (tmp_path / "t10k-labels-idx1-ubyte").unlink()
    message = f"no t10k-labels-idx1-ubyte or t10k-labels-idx1-ubyte.gz in {tmp_path}, "
    with pytest.raises(FileNotFoundError, match=re.escape(message)) as error:
        load(FEW, seed=0, data_root=tmp_path)
    assert "install Debian's package dataset-fashion-mnist" in str(error.value)
    assert str(tmp_path / "packaged") in str(error.value)


@pytest.mark.parametrize("packed", [False, True])
def test_an_altered_file_is_named_with_what_was_expected(
    write: Write, tmp_path: Path, packed: bool
) -> None:
    write(tmp_path, packed)
    path = tmp_path / ("train-images-idx3-ubyte" + ".gz" * packed)
    content = bytearray(idx(made_up()["train-images-idx3-ubyte"]))
    content[-1] += 1
    path.write_bytes(gzip.compress(content) if packed else content)
    right = fashion_mnist.SHA256["train-images-idx3-ubyte"]
    found = hashlib.sha256(content).hexdigest()
    message = f"{path} is altered: its SHA-256 is {found}, not {right}; install"
    with pytest.raises(ValueError, match=re.escape(message)):
        load(FEW, seed=0, data_root=tmp_path)


@pytest.mark.parametrize("content", [b"no gzip", gzip.compress(b"x" * 99)[:-9], b""])
def test_a_packed_file_that_is_broken_is_named(
    write: Write, tmp_path: Path, content: bytes
) -> None:
    write(tmp_path, True)
    path = tmp_path / "train-images-idx3-ubyte.gz"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=re.escape(str(path))):
        load(FEW, seed=0, data_root=tmp_path)


@pytest.mark.parametrize("content", [b"", b"\0\0\x0d\1" + bytes(8), b"\0\0\x08\1\0\0\0\2\7", b"\0"])
def test_a_file_of_another_form_is_refused(
    write: Write, tmp_path: Path, content: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(tmp_path, False)
    path = tmp_path / "train-images-idx3-ubyte"
    path.write_bytes(content)
    monkeypatch.setitem(fashion_mnist.SHA256, path.name, hashlib.sha256(content).hexdigest())
    with pytest.raises(ValueError, match=re.escape(f"{path} is no IDX file of bytes")):
        load(FEW, seed=0, data_root=tmp_path)


def test_the_hashes_are_of_four_files() -> None:
    assert len(set(SHA256.values())) == 4
    assert all(re.fullmatch("[0-9a-f]{64}", digest) for digest in SHA256.values())


@pytest.mark.skipif(not PACKAGED.is_dir(), reason="Debian's dataset-fashion-mnist is not here")
def test_the_real_images_are_what_they_are_said_to_be() -> None:
    task = load(Params(), seed=0)
    assert (len(task.train), len(task.test)) == (60_000, 10_000)
    assert task.train.labels.bincount().tolist() == [6000] * 10
    assert task.majority == 0.1
    assert (task.channels, task.image_size, task.grid(4)) == (1, (28, 28), (7, 7))
    # The published mean and deviation of the train set's pixels, 0.2860 and 0.3530.
    pixels = task.train.inputs.double() / 255
    assert (round(float(pixels.mean()), 4), round(float(pixels.std()), 4)) == (0.2860, 0.3530)
