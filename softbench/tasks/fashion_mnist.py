"""Fashion-MNIST: 70,000 real photographs of clothes, 28×28 grey, ten classes (Xiao et al., 2017).

Licence: MIT.
Source: Xiao, Rasul & Vollgraf, "Fashion-MNIST: a Novel Image Dataset for Benchmarking Machine
Learning Algorithms", arXiv 1708.07747; Debian's package dataset-fashion-mnist, or the IDX files.
Sizes: 60,000 to train, 10,000 to test, 1 channel, 10 classes, 6,000 and 1,000 of each.
Token grid: 7x7 at patch 4, 14x14 at patch 2, 28x28 at patch 1.

Nothing is fetched: files are looked for under the data root (in it, in `fashion-mnist` and in
`FashionMNIST/raw`, gzipped or not), then where Debian's package puts them. The SHA-256 of what is
in each is checked, so that all who use the name have the same images.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import Field

from softbench.case import Value
from softbench.tasks import _idx
from softbench.tasks._task import Split, Task

if TYPE_CHECKING:
    from torch import Tensor

PACKAGED = Path("/usr/share/datasets/fashion-mnist")
BELOW_ROOT = (".", "fashion-mnist", "FashionMNIST/raw")
# Of the unpacked files.
SHA256 = {
    "train-images-idx3-ubyte": "c59f468a2f672dc815687fe0f83887768d799fd8a3f3276145d20f83aa44d888",
    "train-labels-idx1-ubyte": "bad3541b69d912435c50bb6ba87bec294ff4f6a2e1246121d8633921760443d9",
    "t10k-images-idx3-ubyte": "5b4141f0afbad91edebe8549f8fcffe087ea10ca49f1dbef5c9a5cd8815ce37b",
    "t10k-labels-idx1-ubyte": "0402a96d92fd2663957122ceb108a494c5af83dab82d92729df917d7dec38c34",
}
ADVICE = (
    "install Debian's package dataset-fashion-mnist, or put the four files of "
    "https://github.com/zalandoresearch/fashion-mnist, gzipped or not, under the data root"
)


class Params(Value):
    """What Fashion-MNIST lets one choose."""

    train_size: Annotated[
        int, Field(ge=1, le=60_000, description="images to train on, the first of the file")
    ] = 60_000
    test_size: Annotated[
        int, Field(ge=1, le=10_000, description="images to test on, the first of the file")
    ] = 10_000


def model_params(params: Params) -> dict[str, Any]:
    """The parameters of a model that follow from the task."""
    return {"num_classes": 10, "image_size": (28, 28), "in_chans": 1}


def load(params: Params, *, seed: int, data_root: Path | None = None) -> Task:
    """The images; `seed` changes nothing.

    FileNotFoundError: a file is missing. ValueError: one is altered or cannot be read.
    """
    below = [] if data_root is None else [data_root / folder for folder in BELOW_ROOT]
    folders = [*below, PACKAGED]
    return Task(
        name="fashion_mnist",
        train=_split("train", folders).first(params.train_size),
        test=_split("t10k", folders).first(params.test_size),
        num_classes=10,
        licence="MIT",
        source="https://github.com/zalandoresearch/fashion-mnist",
    )


def _split(name: str, folders: list[Path]) -> Split:
    images = _file(f"{name}-images-idx3-ubyte", folders)
    labels = _file(f"{name}-labels-idx1-ubyte", folders)
    return Split(images[:, None], labels.long())


def _file(name: str, folders: list[Path]) -> Tensor:
    return _idx.read(_idx.find(name, folders, ADVICE), SHA256[name], ADVICE)
