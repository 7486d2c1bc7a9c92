"""The exponent from each measured length to the next: the slope of log t over log N.

No floor is taken out of it: where a floor dominates the slope is near zero. Its interval is Welch's
for the difference of two mean log medians, as if of other processes: what one process has in common
at both lengths cancels in the slope, and the interval is the wider for not using it.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

from softbench.statistics._spread import combined, half_width, mean_of_medians
from softbench.statistics.power_law import Parameter


@dataclass(frozen=True)
class LocalExponent:
    """The exponent between two neighbouring lengths."""

    after: int
    until: int
    exponent: Parameter


def local_exponents(
    medians: Mapping[int, Sequence[float]], *, confidence: float = 0.95
) -> list[LocalExponent]:
    """The exponents of all steps, given one median of every process at each length.

    Whole numbers that never differ are counts and give intervals of no width. Raises ValueError for
    a median that is not positive.
    """
    return [
        LocalExponent(after, until, _between(after, until, medians, confidence))
        for after, until in pairwise(sorted(medians))
    ]


def _between(
    after: int, until: int, medians: Mapping[int, Sequence[float]], confidence: float
) -> Parameter:
    here, there = (mean_of_medians(medians[length]) for length in (after, until))
    step = math.log(until / after)
    slope = (there.value - here.value) / step
    if math.inf in (here.variance, there.variance):  # single processes
        return Parameter(slope, None, None)
    width = half_width(combined([1 / step, -1 / step], [there, here]), confidence)
    return Parameter(slope, slope - width, slope + width)
