"""Scaling laws: known ones recovered, an independent optimiser agrees, intervals cover, refusals.

Mutants seen red: a normal for the t quantile, one pooled variance for all lengths, lack of fit
ignored, no lack of fit where nothing scatters, least squares on values instead of logarithms, a
negative floor allowed, the lattice alone without steps from it, one normal equation swamped by the
other, log t_1 held fixed in the region, exponents cut at the lattice, a coarse lattice of rows,
counts given an interval, counts never widened, rounding taken for scatter, single processes taken
for certain, a length of a single process without scatter, what is lent counted more than once,
extrapolation allowed, three lengths enough, a ribbon a third as wide, exponents looked for near the
best alone, no length with a say where nothing grows, the best exponent left out of its interval,
lengths of a process taken as independent, a normal quantile for what they share, the place taken
for the process, a median of no process.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from scipy.optimize import least_squares

from softbench.statistics.power_law import Parameter, PowerLaw, fit, ribbon

LENGTHS = (196, 400, 784, 1600, 3136, 6400, 12544, 25600, 50176)
Medians = Mapping[int, Sequence[float]]


def law(length: float, exponent: float, floor: float, scale: float) -> float:
    return floor + scale * math.pow(length, exponent)


def noisy(
    exponent: float,
    floor: float = 1.0,
    noise: float | Sequence[float] = 0.03,
    count: int = 3,
    seed: int = 0,
    lengths: Sequence[int] = LENGTHS,
    common: float = 0.0,
) -> dict[int, list[float]]:
    """What grows costs 1 at the shortest length; common: the sd of what moves a whole process."""
    draw = np.random.default_rng(seed)
    spread = np.broadcast_to(noise, len(lengths))
    scale = float(lengths[0]) ** -exponent
    moved = np.exp(common * np.random.default_rng(seed + 10**6).standard_normal(count))
    return {
        n: (law(n, exponent, floor, scale) * moved * np.exp(draw.normal(0, s, count))).tolist()
        for n, s in zip(lengths, spread, strict=True)
    }


def level(medians: Medians) -> dict[int, list[float]]:
    """The same scatter, but every process as high as the others over all lengths."""
    logs = np.log([medians[n] for n in medians])
    apart = logs - logs.mean(axis=0) + logs.mean()
    return dict(zip(medians, np.exp(apart).tolist(), strict=True))


def holds(parameter: Parameter, truth: float) -> bool:
    assert parameter.low is not None
    assert parameter.high is not None
    return parameter.low <= truth <= parameter.high


def width(parameter: Parameter) -> float:
    assert parameter.low is not None
    assert parameter.high is not None
    return parameter.high - parameter.low


@pytest.mark.parametrize("exponent", [0.5, 1.0, 1.5, 2.0, 3.0])
@pytest.mark.parametrize("floor", [0.0, 0.01, 1.0, 300.0])
def test_a_law_without_noise_is_recovered(exponent: float, floor: float) -> None:
    found = fit(noisy(exponent, floor, noise=0.0))
    assert found.exponent.value == pytest.approx(exponent, rel=1e-6)
    assert found.floor.value == pytest.approx(floor, rel=1e-6, abs=1e-6)
    assert found.scale.value == pytest.approx(196.0**-exponent, rel=1e-5)
    assert found.holds
    assert found.misfit < 1e-9


def test_counts_have_intervals_of_no_width() -> None:
    found = fit({n: [64 * n + 5000] for n in LENGTHS})
    assert found.exact
    assert found.holds
    assert found.exponent.low == found.exponent.high == found.exponent.value
    assert found.exponent.value == pytest.approx(1.0, abs=1e-9)
    assert found.floor.value == pytest.approx(5000, rel=1e-6)
    assert found.without_interval is None


def test_counts_that_no_law_follows_get_the_width_of_their_misfit() -> None:
    found = fit({n: [max(5000, 3 * n)] for n in LENGTHS})
    assert found.exact
    assert found.holds is False
    assert found.misfit > 0.1
    assert width(found.exponent) > 0.1


def test_no_curve_of_a_fine_lattice_fits_better() -> None:
    """Whatever the lengths, the noise and the floor, which may dwarf all that grows; within 1 %."""
    draw = np.random.default_rng(0)
    exponents, depths = np.meshgrid(np.linspace(0, 4, 101), np.linspace(0, 25, 201))
    for seed in range(40):
        lengths = np.sort(draw.choice(2 ** np.arange(5, 18), draw.integers(4, 11), replace=False))
        floor, noise = np.exp(draw.uniform(-6, 6)), np.exp(draw.uniform(-7, -1.5))
        medians = noisy(draw.uniform(0.3, 3), floor, noise, 2, seed, lengths.tolist())
        levels = np.array([np.log(medians[n]).mean() for n in lengths.tolist()])
        steps = np.log(lengths / lengths[0])
        grown = np.expm1(exponents[..., None] * steps) * np.exp(-depths[..., None])
        left = levels - np.log1p(grown)
        least = ((left - left.mean(axis=-1, keepdims=True)) ** 2).sum(axis=-1).min()
        found = fit(medians)
        ours = [math.log(found.at(n)) for n in lengths.tolist()]
        assert ((np.array(ours) - levels) ** 2).sum() <= least * 1.01


def test_the_best_fit_is_the_one_that_a_general_optimiser_finds() -> None:
    for seed in range(6):
        exponent, floor = [0.7, 1.0, 2.0][seed % 3], [0.0, 0.5, 40.0][seed % 4 % 3]
        medians = noisy(exponent, floor, 0.1, seed=seed)
        levels = np.array([np.log(medians[n]).mean() for n in LENGTHS])
        lengths = np.array(LENGTHS, dtype=float)

        def residuals(p: np.ndarray, levels=levels, lengths=lengths):  # type: ignore[no-untyped-def]
            return levels - np.log(p[0] ** 2 + np.exp(p[1]) * (lengths / 196) ** p[2])

        starts = [(f, 0.0, a) for f in (0.0, 0.3, 1.0, 5.0) for a in (0.5, 1.0, 2.0)]
        best = min(2 * least_squares(residuals, start).cost for start in starts)
        found = fit(medians)
        ours = [
            (math.log(found.at(n)) - level) ** 2 for n, level in zip(LENGTHS, levels, strict=True)
        ]
        assert sum(ours) <= best * (1 + 1e-4)


def excess(medians: Medians, fixed: dict[int, float], near: Sequence[float]) -> float:
    """How much worse the best law with some of (exponent, log floor, log scale) fixed fits.

    By a general optimiser; the floor is taken to be positive.
    """
    lengths = np.array(LENGTHS, dtype=float)
    levels = np.array([np.log(medians[n]).mean() for n in LENGTHS])

    def least(fixed: dict[int, float]) -> float:
        free = [at for at in range(3) if at not in fixed]

        def residuals(p: np.ndarray) -> np.ndarray:
            e, f, c = (fixed[at] if at in fixed else p[free.index(at)] for at in range(3))
            found: np.ndarray = levels - np.log(np.exp(f) + np.exp(c) * lengths**e)
            return found

        start = np.array(near)[free]
        return float(2 * least_squares(residuals, start, xtol=1e-12, ftol=1e-12).cost)

    return least(fixed) - least({})


@pytest.mark.parametrize(
    ("exponent", "floor", "noise", "count"),
    [(1.0, 1.0, 0.05, 3), (1.0, 0.5, 0.05, 3), (2.0, 9.0, 0.02, 2), (0.3, 9.0, 0.008, 2)],
)
def test_the_ends_of_an_interval_fit_equally_badly(
    exponent: float, floor: float, noise: float, count: int
) -> None:
    """Which makes it a profile-likelihood interval, as long as processes have nothing in common."""
    medians = level(noisy(exponent, floor, noise, count))
    found = fit(medians)
    start = [exponent, math.log(floor), -exponent * math.log(196)]
    for at, part in enumerate((found.exponent, found.floor, found.scale)):
        ends = [part.low or 0.0, part.high or 0.0]
        low, high = (
            excess(medians, {at: end if at == 0 else math.log(end)}, start) for end in ends
        )
        assert low == pytest.approx(high, rel=0.06)


def test_intervals_cover_as_often_as_they_say() -> None:
    """About 96 % of 200 with t quantiles, about 91 % with normal ones."""
    hits = np.zeros(3)
    for seed in range(200):
        found = fit(noisy(1.0, 1.0, 0.05, seed=seed))
        truths = (1.0, 1.0, 1 / 196)
        parts = (found.exponent, found.floor, found.scale)
        hits += [holds(part, truth) for part, truth in zip(parts, truths, strict=True)]
    assert (hits / 200 > 0.935).all()
    assert (hits / 200 < 0.985).all()


def test_intervals_cover_where_the_ends_are_noisier_than_the_rest() -> None:
    noise = [0.1, *[0.02] * 7, 0.1]
    found = [fit(noisy(1.0, 1.0, noise, seed=seed)) for seed in range(100)]
    assert np.mean([holds(one.exponent, 1.0) for one in found]) > 0.92
    assert np.mean([holds(one.floor, 1.0) for one in found]) > 0.92


def test_a_floor_is_never_negative_and_reaches_zero_where_there_is_none() -> None:
    found = [fit(noisy(1.0, 0.0, 0.05, seed=seed)) for seed in range(40)]
    assert all(one.floor.low is not None and one.floor.low >= 0 for one in found)
    assert np.mean([one.floor.low == 0 for one in found]) > 0.9
    assert np.mean([holds(one.exponent, 1.0) for one in found]) > 0.9


@pytest.mark.parametrize("noise", [1e-6, 0.02, 0.3])
def test_a_cost_that_does_not_grow_says_nothing_of_the_exponent(noise: float) -> None:
    for seed in range(5):
        draw = np.random.default_rng(seed)
        found = fit({n: np.exp(draw.normal(0, noise, 3)).tolist() for n in LENGTHS})
        assert found.exponent.low == 0.0
        assert width(found.exponent) > 0.5


def test_steps_are_no_power_law_and_widen_the_interval() -> None:
    smooth = noisy(1.0, 1.0, 0.01)
    stepped = {n: [m * (1.6 if n > 6400 else 1.0) for m in ms] for n, ms in smooth.items()}
    found = fit(stepped)
    assert fit(smooth).holds
    assert found.holds is False
    assert width(found.exponent) > 5 * width(fit(smooth).exponent)


def test_processes_that_agree_beside_a_step_are_not_taken_for_certainty() -> None:
    stepped = {n: [law(n, 1.0, 1.0, 0.01) * (1.6 if n > 6400 else 1.0)] * 3 for n in LENGTHS}
    found = fit(stepped)
    assert found.holds is False
    assert width(found.exponent) > 0.1


def test_single_processes_give_a_curve_without_intervals() -> None:
    found = fit({n: ms[:1] for n, ms in noisy(1.0).items()})
    assert found.without_interval == "one process"
    assert found.holds is None
    assert (found.exponent.low, found.floor.high, found.scale.low) == (None, None, None)
    assert found.exponent.value == pytest.approx(1.0, abs=0.1)
    assert ribbon({n: ms[:1] for n, ms in noisy(1.0).items()}, [784])[0].low is None


def test_a_length_of_a_single_process_has_the_scatter_of_the_others() -> None:
    medians = noisy(1.0, 1.0, 0.05)
    few = medians | {50176: medians[50176][:1]}
    assert width(fit(few).exponent) > width(fit(medians).exponent)
    assert fit(few).num_processes == 1
    assert fit(few).without_interval is None


def test_one_length_of_several_processes_lends_its_scatter_to_the_others() -> None:
    medians = {n: [law(n, 1.0, 1.0, 1 / 196)] for n in LENGTHS}
    sides = ((0.95, 1.05), (1.05, 0.95))
    spread = {
        n: [medians[n][0] * factor for factor in sides[at % 2]] for at, n in enumerate(LENGTHS)
    }
    lent = medians | {3136: spread[3136]}
    assert width(fit(lent).exponent) > 3 * width(fit(spread).exponent)


def test_a_higher_confidence_is_wider() -> None:
    medians = noisy(1.0)
    widths = [width(fit(medians, confidence=c).exponent) for c in (0.5, 0.95, 0.99)]
    assert widths[0] < widths[1] < widths[2]


def test_the_ribbon_holds_the_curve_and_is_narrowest_inside() -> None:
    medians = noisy(1.0, 1.0, 0.05)
    at = [196.0, 500.0, 3136.0, 50176.0]
    found, curve = ribbon(medians, at), fit(medians)
    for length, point in zip(at, found, strict=True):
        assert point.value == pytest.approx(curve.at(length))
        assert holds(point, curve.at(length))
    relative = [width(point) / point.value for point in found]
    assert min(relative) not in (relative[0], relative[-1])


def test_the_ribbon_covers_as_often_as_it_says() -> None:
    hits = np.zeros(2)
    for seed in range(100):
        found = ribbon(noisy(2.0, 1.0, 0.05, seed=seed), [784, 25600])
        hits += [holds(p, law(n, 2, 1, 196**-2)) for p, n in zip(found, (784, 25600), strict=True)]
    assert (hits / 100 > 0.91).all()


@pytest.mark.parametrize("length", [195, 50177])
def test_nothing_is_extrapolated(length: int) -> None:
    with pytest.raises(ValueError, match="nothing is extrapolated"):
        fit(noisy(1.0)).at(length)
    with pytest.raises(ValueError, match="nothing is extrapolated"):
        ribbon(noisy(1.0), [784, length])


@pytest.mark.parametrize(
    ("medians", "match"),
    [
        ({n: [1.0, 2.0] for n in LENGTHS[:3]}, "at least 4 lengths"),
        ({}, "at least 4 lengths"),
        ({n: [1.0, 0.0] for n in LENGTHS}, "positive"),
        ({n: [1.0, math.nan] for n in LENGTHS}, "positive"),
        ({n: [math.inf] for n in LENGTHS}, "positive"),
        ({n: [] for n in LENGTHS}, "at least one"),
        ({n: [1.0] for n in range(4)}, "positive length"),
    ],
)
def test_what_no_law_can_be_fitted_to_is_refused(medians: Medians, match: str) -> None:
    with pytest.raises(ValueError, match=match):
        fit(medians)


def same(one: PowerLaw, other: PowerLaw, unit: float) -> bool:
    """The same but for the unit of what was measured."""
    pairs = ((one.floor, other.floor), (one.scale, other.scale))
    return (one.exponent.value, one.exponent.low, one.exponent.high) == pytest.approx(
        (other.exponent.value, other.exponent.low, other.exponent.high), rel=1e-4, abs=1e-4
    ) and all(
        (a.low, a.high) == pytest.approx(((b.low or 0) * unit, (b.high or 0) * unit), rel=1e-3)
        for a, b in pairs
    )


@settings(max_examples=12, deadline=None)
@given(
    seed=st.integers(0, 999),
    exponent=st.floats(0.5, 2.5),
    floor=st.floats(0.1, 10.0),
    unit=st.floats(1e-6, 1e6),
)
def test_another_unit_changes_no_exponent(
    seed: int, exponent: float, floor: float, unit: float
) -> None:
    plain = noisy(exponent, floor, seed=seed)
    scaled = {n: [m * unit for m in ms] for n, ms in plain.items()}
    assert same(fit(scaled), fit(plain), unit)


@settings(max_examples=12, deadline=None)
@example(seed=0, exponent=0.30078125, floor=9.0, noise=0.0078125, count=2)
@given(
    seed=st.integers(0, 999),
    exponent=st.floats(0.3, 3.0),
    floor=st.floats(0.0, 100.0),
    noise=st.floats(1e-4, 0.3),
    count=st.integers(2, 5),
)
def test_an_interval_holds_its_own_centre(
    seed: int, exponent: float, floor: float, noise: float, count: int
) -> None:
    found = fit(noisy(exponent, floor, noise, count, seed))
    for part in (found.exponent, found.floor, found.scale):
        assert part.low is not None
        assert part.high is not None
        slack = 1e-6 * abs(part.value)
        assert part.low - slack <= part.value <= part.high + slack


@settings(max_examples=30, deadline=None)
@given(
    st.dictionaries(
        st.integers(1, 10**6),
        st.lists(st.floats(1e-9, 1e9), min_size=1, max_size=3),
        min_size=4,
        max_size=8,
    )
)
def test_whatever_is_measured_has_a_finite_curve_within_its_ribbon(medians: Medians) -> None:
    found = ribbon(medians, [min(medians), max(medians)])
    law = fit(medians)
    for part in (law.exponent, law.floor, law.scale, *found):
        assert math.isfinite(part.value)
        if part.low is not None and part.high is not None:
            slack = 1e-6 * part.value
            assert part.low - slack <= part.value <= part.high + slack


def test_the_order_of_lengths_and_processes_does_not_matter() -> None:
    medians = noisy(1.0)
    turned = {n: medians[n][::-1] for n in reversed(LENGTHS)}
    assert fit(turned).exponent.value == pytest.approx(fit(medians).exponent.value)
    assert fit(turned).lengths == LENGTHS


def test_what_moves_all_lengths_of_a_process_is_in_the_interval_of_every_level() -> None:
    """Taken as independent, nine lengths of three processes cover half as often as they say."""
    hits = np.zeros(4)
    for seed in range(150):
        medians = noisy(1.0, 1.0, 0.01, seed=seed, common=0.1)
        found = fit(medians)
        parts = [found.floor, found.scale, *ribbon(medians, [784, 25600])]
        truths = [1.0, 1 / 196, law(784, 1, 1, 1 / 196), law(25600, 1, 1, 1 / 196)]
        hits += [holds(part, truth) for part, truth in zip(parts, truths, strict=True)]
    assert (hits / 150 > 0.91).all()


def test_what_moves_all_lengths_of_a_process_does_not_touch_the_exponent() -> None:
    plain, moved = fit(noisy(1.0, noise=0.02)), fit(noisy(1.0, noise=0.02, common=0.5))
    ends = (plain.exponent.value, plain.exponent.low, plain.exponent.high)
    assert (moved.exponent.value, moved.exponent.low, moved.exponent.high) == pytest.approx(ends)
    assert width(moved.floor) / moved.floor.value > 3 * width(plain.floor) / plain.floor.value


def test_processes_that_differ_by_a_factor_follow_the_law_and_are_not_certain() -> None:
    found = fit({n: [law(n, 1.0, 1.0, 0.01) * factor for factor in (0.9, 1, 1.1)] for n in LENGTHS})
    assert found.holds
    assert width(found.exponent) < 1e-6
    assert width(found.floor) > 0.4


def test_medians_are_paired_by_process_where_one_is_missing() -> None:
    """A repeat that was lost at one length leaves the others who they are."""
    medians = noisy(1.0, noise=0.005, common=0.3)
    processes = dict.fromkeys(LENGTHS, (0, 1, 2))
    assert fit(medians, processes=processes) == fit(medians)
    few, left = medians | {3136: medians[3136][1:]}, processes | {3136: (1, 2)}
    paired, mixed = fit(few, processes=left), fit(few)
    assert width(paired.exponent) < width(mixed.exponent)
    told = ribbon(few, [784], processes=left)[0]
    assert width(told) != width(ribbon(few, [784])[0])


def test_a_shift_cancels_in_the_exponent_only_as_far_as_all_lengths_share_it() -> None:
    """Where the longest lacks the slowest process, the lengths differ by more than they scatter."""
    medians, processes = noisy(1.0, noise=0.005, common=0.3), dict.fromkeys(LENGTHS, (0, 1, 2))
    few, left = medians | {50176: medians[50176][1:]}, processes | {50176: (1, 2)}
    assert width(fit(few, processes=left).exponent) > 5 * width(fit(medians).exponent)


@pytest.mark.parametrize("of", [(0, 1), (0, 1, 1), (0, 1, 2, 3)])
def test_a_median_of_no_process_of_its_own_is_refused(of: tuple[int, ...]) -> None:
    processes = dict.fromkeys(LENGTHS, (0, 1, 2)) | {784: of}
    with pytest.raises(ValueError, match="a process of its own"):
        fit(noisy(1.0), processes=processes)
