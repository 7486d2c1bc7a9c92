"""How far the processes lie apart, and how well that itself is known.

The variance of a weighted sum of independent means is a weighted sum of their variances; its
degrees of freedom are Satterthwaite's (1946; Welch 1947 for two means). Lengths and methods are not
assumed to be equally noisy: on a shared machine they are not.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Mean:
    """A mean of logarithms: its value, the variance of that value, and the degrees of freedom."""

    value: float
    variance: float
    freedom: float


def mean_of(values: Sequence[float]) -> Mean:
    """The mean of independent values. Of one value the variance is unknown: infinite."""
    count = len(values)
    centre = math.fsum(values) / count
    if count < 2:
        return Mean(centre, math.inf, 0.0)
    squares = math.fsum((value - centre) ** 2 for value in values)
    return Mean(centre, squares / (count - 1) / count, count - 1.0)


def mean_of_medians(medians: Sequence[float]) -> Mean:
    """The mean logarithm of one median a process; whole numbers that never differ are a count.

    Raises ValueError where a median has no logarithm.
    """
    if min(medians) <= 0:
        raise ValueError(f"medians {list(medians)}: one that is not positive has no logarithm")
    if all(isinstance(median, int) and median == medians[0] for median in medians):
        return Mean(math.log(medians[0]), 0.0, math.inf)
    return mean_of([math.log(median) for median in medians])


def combined(weights: Sequence[float], means: Sequence[Mean]) -> Mean:
    """The weighted sum of independent means."""
    parts = [(w * w * m.variance, m.freedom) for w, m in zip(weights, means, strict=True) if w]
    variance = math.fsum(part for part, _ in parts)
    value = math.fsum(w * m.value for w, m in zip(weights, means, strict=True))
    spread = math.fsum(part * part / freedom for part, freedom in parts if part)
    return Mean(value, variance, variance * variance / spread if spread else math.inf)


def half_width(mean: Mean, confidence: float) -> float:
    """Half of the two-sided t interval of a mean; none where nothing varies."""
    if not mean.variance:
        return 0.0
    from scipy.special import stdtrit

    return float(stdtrit(mean.freedom, 0.5 + confidence / 2)) * math.sqrt(mean.variance)
