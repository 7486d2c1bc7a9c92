"""The interval of a median inside one process, by order statistics: it only decides when to stop.

The k-th smallest and k-th largest of n values enclose the median with probability
1 − 2·P(X < k), X binomial(n, ½) (David and Nagaraja, Order Statistics, section 7.1). What is
printed comes from the spread between processes, never from this.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate
from math import comb, inf
from statistics import median


def relative_width(values: Sequence[float], confidence: float = 0.95) -> float:
    """Width of the median's interval over the median; inf while too few values enclose it."""
    rank = enclosing_rank(len(values), confidence)
    middle = median(values) if values else 0.0
    if rank == 0 or middle <= 0:
        return inf
    ordered = sorted(values)
    return (ordered[-rank] - ordered[rank - 1]) / middle


def enclosing_rank(count: int, confidence: float = 0.95) -> int:
    """The largest k whose k-th smallest and largest enclose the median; 0 if even k = 1 fails."""
    # As whole numbers of 2^count: a probability of 2^-count would vanish for long runs.
    allowed = int((1 - confidence) / 2 * 2**52) * 2**count >> 52
    below = accumulate(comb(count, smaller) for smaller in range(count // 2))
    return sum(1 for tail in below if tail <= allowed)
