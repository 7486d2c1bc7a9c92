"""How much slower the head was than the base: one logarithm of a ratio for each pair and cell.

Two ways to take a pair's slots together. By quantiles: each process has a time of its own, a
quantile of its slots, and the ratio is that of the times. Slot by slot: in a slot both sides run
within milliseconds of each other, so what slows the machine just then slows both and leaves their
ratio alone; the pair's ratio is the median of its slots' ratios.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from softbench.gate.pairs import Samples
from softbench.statistics.sign_flip import Floats

Ratios = Callable[[Sequence[Samples], str, str], Floats]

TENTH, MEDIAN = 0.1, 0.5  # the quantiles that are told beside


def slot_by_slot(pairs: Sequence[Samples], base: str, head: str) -> Floats:
    """Medians over slots of the logarithms of head over base, [pairs, cells]."""
    ratios: Floats = np.median(np.log(_slots(pairs, head) / _slots(pairs, base)), axis=2)
    return ratios


def of_quantiles(quantile: float) -> Ratios:
    """Logarithms of head's time over base's, each process told by the quantile of its slots."""

    def ratios(pairs: Sequence[Samples], base: str, head: str) -> Floats:
        found: Floats = np.log(times(pairs, head, quantile) / times(pairs, base, quantile))
        return found

    return ratios


def times(pairs: Sequence[Samples], side: str, quantile: float) -> Floats:
    """The quantile of each process's slots, nanoseconds of a call: [pairs, cells]."""
    quantiles: Floats = np.quantile(_slots(pairs, side), quantile, axis=2)
    return quantiles


def _slots(pairs: Sequence[Samples], side: str) -> Floats:
    """[pairs, cells, slots]"""
    return np.array([pair[side] for pair in pairs], dtype=float)
