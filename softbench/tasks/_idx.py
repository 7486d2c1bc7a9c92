"""IDX files, the form of MNIST and of what came after it: found, unpacked, checked, read.

Source of the form: LeCun, Cortes & Burges, "The MNIST database of handwritten digits": two zero
bytes, the type (8 is unsigned byte), the number of dimensions, each as four bytes, most significant
first, then the values.
"""

from __future__ import annotations

import gzip
import hashlib
import math
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor

BYTES = 8


def find(name: str, folders: Sequence[Path], advice: str) -> Path:
    """The file `name`, or `name`.gz, in the first folder that has it.

    Raises FileNotFoundError: the name, the folders looked in, and `advice`.
    """
    for folder in folders:
        for path in (folder / name, folder / f"{name}.gz"):
            if path.is_file():
                return path
    looked = ", ".join(map(str, folders))
    raise FileNotFoundError(f"no {name} or {name}.gz in {looked}; {advice}")


def read(path: Path, sha256: str, advice: str) -> Tensor:
    """uint8, of the shape that the file says, once its unpacked bytes have that SHA-256.

    Raises ValueError, with `advice`, for a file that cannot be read or is another.
    """
    import torch

    content = _unpacked(path, advice)
    found = hashlib.sha256(content).hexdigest()
    if found != sha256:
        raise ValueError(f"{path} is altered: its SHA-256 is {found}, not {sha256}; {advice}")
    dimensions = content[3] if content[:3] == bytes((0, 0, BYTES)) else 0
    start = 4 + 4 * dimensions
    shape = [int.from_bytes(content[at : at + 4], "big") for at in range(4, start, 4)]
    if not shape or math.prod(shape) != len(content) - start:
        raise ValueError(f"{path} is no IDX file of bytes: {len(content)} bytes, shape {shape}")
    return torch.frombuffer(bytearray(content[start:]), dtype=torch.uint8).reshape(shape)


def _unpacked(path: Path, advice: str) -> bytes:
    try:
        content = path.read_bytes()
        return gzip.decompress(content) if path.suffix == ".gz" else content
    except (OSError, EOFError, zlib.error) as error:
        raise ValueError(f"{path} cannot be read: {error}; {advice}") from None
