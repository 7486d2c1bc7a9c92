"""Who is on the front, who is dominated beyond doubt, and how probable that is.

Mutants seen red: no correction for several options, better in one quantity enough, equal counts
hindering, equal counts proving, a worse count overlooked, the direction ignored, of intervals and
of centres, no interval needed, ties counted as dominated, other draws every time.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from softbench.statistics.interval import Estimate, estimate
from softbench.statistics.pareto import Better, Standing, front

LOWER: Mapping[str, Better] = {"error": "lower", "latency": "lower"}


def timed(*medians: float) -> Estimate:
    return estimate([[median] * 3 for median in medians])


def sure(centre: float) -> Estimate:
    return timed(centre * 0.99, centre, centre * 1.01)


def count(value: int) -> Estimate:
    return estimate([[value]])


def test_the_front_is_what_nothing_beats_in_everything() -> None:
    found = front(
        {
            "exact but slow": {"error": sure(0.1), "latency": sure(9.0)},
            "quick": {"error": sure(0.5), "latency": sure(1.0)},
            "neither": {"error": sure(0.9), "latency": sure(5.0)},
        },
        LOWER,
    )
    assert [name for name, one in found.items() if one.on_front] == ["exact but slow", "quick"]
    neither = found["neither"]
    assert (neither.on_front, neither.dominated_by, neither.judged) == (False, "quick", True)
    assert neither.probability == pytest.approx(1.0, abs=0.01)
    assert found["quick"].dominated_by is None
    assert found["quick"].probability == pytest.approx(0.0, abs=0.01)


def test_the_direction_decides() -> None:
    options = {
        "a": {"accuracy": sure(0.9), "latency": sure(1.0)},
        "b": {"accuracy": sure(0.5), "latency": sure(1.5)},
    }
    found = front(options, {"accuracy": "higher", "latency": "lower"})
    assert found["b"].dominated_by == "a"
    assert found["a"].on_front
    assert not found["b"].on_front
    upside_down = front(options, {"accuracy": "lower", "latency": "lower"})
    assert all(one.on_front and one.dominated_by is None for one in upside_down.values())


def test_better_in_all_but_one_is_not_enough() -> None:
    found = front(
        {
            "a": {"error": sure(0.1), "latency": sure(1.0)},
            "b": {"error": sure(0.5), "latency": timed(0.8, 1.3, 1.1)},
        },
        LOWER,
    )
    assert found["b"].dominated_by is None
    probability = found["b"].probability
    assert probability is not None
    assert 0.1 < probability < 0.9


def test_equal_counts_neither_hinder_nor_prove_it() -> None:
    quick = {"flops": count(7), "latency": sure(1.0)}
    slow = {"flops": count(7), "latency": sure(2.0)}
    better: Mapping[str, Better] = {"flops": "lower", "latency": "lower"}
    assert front({"quick": quick, "slow": slow}, better)["slow"].dominated_by == "quick"
    twins = front({"a": quick, "b": dict(quick)}, {"flops": "lower"})
    assert all(one == Standing(True, 0.0, None, True) for one in twins.values())


def test_a_count_that_is_worse_saves_from_domination() -> None:
    better: Mapping[str, Better] = {"flops": "lower", "latency": "lower"}
    options = {
        "quick": {"flops": count(8), "latency": sure(1.0)},
        "slow": {"flops": count(7), "latency": sure(2.0)},
    }
    found = front(options, better)
    assert found["slow"] == Standing(True, 0.0, None, True)
    counts = {name: {"flops": option["flops"]} for name, option in options.items()}
    assert front(counts, {"flops": "lower"})["quick"].dominated_by == "slow"


def test_without_an_interval_nothing_is_judged() -> None:
    found = front(
        {
            "single": {"error": sure(0.9), "latency": estimate([[9.0] * 3])},
            "quick": {"error": sure(0.5), "latency": sure(1.0)},
            "none": {"error": estimate([[0.0] * 3] * 3), "latency": sure(0.1)},
        },
        LOWER,
    )
    assert found["single"] == Standing(False, None, None, False)
    assert not found["none"].judged
    assert found["quick"] == Standing(False, 0.0, None, True)


def test_of_identical_options_one_is_seldom_called_dominated() -> None:
    """At most 5 %, and without the correction 8 % of two and more than half of seven."""
    draw = np.random.default_rng(8)
    for options, times, most in ((2, 300, 0.035), (7, 100, 0.06)):
        called = 0
        for _ in range(times):
            medians = np.exp(draw.normal(0, 0.05, (options, 5))).tolist()
            found = front(
                {str(i): {"latency": timed(*each)} for i, each in enumerate(medians)},
                {"latency": "lower"},
            )
            called += any(one.dominated_by for one in found.values())
        assert called / times <= most


def test_the_probability_of_twins_is_one_half() -> None:
    options = {name: {"latency": timed(0.9, 1.0, 1.1)} for name in ("a", "b")}
    found = front(options, {"latency": "lower"})
    assert found["a"].probability == pytest.approx(0.5, abs=0.03)
    assert front(options, {"latency": "lower"}) == found


def test_what_cannot_be_compared_is_refused() -> None:
    with pytest.raises(ValueError, match="got none"):
        front({"a": {}}, {})
    with pytest.raises(ValueError, match="option 'a' has no latency"):
        front({"a": {"error": sure(1.0)}}, LOWER)
    assert front({}, LOWER) == {}


def test_one_alone_is_on_the_front() -> None:
    alone = front({"a": {"latency": sure(1.0)}}, {"latency": "lower"})
    assert alone == {"a": Standing(True, 0.0, None, True)}


values = st.floats(0.1, 10.0)


@given(st.lists(st.tuples(values, values), min_size=1, max_size=5, unique=True))
def test_the_front_is_never_empty_and_who_dominates_is_better(
    centres: list[tuple[float, float]],
) -> None:
    options = {
        str(at): {"error": timed(e, e * 1.01), "latency": timed(t, t * 1.02)}
        for at, (e, t) in enumerate(centres)
    }
    found = front(options, LOWER)
    assert any(one.on_front for one in found.values())
    for name, one in found.items():
        if one.dominated_by is not None:
            winner = options[one.dominated_by]
            assert all(winner[q].centre < options[name][q].centre for q in LOWER)
            assert not one.on_front
