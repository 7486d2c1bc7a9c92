"""The slope from length to length.

Mutants seen red: a normal quantile, the step in N instead of log N, a single process taken for
certain.
"""

from __future__ import annotations

import math

import numpy as np
import pytest

from softbench.statistics.local_exponents import local_exponents

T_975_WITH_4_DEGREES = 2.77645  # from a printed table


def test_counts_have_slopes_without_width() -> None:
    found = local_exponents({100: [10], 200: [20], 400: [80]})
    assert [(step.after, step.until) for step in found] == [(100, 200), (200, 400)]
    assert [step.exponent.value for step in found] == pytest.approx([1.0, 2.0])
    assert all(s.exponent.low == s.exponent.value == s.exponent.high for s in found)


def test_a_slope_by_hand() -> None:
    logs = (-0.1, 0.0, 0.1)
    [found] = local_exponents(
        {100: [math.exp(x) for x in logs], 200: [2 * math.exp(x) for x in logs]}
    )
    half = T_975_WITH_4_DEGREES * math.sqrt(2 * 0.01 / 3) / math.log(2)
    assert found.exponent.value == pytest.approx(1.0)
    assert found.exponent.low == pytest.approx(1 - half, rel=1e-5)
    assert found.exponent.high == pytest.approx(1 + half, rel=1e-5)


def test_a_single_process_gives_a_slope_without_interval() -> None:
    [found] = local_exponents({100: [1.0], 200: [2.0, 2.1]})
    assert (found.exponent.low, found.exponent.high) == (None, None)
    assert found.exponent.value == pytest.approx(1.0, abs=0.05)


def test_slopes_cover_as_often_as_they_say() -> None:
    draw = np.random.default_rng(4)
    hits = 0
    for _ in range(2000):
        low, high = np.exp(draw.normal(0, 0.05, (2, 3)))
        [found] = local_exponents({100: low.tolist(), 200: (2 * high).tolist()})
        hits += (found.exponent.low or 9) <= 1.0 <= (found.exponent.high or 0)
    assert 0.945 < hits / 2000 < 0.98


def test_one_length_has_no_step_and_zero_no_logarithm() -> None:
    assert local_exponents({100: [1.0, 2.0]}) == []
    with pytest.raises(ValueError, match="not positive"):
        local_exponents({100: [1.0], 200: [0.0]})
