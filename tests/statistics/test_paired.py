"""Paired differences: known values, coverage, and no verdict where there is none to be had.

Mutants seen red: the quantile of one side, Bonferroni left out.
"""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from softbench.statistics.paired import difference


def by_seed(*values: float) -> dict[int, float]:
    return dict(enumerate(values))


def test_the_interval_is_students_of_the_differences() -> None:
    own, other = (0.91, 0.95, 0.90, 0.97), (0.90, 0.91, 0.88, 0.94)
    found = difference(by_seed(*own), by_seed(*other))
    told = stats.ttest_rel(own, other).confidence_interval(0.95)
    assert (found.low, found.high) == pytest.approx((told.low, told.high))
    assert found.side == (1 if told.low > 0 else 0)


def test_what_every_seed_does_to_both_drops_out() -> None:
    seeds = np.random.default_rng(0).normal(0, 1, 5)
    own = {s: v + 0.1 + 0.001 * s for s, v in enumerate(seeds)}
    assert difference(own, dict(enumerate(seeds))).side == 1
    shuffled = dict(enumerate(np.roll(seeds, 1)))
    assert difference(own, shuffled).side == 0


def test_only_shared_seeds_count() -> None:
    found = difference({0: 1.0, 1: 1.2, 7: 99.0}, {0: 0.5, 1: 0.6, 8: -99.0})
    assert found.shared == (0, 1)
    assert found.mean == pytest.approx(0.55)


@pytest.mark.parametrize(
    ("own", "other", "why"),
    [
        ({0: 1.0}, {1: 0.0}, "no shared seed"),
        ({0: 1.0}, {0: 0.0}, "one shared seed"),
        ({0: 1.0, 1: 1.0}, {0: 0.0, 1: 0.0}, "no spread"),
        # Two samples of 359 each time, which differ by their rounding alone.
        (
            {0: 300 / 359, 1: 310 / 359, 2: 333 / 359},
            {0: 298 / 359, 1: 308 / 359, 2: 331 / 359},
            "no spread",
        ),
    ],
)
def test_too_little_gives_no_interval_and_no_side(
    own: dict[int, float], other: dict[int, float], why: str
) -> None:
    found = difference(own, other)
    assert (found.without_interval, found.low, found.side) == (why, None, 0)


def test_two_alike_do_not_differ() -> None:
    found = difference(by_seed(1.0, 1.0), by_seed(1.0, 1.0))
    assert (found.low, found.high, found.side) == (0, 0, 0)


def test_intervals_together_hold_at_their_confidence() -> None:
    """Of 5 comparisons without a difference, any is called one in about 5 % of 2,000 worlds."""
    draws = np.random.default_rng(1).normal(0, 1, (2000, 5, 5))
    zero = by_seed(*[0.0] * 5)
    false = [any(difference(by_seed(*row), zero, of=5).side for row in world) for world in draws]
    assert 0.03 < np.mean(false) < 0.07


@pytest.mark.parametrize(("confidence", "of"), [(0.0, 1), (1.0, 1), (0.95, 0)])
def test_a_confidence_out_of_bounds_is_refused(confidence: float, of: int) -> None:
    with pytest.raises(ValueError, match="between 0 and 1"):
        difference(by_seed(1.0), by_seed(1.0), confidence=confidence, of=of)
