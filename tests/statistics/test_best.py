"""A best is named only where it can be told.

Mutants seen red: comparing centres instead of intervals, the direction ignored, an overlap
allowed, estimates without interval skipped.
"""

from __future__ import annotations

from softbench.statistics.best import clear_best
from softbench.statistics.interval import Estimate, estimate


def timed(centre: float, spread: float = 0.01) -> Estimate:
    return estimate([[centre * f] * 3 for f in (1 - spread, 1.0, 1 + spread)])


def count(value: int) -> Estimate:
    return estimate([[value]])


def test_the_direction_decides_who_is_best() -> None:
    found = [timed(2.0), timed(1.0), timed(3.0)]
    assert clear_best(found, "lower") == 1
    assert clear_best(found, "higher") == 2


def test_overlapping_intervals_have_no_best() -> None:
    assert clear_best([timed(1.0, 0.1), timed(1.1, 0.1)], "lower") is None
    assert clear_best([timed(1.0, 0.1), timed(1.1, 0.1), timed(9.0)], "lower") is None


def test_the_winner_must_beat_the_wide_ones_too() -> None:
    assert clear_best([timed(1.0), timed(2.0), timed(3.0, 0.5)], "lower") is None


def test_counts_are_exact_and_a_tie_has_no_best() -> None:
    assert clear_best([count(3), count(2)], "lower") == 1
    assert clear_best([count(2), count(2), count(3)], "lower") is None


def test_without_an_interval_nothing_can_be_told() -> None:
    assert clear_best([estimate([[1.0]]), timed(5.0)], "lower") is None


def test_one_alone_is_not_the_best_of_anything() -> None:
    assert clear_best([count(3)], "lower") is None
    assert clear_best([], "lower") is None
