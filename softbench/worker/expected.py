"""How long one call of a case will take, before it runs.

What the case's family (all but its length) took at other lengths, carried on along the slope
between the two longest of them. Where it was never seen, a sum over what it has to do at the rates
of this machine: FLOPs, bytes and exponentials one after the other, since eager operators overlap
little, and some microseconds an operator. Held against the 323 medians of results/reference, of a
two-core CPU, the sum alone is within a factor of 2 for 98 %.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise

from softbench.metrics._roofline import Rates
from softbench.metrics._work import Work

OPERATOR_SECONDS = 5e-6  # to dispatch one, as much on a CPU as to launch a kernel on CUDA
# Fetching a page from the system and clearing it takes as long as this many times writing it.
FRESH_WRITES = 4

Seen = Mapping[str, Sequence[tuple[int, float]]]  # family to (FLOPs, seconds), fewest first


def seconds_of(work: Work, seen: Sequence[tuple[int, float]], rates: Rates) -> float:
    """Seconds of a call of `work`, from (FLOPs, seconds) of its family, fewest first."""
    if not seen:
        return seconds_by_rates(work, rates)
    operations = work.flops
    if operations <= seen[0][0]:
        return seen[0][1]
    for (fewer, shorter), (more, longer) in pairwise(seen):
        if operations <= more:
            return shorter + (operations - fewer) * (longer - shorter) / (more - fewer)
    more, longer = seen[-1]
    fewer, shorter = seen[-2] if len(seen) > 1 else (0, longer)
    slope = (longer - shorter) / (more - fewer)
    if slope <= 0:  # noise, or one length alone
        slope = seconds_by_rates(work, rates) / operations
    return longer + (operations - more) * slope


def seconds_by_rates(work: Work, rates: Rates) -> float:
    """Seconds of a call of `work` on a machine of these rates, of whatever mechanism."""
    moving = work.moved_bytes + FRESH_WRITES * work.fresh_bytes
    return (
        work.flops / rates.gemm
        + moving / rates.stream
        + work.exponentials / rates.exponential
        + work.operators * OPERATOR_SECONDS
    )
