"""The mean difference of two sides measured on the same occasions, with Student's t interval.

What an occasion does to both sides alike (the seed of a training: order of the data, first weights)
drops out of the differences. Only occasions that both sides have count, two at least.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Difference:
    """own - other over the occasions that both have.

    `without_interval` is None, "no shared seed", "one shared seed" or "no spread": differences that
    are all alike and not 0 are too few to tell how they scatter. `side` is -1 or 1 where the
    interval says which is larger, else 0: also where there is none.
    """

    mean: float | None
    low: float | None
    high: float | None
    shared: tuple[int, ...]
    without_interval: str | None

    @property
    def side(self) -> int:
        """1 where own is larger beyond doubt, -1 where it is smaller, 0 where neither is known."""
        if self.low is None or self.high is None:
            return 0
        return (self.low > 0) - (self.high < 0)


def difference(
    own: Mapping[int, float], other: Mapping[int, float], *, confidence: float = 0.95, of: int = 1
) -> Difference:
    """own - other, each by occasion; `of` such intervals hold together (Bonferroni).

    Raises ValueError for a confidence outside (0, 1) or `of` below 1.
    """
    if not 0 < confidence < 1 or of < 1:
        raise ValueError(f"confidence {confidence} of {of}: between 0 and 1, of 1 at least")
    shared = tuple(sorted(own.keys() & other.keys()))
    differences = [own[seed] - other[seed] for seed in shared]
    if not differences:
        return Difference(None, None, None, shared, "no shared seed")
    mean = statistics.fmean(differences)
    if len(differences) == 1:
        return Difference(mean, None, None, shared, "one shared seed")
    # Alike but for rounding: shares of a test set differ by parts of a sample, not by 1e-12.
    if mean and max(differences) - min(differences) < 1e-12:
        return Difference(mean, None, None, shared, "no spread")
    width = _quantile(len(differences) - 1, 1 - (1 - confidence) / of) * (
        statistics.stdev(differences) / math.sqrt(len(differences))
    )
    return Difference(mean, mean - width, mean + width, shared, None)


def _quantile(freedom: int, confidence: float) -> float:
    from scipy.special import stdtrit  # a third of the time that scipy.stats takes to import

    return float(stdtrit(freedom, 0.5 + confidence / 2))
