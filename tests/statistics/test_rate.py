"""Intervals of rates: against a closed form and scipy's own.

Mutants seen red: the tails swapped; one tail for both; 0 and all not closed.
"""

from __future__ import annotations

import pytest
from scipy.stats import binomtest

from softbench.statistics.rate import clopper_pearson


def test_none_of_sixty_is_the_closed_form() -> None:
    low, high = clopper_pearson(0, 60)
    assert low == 0.0
    assert high == pytest.approx(1 - 0.025 ** (1 / 60))


@pytest.mark.parametrize(("found", "trials"), [(0, 5), (1, 60), (6, 60), (30, 60), (60, 60)])
@pytest.mark.parametrize("level", [0.95, 0.8])
def test_it_is_what_scipy_says(found: int, trials: int, level: float) -> None:
    interval = binomtest(found, trials).proportion_ci(level, method="exact")
    assert clopper_pearson(found, trials, level) == pytest.approx((interval.low, interval.high))


@pytest.mark.parametrize(("found", "trials"), [(1, 0), (0, 0), (-1, 5), (6, 5)])
def test_what_is_no_rate_is_refused(found: int, trials: int) -> None:
    with pytest.raises(ValueError, match="is no rate"):
        clopper_pearson(found, trials)
