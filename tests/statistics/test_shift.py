"""Joint bounds of shifts: against a closed form, their coverage, and what was said to be found.

Mutants seen red: `at` not taken off before the limits; larger and not larger swapped in the start
of the halving; the limit of another step; detectable shifts not relative to `at`; POWER of 0.5;
scatter not centred.
"""

from __future__ import annotations

import numpy as np
import pytest

from softbench.statistics import shift, sign_flip
from softbench.statistics.sign_flip import Floats

SCORES = [sign_flip.differences, sign_flip.huber]
SIGNS_FK = sign_flip.flips(10)


def drawn(seed: int, cells: int = 4) -> Floats:
    return np.random.default_rng(seed).normal(0, 0.02, size=(10, cells))


def test_the_bound_of_differences_is_the_closed_form() -> None:
    """(Σ(y − b))² = c²·Σ(y − b)² solved for b, c being the limit at the margin."""
    values_KC = drawn(1) + np.array([0.0, 0.05, 0.1, -0.03])
    found_C = shift.lower_bounds(values_KC, SIGNS_FK, 0.05, 0.02, sign_flip.differences)
    limit_C = sign_flip.limits(values_KC - 0.02, SIGNS_FK, 0.05)
    mean_C = values_KC.mean(axis=0)
    squares_C = ((values_KC - mean_C) ** 2).sum(axis=0)
    expected_C = mean_C - limit_C * np.sqrt(squares_C / (10 * (10 - limit_C**2)))
    assert found_C == pytest.approx(expected_C, abs=1e-9)


@pytest.mark.parametrize("score", SCORES, ids=lambda score: score.__name__)
def test_a_bound_lies_above_the_margin_exactly_where_the_test_says_so(
    score: sign_flip.Score,
) -> None:
    called = 0
    for seed in range(40):
        values_KC = drawn(seed) + np.random.default_rng(seed).uniform(-0.02, 0.08, size=4)
        low_C = shift.lower_bounds(values_KC, SIGNS_FK, 0.05, 0.02, score)
        p_C = sign_flip.p_values(values_KC - 0.02, SIGNS_FK, score)
        assert (low_C > 0.02).tolist() == (p_C <= 0.05).tolist()
        called += int((p_C <= 0.05).sum())
    assert called > 20


@pytest.mark.parametrize("score", SCORES, ids=lambda score: score.__name__)
def test_all_bounds_hold_at_once_as_often_as_promised(score: sign_flip.Score) -> None:
    true_C = np.array([0.0, 0.02, 0.05, 0.1])
    broken = 0
    for seed in range(300):
        low_C = shift.lower_bounds(drawn(seed) + true_C, SIGNS_FK, 0.05, 0.02, score)
        broken += bool((low_C > true_C).any())
    assert broken <= 300 * 0.05 + 3 * (300 * 0.05 * 0.95) ** 0.5


def test_the_centre_of_differences_is_their_mean_and_hubers_minds_no_outlier() -> None:
    values_KC = drawn(2)
    expected_C = values_KC.mean(axis=0)
    assert shift.centres(values_KC, sign_flip.differences) == pytest.approx(expected_C, abs=1e-9)
    values_KC[0, 0] += 1.0
    assert abs(shift.centres(values_KC, sign_flip.huber)[0]) < 0.03


@pytest.mark.parametrize("score", SCORES, ids=lambda score: score.__name__)
def test_a_detectable_shift_is_found_four_times_in_five(score: sign_flip.Score) -> None:
    """In fresh noise of the same scatter, and one half as far above the margin is not."""
    foretold, found, halfway = [], 0, 0
    for seed in range(60):
        foretold.append(float(shift.detectable(drawn(seed), SIGNS_FK, 0.05, 0.02, score)[1]))
    expected = float(np.median(foretold))
    for seed in range(1000, 1200):
        fresh_KC = drawn(seed)
        for above, counts in ((expected, True), (0.02 + (expected - 0.02) / 2, False)):
            values_KC = fresh_KC.copy()
            values_KC[:, 1] += above
            called = sign_flip.p_values(values_KC - 0.02, SIGNS_FK, score)[1] <= 0.05
            found, halfway = found + (called and counts), halfway + (called and not counts)
    assert 0.7 <= found / 200 <= 0.9
    assert halfway / 200 <= 0.4


def test_what_is_detectable_does_not_depend_on_what_was_found() -> None:
    scores = (sign_flip.differences, sign_flip.huber)
    for score in scores:
        plain_C = shift.detectable(drawn(4), SIGNS_FK, 0.05, 0.02, score)
        slower_C = shift.detectable(drawn(4) + 0.3, SIGNS_FK, 0.05, 0.02, score)
        assert slower_C == pytest.approx(plain_C)


def test_few_pairs_can_detect_nothing_and_say_the_farthest() -> None:
    values_KC = drawn(1)[:3]
    signs_FK = sign_flip.flips(3)
    found_C = shift.detectable(values_KC, signs_FK, 0.05, 0.02, sign_flip.differences)
    assert found_C == pytest.approx([0.02 + shift.FAR] * 4)
    low_C = shift.lower_bounds(values_KC, signs_FK, 0.05, 0.02, sign_flip.differences)
    assert low_C == pytest.approx([0.02 - shift.FAR] * 4)
