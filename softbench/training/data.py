"""Data sets by timm's names, found and looked at before training: '' (a folder), wds/, hfds/, …

A folder holds one folder a split (train/; val/ or validation/), and in it one folder a class.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from timm.data import IterableImageDataset, create_dataset
from timm.data.readers.reader_image_folder import ReaderImageFolder

from softbench.plugins import did_you_mean
from softbench.training import checking
from softbench.training.distributed import World
from softbench.training.errors import DataError
from softbench.training.recipe import Data

# The names under which timm looks for a split's folder.
SPLITS = (("train", "training"), ("validation", "val", "valid", "eval", "evaluation"))
SHOWN = 5


@dataclass(frozen=True)
class Split:
    """One split: timm's data set, the classes' names in order (if known), and how to say it."""

    images: Any
    classes: list[str]
    where: str
    trains: bool = False

    @property
    def is_stream(self) -> bool:
        """Whether it is read through from its start, with no image to be had by its number."""
        return isinstance(self.images, IterableImageDataset)

    def name(self, index: int) -> str:
        """The file of an image by its number, or what comes nearest to it."""
        named = hasattr(self.images, "filename")
        return f"{self.where}: {self.images.filename(index) if named else f'image {index}'}"


def opened(
    data: Data,
    path: Path,
    split: str,
    world: World,
    classes: Sequence[str] = (),
    *,
    itself: bool = False,
    **hints: Any,
) -> Split:
    """The split of the data set at `path`, every image of a folder or of shards looked at.

    `classes` are those of the training; `itself`: `path` may be the split's own folder; `hints`
    are create_dataset's. DataError: nothing there, images that cannot be read, a class that
    training has not.
    """
    kind = data.name.partition("/")[0].lower()
    if kind not in ("", "hfds", "hfids", "tfds", "torch", "wds") or data.name == "wds":
        raise DataError(f"no data set {data.name!r}; it is '' (a folder), wds/ or hfds/NAME")
    name, root = data.name, path
    if not kind:
        root = _folder_of_split(path, split, itself=itself)
    elif not path.exists():
        raise _no_such(path)
    elif data.name.lower() == "hfds/":
        name = f"hfds/{path}"
    cache = None if name.startswith("hfds/") and name != data.name else str(root)
    try:
        images = create_dataset(
            name, cache, split=split, search_split=False, input_img_mode="RGB", **hints
        )
    except Exception as error:  # each library has its own for what it cannot find
        raise DataError(f"{root}: {' '.join(str(error).split()) or repr(error)}") from error
    trains = hints.get("is_training", False)
    found = Split(images, _classes(images), str(root), trains)
    _refuse_other_classes(found, classes)
    if data.check_images:
        check(found, root, world, data.workers)
    return found


def check(split: Split, root: Path, world: World, workers: int) -> None:
    """Look at every image of a folder, or of a WebDataset's shards. DataError: the bad ones."""
    reader: Any = getattr(split.images, "reader", None)
    if isinstance(reader, ReaderImageFolder):
        paths = [Path(path) for path, _ in reader.samples]
        checking.refuse_unreadable(paths, root, world, checking.faults_of_image)
    elif split.is_stream and hasattr(reader, "split_info"):
        paths = [root / name for name in reader.split_info.filenames]
        if absent := checking.missing(paths):
            raise DataError(f"{', '.join(absent[:SHOWN])}: no such file ({len(absent)} missing)")
        if split.trains and len(paths) < (readers := world.size * max(1, workers)):
            raise DataError(
                f"{split.where}: {len(paths)} shards for {readers} readers; one each is the least, "
                "so have fewer data.workers"
            )
        checking.refuse_unreadable(paths, root, world, checking.faults_of_tar)


def num_classes(split: Split, stated: int | None) -> int:
    """How many classes there are: found, or stated. DataError: neither, or more than stated."""
    found = len(split.classes)
    if stated is None and not found:
        raise DataError(f"{split.where}: does not say how many classes it has; set num_classes")
    if stated is not None and found > stated:
        raise DataError(f"{split.where}: {found} classes, but data.num_classes is {stated}")
    return stated or found


def _classes(images: Any) -> list[str]:
    """The classes' names, in the order of their numbers."""
    numbers = getattr(getattr(images, "reader", images), "class_to_idx", None) or {}
    return sorted(map(str, numbers), key={str(k): v for k, v in numbers.items()}.__getitem__)


def _refuse_other_classes(split: Split, classes: Sequence[str]) -> None:
    """Classes go by their place, so that one more or less would silently shift all that follow."""
    if not classes or not split.classes or list(classes) == split.classes:
        return
    differing = sorted(set(classes) ^ set(split.classes))
    raise DataError(
        f"{split.where}: its classes are not those of the training; only one of them has "
        f"{', '.join(differing[:SHOWN])} ({len(differing)} in all)"
    )


def _folder_of_split(path: Path, split: str, *, itself: bool) -> Path:
    """`path`/train or what else it may be called.

    `itself`: `path` may be that folder, unless it holds any split: then all of them were read.
    """
    if not path.is_dir():
        raise _no_such(path)
    names = next((names for names in SPLITS if split in names), ())
    candidates = [split, *(name for name in names if name != split)]
    for name in candidates:
        if (path / name).is_dir():
            return path / name
    if itself and not any((path / name).is_dir() for names in SPLITS for name in names):
        return path
    there = sorted(child.name for child in path.iterdir())
    holds = ", ".join(there[:SHOWN]) + (", …" if there[SHOWN:] else "") or "nothing"
    raise DataError(f"{path}: no folder {' or '.join(candidates)} in it; it holds {holds}")


def _no_such(path: Path) -> DataError:
    above = path.parent
    beside = [child.name for child in above.iterdir()] if above.is_dir() else []
    near = did_you_mean(path.name, beside)
    told = f"; {near}" if near.startswith("did") else ""  # not all that lies beside it
    return DataError(
        f"{path}: no such {'folder' if not path.exists() else 'folder, but a file'}{told}"
    )
