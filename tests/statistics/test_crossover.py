"""A crossover is where a win begins that lasts, known only as well as it was measured.

Mutants seen red: the first win taken though it does not last, overlapping intervals counted as a
win, equal counts as a win, the direction ignored, a tie skipped instead of widening the interval,
a single process trusted, calls of two processes trusted.
"""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from softbench.statistics.crossover import Crossover, compare, crossover
from softbench.statistics.interval import Estimate, estimate

LENGTHS = (196, 400, 784, 1600, 3136)


def timed(centre: float, spread: float = 0.01) -> Estimate:
    return estimate([[centre * f] * 3 for f in (1 - spread, 1.0, 1 + spread)])


def count(value: int) -> Estimate:
    return estimate([[value]])


def slow(*calls: float) -> Estimate:
    return estimate([[call] for call in calls])


def told(verdicts: str) -> Crossover:
    """A crossover from one sign a length: + better, - not better, ? cannot be told."""
    own = {"+": timed(1.0), "-": timed(4.0), "?": timed(2.0, 0.1)}
    rival = timed(2.0)
    pairs = {n: (own[sign], rival) for n, sign in zip(LENGTHS, verdicts, strict=False)}
    return crossover(pairs, "lower")


@pytest.mark.parametrize(
    ("verdicts", "kind", "after", "until"),
    [
        ("--+++", "between", 400, 784),
        ("+++++", "below", None, 196),
        ("-----", "not_within", 3136, None),
        ("++++-", "not_within", 3136, None),
        ("+-+++", "between", 400, 784),
        ("-??++", "undetermined", 196, 1600),
        ("??+++", "undetermined", None, 784),
        ("--+??", "undetermined", 400, None),
        ("-+?++", "undetermined", 196, 1600),
        ("?????", "undetermined", None, None),
        ("+", "below", None, 196),
        ("-", "not_within", 196, None),
    ],
)
def test_the_win_must_last_and_ties_widen_the_interval(
    verdicts: str, kind: str, after: int | None, until: int | None
) -> None:
    found = told(verdicts)
    assert (found.kind, found.after, found.until) == (kind, after, until)
    assert found.wins == tuple(n for n, sign in zip(LENGTHS, verdicts, strict=False) if sign == "+")


def test_the_order_in_which_lengths_are_given_does_not_matter() -> None:
    pairs = {n: (timed(1.0 if n > 400 else 4.0), timed(2.0)) for n in reversed(LENGTHS)}
    assert crossover(pairs, "lower") == Crossover("between", 400, 784, (784, 1600, 3136))


def test_the_direction_decides_who_wins() -> None:
    assert compare(timed(1.0), timed(2.0), "lower") == "better"
    assert compare(timed(1.0), timed(2.0), "higher") == "not better"
    assert compare(timed(2.0), timed(1.0), "higher") == "better"


def test_counts_are_exact_and_equal_ones_are_no_win() -> None:
    assert compare(count(1), count(2), "lower") == "better"
    assert compare(count(2), count(2), "lower") == "not better"
    assert compare(count(2), count(1), "lower") == "not better"


def test_one_process_tells_nothing_however_far_apart() -> None:
    assert compare(estimate([[1.0] * 9]), timed(50.0), "lower") == "undetermined"


def test_too_few_calls_count_only_where_all_of_three_processes_agree() -> None:
    assert compare(slow(1.0, 1.1, 1.2), slow(2.0, 2.1, 1.3), "lower") == "better"
    assert compare(slow(1.0, 1.1, 1.4), slow(2.0, 2.1, 1.3), "lower") == "undetermined"
    assert compare(slow(1.0, 1.1), slow(2.0, 2.1, 2.2), "lower") == "undetermined"
    assert compare(slow(2.0, 2.1, 2.2), timed(1.0), "lower") == "not better"


def test_nothing_in_common_is_refused() -> None:
    with pytest.raises(ValueError, match="measured; got none"):
        crossover({}, "lower")


noisy = st.lists(st.lists(st.floats(0.9, 1.1), min_size=1, max_size=4), min_size=1, max_size=4).map(
    estimate
)


@given(st.lists(st.one_of(noisy, st.integers(1, 9).map(count)), min_size=1, max_size=5))
def test_two_identical_methods_never_cross(same: Sequence[Estimate]) -> None:
    for better in ("lower", "higher"):
        pairs = {n: (one, one) for n, one in zip(LENGTHS, same, strict=False)}
        found = crossover(pairs, better)
        assert found.kind in ("not_within", "undetermined")
        assert found.until is None
        assert found.wins == ()
