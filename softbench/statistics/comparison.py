"""How many times as much one measurement is as another, with an interval.

The ratio of the two centres; its interval is Welch's (1947) t interval for the difference of the
mean log medians, which does not take the two to be equally noisy. Two counts compare exactly.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from softbench.statistics._spread import combined, half_width, mean_of_medians
from softbench.statistics.interval import Estimate


@dataclass(frozen=True)
class Ratio:
    """own / other and its interval if there is one, else why not.

    `centre` is None where the other is zero. `without_interval` is None, "exact" (two counts), or
    as in Estimate, with "nothing to divide by" besides. `side` is -1 where own is smaller beyond
    doubt, 1 where it is larger, 0 where neither can be said or two counts are equal, and None where
    there is nothing to judge by.
    """

    centre: float | None
    low: float | None
    high: float | None
    without_interval: str | None
    side: int | None

    @property
    def exact(self) -> bool:
        """Whether both were counts."""
        return self.without_interval == "exact"


def ratio(own: Estimate, other: Estimate, *, confidence: float = 0.95) -> Ratio:
    """own / other. A count against a measurement is a number without error."""
    why = _without_interval(own, other)
    if why:
        centre = own.centre / other.centre if other.centre else None
        return Ratio(centre, None, None, why, _side(own, other) if why == "exact" else None)
    difference = combined([1.0, -1.0], [mean_of_medians(e.medians) for e in (own, other)])
    width = half_width(difference, confidence)
    low, high = math.exp(difference.value - width), math.exp(difference.value + width)
    return Ratio(math.exp(difference.value), low, high, None, (low > 1) - (high < 1))


def _side(own: Estimate, other: Estimate) -> int:
    """Counts are compared as the whole numbers they are: a float rounds beyond 2^53."""
    counted, others = own.medians[0], other.medians[0]
    return (counted > others) - (counted < others)


def _without_interval(own: Estimate, other: Estimate) -> str | None:
    if own.exact and other.exact:
        return "exact"
    if not other.centre:
        return "nothing to divide by"
    reasons = [e.without_interval for e in (own, other) if not e.exact and e.without_interval]
    if reasons:
        return reasons[0]
    return "not positive" if min(own.centre, other.centre) <= 0 else None
