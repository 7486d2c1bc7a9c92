"""Random numbers from where one is, not from what came before: nothing of them needs keeping.

What is drawn for an image depends on (seed, epoch, image) alone, and for a pass through the model
on (seed, update, pass, process): a training that was interrupted draws the same, and so does one
with another number of loading processes.
"""

from __future__ import annotations

import hashlib
import random
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch


def seed_of(*parts: int | str) -> int:
    """63 bits that change with every part and its place."""
    digest = hashlib.blake2b(repr(parts).encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big") >> 1


def start_from(seed: int) -> None:
    """Set every generator: Python's, NumPy's, and torch's on every device."""
    torch.manual_seed(seed)
    _others(seed)


@contextmanager
def drawn_from(seed: int) -> Iterator[None]:
    """Inside, the generators of the CPU start from `seed`; outside nothing has happened."""
    kept = random.getstate(), np.random.get_state(), torch.get_rng_state()
    torch.default_generator.manual_seed(seed)  # torch.manual_seed would reach the GPUs' too
    _others(seed)
    try:
        yield
    finally:
        random.setstate(kept[0])
        np.random.set_state(kept[1])
        torch.set_rng_state(kept[2])


def _others(seed: int) -> None:
    random.seed(seed)
    np.random.seed(seed % 2**32)
