"""How a want of memory shows in an error, and how much was asked for when it did.

Nobody agrees on a type: Python and new raise MemoryError, PyTorch's CPU allocator a RuntimeError,
CUDA's an error of its own, the system an OSError; a thread that gets no stack says that a resource
is unavailable, and oneDNN that it could not create a primitive (what a primitive does not support
it says of its descriptor).
"""

from __future__ import annotations

import errno
import re

import torch

SIGNS = re.compile(
    r"DefaultCPUAllocator|std::bad_alloc|[Cc]annot allocate memory|Resource temporarily unavailable"
    r"|could not (?:create|execute) a (?:primitive|memory object)(?! desc)"
)
ASKED = re.compile(r"(?:[Tt]ried to|Unable to) allocate ([\d.]+) (bytes|KiB|MiB|GiB|TiB|PiB|EiB)")
POWERS = {"bytes": 0, "KiB": 1, "MiB": 2, "GiB": 3, "TiB": 4, "PiB": 5, "EiB": 6}


def is_shortage(error: Exception) -> bool:
    """Whether `error` says that there was not enough memory."""
    if isinstance(error, MemoryError | torch.OutOfMemoryError):
        return True
    if isinstance(error, OSError):
        return error.errno == errno.ENOMEM
    return isinstance(error, RuntimeError) and SIGNS.search(str(error)) is not None


def asked_bytes(error: Exception) -> int | None:
    """The bytes that were asked for in vain, if the message tells them."""
    told = ASKED.search(str(error))
    return int(float(told[1]) * 1024 ** POWERS[told[2]]) if told else None


def in_words(detail: dict[str, int]) -> str:
    """What was asked for and what was left, for people; needs `free` and `cap`."""
    asked = f"asked for {size(detail['asked'])}" if "asked" in detail else "ran out of memory"
    return f"{asked}; {size(detail['free'])} of its {size(detail['cap'])} were left"


def size(count: int) -> str:
    """So many bytes, for people: three digits and a unit."""
    power = min(6, max(0, (count.bit_length() - 1) // 10))
    unit = next(name for name, value in POWERS.items() if value == power)
    scaled = count / 1024**power
    return f"{scaled:.3g} {unit}" if scaled < 1000 else f"{scaled:.0f} {unit}"
