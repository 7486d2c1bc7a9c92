"""Streams of random numbers that are the same on every machine and with every version of numpy.

`numpy.random.RandomState` is frozen (NEP 19: its streams never change), the newer `Generator` is
not.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from softbench.case import content_hash

if TYPE_CHECKING:
    import numpy as np


def array_stream(*name: Any) -> np.random.RandomState:
    """The stream of that name, for arrays; no two names share one."""
    import numpy as np

    digits = content_hash(list(name), 64)
    return np.random.RandomState([int(digits[at : at + 8], 16) for at in range(0, 64, 8)])
