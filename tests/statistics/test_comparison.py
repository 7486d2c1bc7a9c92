"""The ratio of two measurements: Welch's interval by hand and by coverage, counts exactly.

Mutants seen red: equal variances assumed, a normal quantile, counts compared as floats, one process
trusted, own and other exchanged.
"""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import ttest_ind

from softbench.statistics.comparison import Ratio, ratio
from softbench.statistics.interval import Estimate, estimate


def timed(*medians: float) -> Estimate:
    return estimate([[median] * 3 for median in medians])


def test_it_is_the_interval_that_scipy_has() -> None:
    own, other = (1.0, 1.2, 0.9), (2.0, 2.1, 1.5, 1.9)
    found = ratio(timed(*own), timed(*other))
    told = ttest_ind(np.log(own), np.log(other), equal_var=False).confidence_interval()
    assert found.centre == pytest.approx(timed(*own).centre / timed(*other).centre)
    assert (found.low, found.high) == pytest.approx((math.exp(told.low), math.exp(told.high)))
    assert found.side == -1


def test_what_may_be_equal_is_on_no_side() -> None:
    assert ratio(timed(1.0, 1.2, 0.9), timed(1.1, 1.2, 1.0)).side == 0
    assert ratio(timed(2.0, 2.01, 1.99), timed(1.1, 1.2, 1.0)).side == 1


def test_it_covers_also_where_one_is_much_noisier() -> None:
    draw = np.random.default_rng(5)
    hits = 0
    for _ in range(1500):
        own, other = np.exp(draw.normal(0, 0.02, 5)), np.exp(draw.normal(0, 0.1, 5))
        hits += ratio(timed(*own.tolist()), timed(*other.tolist())).side == 0
    assert 0.935 < hits / 1500 < 0.97


@pytest.mark.parametrize(
    ("own", "other", "side", "centre"),
    [(3, 2, 1, 1.5), (2, 4, -1, 0.5), (5, 5, 0, 1.0), (2**60 + 1, 2**60, 1, 1.0), (0, 4, -1, 0.0)],
)
def test_counts_compare_exactly(own: int, other: int, side: int, centre: float) -> None:
    found = ratio(estimate([[own]]), estimate([[other]]))
    assert found == Ratio(centre, None, None, "exact", side)
    assert found.exact


def test_counts_of_nothing_have_a_side_but_no_ratio() -> None:
    assert ratio(estimate([[3]]), estimate([[0]])) == Ratio(None, None, None, "exact", 1)
    assert ratio(estimate([[0]]), estimate([[0]])).side == 0


def test_without_an_interval_it_says_why() -> None:
    sure = timed(1.0, 1.1)
    reasons = {
        "one process": estimate([[1.0] * 3]),
        "few calls": estimate([[1.0], [1.2]]),
        "not positive": estimate([[-1.0] * 3, [2.0] * 3]),
        "nothing to divide by": estimate([[0.0] * 3] * 2),
    }
    for reason, unsure in reasons.items():
        found = ratio(sure, unsure)
        assert (found.without_interval, found.low, found.side) == (reason, None, None)
    assert ratio(sure, reasons["one process"]).centre == pytest.approx(sure.centre)
    assert ratio(reasons["one process"], sure).without_interval == "one process"


def test_values_that_never_differ_have_a_ratio_without_width() -> None:
    found = ratio(timed(3.0, 3.0), timed(2.0, 2.0))
    assert (found.centre, found.low, found.high) == pytest.approx((1.5, 1.5, 1.5))
    assert found.side == 1


several = st.lists(st.floats(0.1, 10.0), min_size=2, max_size=5)


@given(own=several, other=several)
def test_turned_round_it_is_the_same_ratio(own: list[float], other: list[float]) -> None:
    there, back = ratio(timed(*own), timed(*other)), ratio(timed(*other), timed(*own))
    assert there.low is not None
    assert back.high is not None
    assert there.low * back.high == pytest.approx(1.0)
    assert there.side == -(back.side or 0)
