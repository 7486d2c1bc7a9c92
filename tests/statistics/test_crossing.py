"""Where two curves cross: known crossings found, censored at the measured lengths, covered.

Mutants seen red: straight lines between lengths, cubics between lengths that lie unevenly, the
direction ignored, an end beyond the lengths closed, the first crossing for the last, a loss at the
end overlooked, a change of lead not said, a normal quantile, half of the variance, single processes
trusted, two processes of few calls trusted, equal counts a win.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from softbench.statistics.crossing import Crossing, crossing
from softbench.statistics.interval import Estimate, estimate

LENGTHS = (196, 400, 784, 1600, 3136, 6400, 12544, 25600, 50176)
Pairs = dict[int, tuple[Estimate, Estimate]]


def timed(medians: Sequence[float]) -> Estimate:
    return estimate([[median] * 3 for median in medians])


def costs(at: float, power: float = 2.0) -> tuple[list[float], list[float]]:
    """A linear cost and a steeper one that equals it at `at`."""
    return [1 + n / 196 for n in LENGTHS], [(1 + at / 196) * (n / at) ** power for n in LENGTHS]


def pairs(
    own: Sequence[float], rival: Sequence[float], noise: float = 0.01, count: int = 3, seed: int = 0
) -> Pairs:
    draw = np.random.default_rng(seed)

    def side(cost: float) -> Estimate:
        return timed((cost * np.exp(draw.normal(0, noise, count))).tolist())

    return {n: (side(a), side(b)) for n, a, b in zip(LENGTHS, own, rival, strict=False)}


def test_a_known_crossing_is_found_between_the_lengths() -> None:
    found = crossing(pairs(*costs(2000)), "lower")
    assert found.low is not None
    assert found.high is not None
    assert found.at == pytest.approx(2000, rel=0.02)
    assert found.low < 2000 < found.high
    assert found.high / found.low < 1.1
    assert not found.several
    assert found.lengths == LENGTHS


def test_more_noise_is_less_sure() -> None:
    def width(noise: float, count: int) -> float:
        found = crossing(pairs(*costs(2000), noise, count), "lower")
        return (found.high or math.inf) / (found.low or 1)

    assert width(0.01, 5) < width(0.03, 5) < width(0.1, 5)
    assert width(0.05, 20) < width(0.05, 3)


def test_the_direction_decides_who_is_better() -> None:
    own, rival = costs(2000)
    there = crossing(pairs(own, rival), "lower")
    back = crossing({n: (b, a) for n, (a, b) in pairs(own, rival).items()}, "higher")
    assert (back.at, back.low, back.high) == pytest.approx((there.at, there.low, there.high))
    turned = crossing(pairs(rival, own), "lower")
    assert (turned.at, turned.low, turned.high) == (None, 50176.0, None)


def test_better_everywhere_is_below_the_smallest() -> None:
    own, rival = costs(20)
    assert crossing(pairs(own, rival), "lower") == Crossing(None, None, 196.0, False, LENGTHS)


def test_worse_at_the_largest_is_not_within() -> None:
    own, rival = costs(900_000)
    assert crossing(pairs(own, rival), "lower") == Crossing(None, 50176.0, None, False, LENGTHS)


def test_an_end_that_may_lie_beyond_the_lengths_is_open() -> None:
    early = crossing(pairs(*costs(205), noise=0.1), "lower")
    assert early.low is None
    assert early.high is not None
    late = crossing(pairs(*costs(49000), noise=0.1), "lower")
    assert late.low is not None
    assert late.high is None


def test_a_lead_that_changes_twice_is_said() -> None:
    own = [1.0, 3.0, 1.0, 1.0, 1.0]
    found = crossing(pairs(own, [2.0] * 5), "lower")
    assert found.several
    assert found.at is not None
    assert 400 < found.at < 784
    lost = crossing(pairs([3.0, 1.0, 1.0, 1.0, 3.0], [2.0] * 5), "lower")
    assert lost.several
    assert (lost.at, lost.low) == (None, 3136.0)


def test_the_interpolation_bends_with_the_curves() -> None:
    """Without noise the crossing is within 0.5 %; straight lines would be 1 % off."""
    for at in np.geomspace(700, 14000, 40):
        found = crossing(pairs(*costs(float(at)), noise=1e-9), "lower")
        assert found.at == pytest.approx(at, rel=0.005)


def test_a_noisy_length_beside_a_long_step_opens_nothing() -> None:
    """The weights of the cubic through 784, 900, 1,024 and 3,136 tokens would add up to 4."""
    lengths = (121, 144, 169, 196, 225, 256, 289, 324, 400, 484, 576, 676, 784, 900, 1024, 3136)
    given = {}
    for n in lengths:
        noise = 0.3 if n == 1024 else 0.01
        spread = [math.exp(noise * one) for one in (-1, 0, 1)]
        own, rival = 1 + n / 196, 2 * (n / 196) ** 2
        given[n] = timed([own * one for one in spread]), timed([rival * one for one in spread])
    found = crossing(given, "lower")
    assert found.low is not None
    assert found.high is not None
    assert 185 < found.low < 196 < found.high < 210


def test_intervals_cover_as_often_as_they_say() -> None:
    draw = np.random.default_rng(1)
    hits = 0
    for seed in range(400):
        at = float(np.exp(draw.uniform(np.log(700), np.log(14000))))
        found = crossing(pairs(*costs(at), 0.05, 3, seed), "lower")
        hits += (found.low or 0) <= at <= (found.high or math.inf)
    assert 0.93 < hits / 400 < 0.985


def test_counts_cross_within_a_step() -> None:
    own, rival = [100, 100, 100, 100], [50, 90, 110, 300]
    counted = {
        n: (estimate([[a]]), estimate([[b]])) for n, a, b in zip(LENGTHS, own, rival, strict=False)
    }
    found = crossing(counted, "lower")
    assert (found.low, found.high) == (400.0, 784.0)
    assert found.at is not None
    assert 400 < found.at < 784
    same = {n: (estimate([[7]]), estimate([[7]])) for n in LENGTHS}
    assert crossing(same, "lower") == Crossing(None, 50176.0, None, False, LENGTHS)
    ahead = {n: (estimate([[6]]), estimate([[7]])) for n in LENGTHS}
    assert crossing(ahead, "lower") == Crossing(None, None, 196.0, False, LENGTHS)


def test_lengths_that_tell_nothing_are_left_out() -> None:
    whole = pairs(*costs(2000))
    single, few = estimate([[1.0] * 9]), estimate([[1.0], [1.1]])
    found = crossing(whole | {784: (single, single), 1600: (few, few)}, "lower")
    assert found.lengths == tuple(n for n in LENGTHS if n not in (784, 1600))
    three = estimate([[40.0], [41.0], [39.0]])
    assert 6400 in crossing(whole | {6400: (three, three)}, "lower").lengths
    assert crossing({784: (single, single)}, "lower") == Crossing(None, None, None, False, ())
    assert crossing({}, "lower").lengths == ()


def test_one_length_tells_only_the_side() -> None:
    one, two = timed([1.0, 1.01, 0.99]), timed([2.0, 2.01, 1.99])
    assert crossing({196: (one, two)}, "lower") == Crossing(None, None, 196.0, False, (196,))
    assert crossing({196: (two, one)}, "lower") == Crossing(None, 196.0, None, False, (196,))
    assert crossing({196: (one, one)}, "lower") == Crossing(None, None, None, False, (196,))


sides = st.lists(
    st.lists(st.floats(0.5, 2.0), min_size=2, max_size=4).map(timed), min_size=1, max_size=9
)


@given(own=sides, rival=sides)
def test_what_is_told_stands_in_order_within_the_lengths(
    own: list[Estimate], rival: list[Estimate]
) -> None:
    told = dict(zip(LENGTHS, zip(own, rival, strict=False), strict=False))
    found = crossing(told, "lower")
    places = [place for place in (found.low, found.at, found.high) if place is not None]
    assert places == sorted(places)
    assert all(min(told) * 0.999 <= place <= max(told) * 1.001 for place in places)
