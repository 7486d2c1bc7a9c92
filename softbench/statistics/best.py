"""Which of several estimates is the best, where that can be told at all.

The best is told apart when its interval ends before the interval of every other begins. Exact
counts are intervals of no width; an estimate without interval cannot be told from anything.
Intervals that overlap may still differ: the rule errs on the side of saying nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from softbench.statistics.interval import Estimate


def clear_best(estimates: Sequence[Estimate], better: Literal["lower", "higher"]) -> int | None:
    """The index of the estimate that beats all others, or None if none can be told to."""
    bounds = [_bounds(estimate) for estimate in estimates]
    if len(bounds) < 2 or any(bound is None for bound in bounds):
        return None
    sign = 1 if better == "lower" else -1
    spans = [tuple(sorted((sign * bound[0], sign * bound[1]))) for bound in bounds if bound]
    first = min(range(len(spans)), key=lambda index: spans[index])
    beaten = all(spans[first][1] < span[0] for i, span in enumerate(spans) if i != first)
    return first if beaten else None


def _bounds(estimate: Estimate) -> tuple[float, float] | None:
    if estimate.exact:
        return estimate.centre, estimate.centre
    if estimate.low is None or estimate.high is None:
        return None
    return estimate.low, estimate.high
