"""Image folder: your own images, one folder a class, read into memory at one size.

Licence: that of your images.
Source: your folder: `train/CLASS/image.jpg` and `val/CLASS/image.jpg` under the data root, read by
timm (Wightman, 2019) in every form that it knows the ending of.
Sizes: as many as there are; 3 channels, `image_size` squared, a class for each folder of `train/`.
Token grid: `image_size` over the patch size, squared: 14x14 at 224 and patch 16.

The short side is resized to `image_size` and the middle cut out. All is decoded once, into
3 · `image_size`² bytes an image, so that `memory_limit` bounds what may be asked for; data sets
beyond that are for `softbench train`, which reads while it trains. An image that cannot be decoded
ends the loading: with some left out, results would no longer be of the data they name.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import Field

from softbench.case import Value
from softbench.tasks._task import Split, Task

if TYPE_CHECKING:
    from torch import Tensor

ADVICE = "give a data root that holds train/CLASS/image.jpg and val/CLASS/image.jpg"


class Params(Value):
    """What an image folder lets one choose."""

    image_size: Annotated[int, Field(ge=8, le=4096, description="side of an image")] = 224
    num_classes: Annotated[
        int | None,
        Field(ge=1, le=2**20, description="folders of train/, as many as a model's classes"),
    ] = None
    memory_limit: Annotated[
        int, Field(ge=1, le=2**50, description="bytes that all images together may take")
    ] = 4 * 10**9


def model_params(params: Params) -> dict[str, Any]:
    """The parameters of a model that follow from the task; its classes where they are stated.

    Else they are known by reading it alone, and the suite gives the model's num_classes itself.
    """
    stated = {} if params.num_classes is None else {"num_classes": params.num_classes}
    return {"image_size": (params.image_size, params.image_size), "in_chans": 3, **stated}


def load(params: Params, *, seed: int, data_root: Path | None = None) -> Task:
    """The images of train/ and val/ (the test set); `seed` changes nothing.

    FileNotFoundError: no data root, no such folder. ValueError: a class without images, classes
    that differ or are not as many as stated, more than `memory_limit`, an image that cannot be
    decoded.
    """
    if data_root is None:
        raise FileNotFoundError(f"image_folder has no images of its own; {ADVICE}")
    train = _dataset(data_root / "train", None)
    classes = train.reader.class_to_idx
    test = _dataset(data_root / "val", classes)
    if params.num_classes not in (None, len(classes)):
        raise ValueError(
            f"num_classes is {params.num_classes}, but {data_root / 'train'} has {len(classes)}"
        )
    _within_memory(len(train) + len(test), params)
    return Task(
        name="image_folder",
        train=_split(train, params.image_size),
        test=_split(test, params.image_size),
        num_classes=len(classes),
        licence="that of the images",
        source=data_root.resolve().name,
    )


def _dataset(folder: Path, classes: dict[str, int] | None) -> Any:
    """timm's data set of the folder, which has an image in every class and no other classes."""
    from timm.data.dataset_factory import create_dataset

    if not folder.is_dir():
        raise FileNotFoundError(f"no folder {folder}; {ADVICE}")
    try:
        dataset = create_dataset("", root=str(folder), search_split=False)
    except RuntimeError as error:
        raise ValueError(f"no image in {folder}: {error}") from None
    found = {path.name for path in folder.iterdir() if path.is_dir()}
    filled = {Path(path).parent for path, _ in dataset.reader.samples}
    for name in sorted(found):
        if folder / name not in filled:
            raise ValueError(f"{folder / name} has no image in it; fill it or remove it")
    for place in sorted(filled):
        if place.parent != folder:
            raise ValueError(f"{place} holds images and is no class of {folder}; {ADVICE}")
    for name in sorted(found ^ set(found if classes is None else classes)):
        raise ValueError(f"class {name!r} is not in both train/ and val/ of {folder.parent}")
    return dataset


def _within_memory(images: int, params: Params) -> None:
    wanted = images * 3 * params.image_size**2
    if wanted > params.memory_limit:
        raise ValueError(
            f"{images} images of {params.image_size}x{params.image_size} take {wanted} bytes, over "
            f"memory_limit {params.memory_limit}; raise it, or take a smaller image_size"
        )


def _split(dataset: Any, image_size: int) -> Split:
    """Every image of the set, in the order of the files' names."""
    import torch
    from timm.data.transforms_factory import create_transform

    resized = create_transform(
        image_size, use_prefetcher=True, crop_pct=1.0, interpolation="bicubic"
    )
    inputs = torch.empty(len(dataset), 3, image_size, image_size, dtype=torch.uint8)
    for index, (path, _) in enumerate(dataset.reader.samples):
        inputs[index] = _decoded(Path(path), resized)
    labels = [label for _, label in dataset.reader.samples]
    return Split(inputs, torch.tensor(labels, dtype=torch.int64))


def _decoded(path: Path, resized: Any) -> Tensor:
    """uint8 [3, H, W]. timm's own data set would warn and take the next image instead."""
    from PIL import Image

    try:
        with Image.open(path) as image:
            decoded: Tensor = resized(image.convert("RGB"))
    # A broken PNG is a SyntaxError, an image too large to be true a DecompressionBombError.
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise ValueError(f"{path} is no image that can be read: {error}") from None
    return decoded
