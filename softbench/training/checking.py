"""A look at every image before the first one is trained on: what is broken is named at once.

timm's own data sets put another image in the place of one that cannot be read, and go on.
"""

from __future__ import annotations

import tarfile
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import IO

from PIL import Image
from timm.data.readers.img_extensions import get_img_extensions

from softbench.training.distributed import World
from softbench.training.errors import DataError

READERS = 16  # threads: what is waited for is the disk
NAMED = 5
END_OF_JPEG = b"\xff\xd9"


def refuse_unreadable(
    paths: Sequence[Path], root: Path, world: World, faults: Callable[[Path], list[str]]
) -> None:
    """Look at `paths`, every process at its share. DataError: how many are bad, and the first."""
    mine = paths[world.rank :: world.size]
    with ThreadPoolExecutor(READERS) as readers:
        found = list(zip(mine, readers.map(faults, mine), strict=True))
    told = [f"{path.relative_to(root)}{fault}" for path, bad in found for fault in bad]
    bad = sorted(fault for part in world.gathered(told) for fault in part)
    if bad:
        more = f", and {len(bad) - NAMED} more" if len(bad) > NAMED else ""
        raise DataError(
            f"{root}: {len(bad)} image{'s' * (len(bad) > 1)} cannot be read: "
            f"{'; '.join(bad[:NAMED])}{more}; replace or remove what is broken"
        )


def faults_of_image(path: Path) -> list[str]:
    """What is wrong with an image file, as " (reason)"; nothing if it can be read.

    What was cut off has a header too: a JPEG that has its end is whole, all else is decoded.
    """
    try:
        with path.open("rb") as file:
            return _faults(file)
    except OSError as error:
        return [f" ({error.strerror or error})"]


def faults_of_tar(path: Path) -> list[str]:
    """The same for every image in a tar file, as ": member (reason)"."""
    endings = get_img_extensions(as_set=True)
    found = []
    try:
        with tarfile.open(path) as archive:
            for member in archive:
                if member.isfile() and Path(member.name).suffix.lower() in endings:
                    file = archive.extractfile(member)
                    assert file is not None  # it is a file
                    found += [f": {member.name}{fault}" for fault in _faults(file)]
    except (OSError, tarfile.TarError) as error:
        found.append(f" ({error})")
    return found


def _faults(file: IO[bytes]) -> list[str]:
    size = file.seek(0, 2)
    if not size:
        return [" (empty)"]
    try:
        with Image.open(file) as image:
            if image.format != "JPEG" or not _ends(file, size):
                image.load()
    except Exception as error:  # Pillow raises what a broken file makes of its parsers
        return [f" ({told(error)})"]
    return []


def _ends(file: IO[bytes], size: int) -> bool:
    here = file.tell()
    file.seek(max(0, size - len(END_OF_JPEG)))
    ends = file.read() == END_OF_JPEG
    file.seek(here)
    return ends


def told(error: Exception) -> str:
    """What Pillow says of a file, without the name of the object that held it."""
    return str(error).partition(" <")[0] or type(error).__name__


def missing(paths: Iterable[Path]) -> list[str]:
    """Those of `paths` that are no files."""
    return [str(path) for path in paths if not path.is_file()]
