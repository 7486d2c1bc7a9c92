"""What is said of a cell, and when more pairs are timed: on samples made up, without a process.

Mutants seen red: head over base turned round; the 10th percentile in place of the slots' ratios and
the mean in place of their median; slots of two sides in another order; a pass by
the lower bound; alpha of all looks at each; looks that go on after a regression, or stop while a
cell is inconclusive; the cells in another order.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from gate_cases import case

from softbench.gate import timing
from softbench.gate.judging import Judged, judge
from softbench.gate.naming import names
from softbench.gate.pairs import Samples
from softbench.gate.ratios import of_quantiles, slot_by_slot, times
from softbench.gate.rules import Timing
from softbench.gate.sides import Side
from softbench.suite import Gate

ONE_LOOK = Gate(max_pairs=12)


def samples(ratios: list[float], seed: int = 0, scatter: float = 0.01) -> Iterator[Samples]:
    """Pairs without end: head over base by cell, and how much a process scatters."""
    dice = np.random.default_rng(seed)
    while True:
        pair: Samples = {"base": [], "head": []}
        for cell, ratio in enumerate(ratios):
            for side, factor in (("base", 1.0), ("head", ratio)):
                process = 1e6 * (cell + 1) * factor * np.exp(dice.normal(0, scatter))
                slots = process * (1 + dice.exponential(0.2, size=8))
                pair[side].append([round(slot) for slot in slots])
        yield pair


def judged(ratios: list[float], pairs: int = 12, **given: Any) -> list[Judged]:
    drawn = samples(ratios, **given)
    return judge([next(drawn) for _ in range(pairs)], "base", "head", ONE_LOOK, 0.05)


def test_each_cell_gets_the_verdict_of_its_ratio() -> None:
    found = judged([1.0, 1.2, 0.8, 1.0], scatter=0.005)
    assert [one.verdict for one in found] == ["pass", "regression", "pass", "pass"]
    for one, ratio in zip(found, [1.0, 1.2, 0.8, 1.0], strict=True):
        assert one.low <= one.ratio <= one.high
        assert one.low < ratio < one.high
        assert one.ratio == pytest.approx(ratio, rel=0.06)


def test_what_scatters_too_much_is_inconclusive_and_says_what_it_could_have_seen() -> None:
    quiet, noisy = judged([1.0], scatter=0.005), judged([1.0], seed=1, scatter=0.3)
    assert (quiet[0].verdict, noisy[0].verdict) == ("pass", "inconclusive")
    assert noisy[0].detectable > 1.25 > 1.12 > quiet[0].detectable > 1.02


def test_a_slowdown_within_the_margin_is_no_regression() -> None:
    """Where it is exact, so that nothing but the margin can forgive it."""
    tame = Gate(max_pairs=12, margin=0.06)
    drawn = samples([1.05, 1.0], scatter=1e-4)
    pairs = [next(drawn) for _ in range(12)]
    for pair in pairs:
        pair["head"] = [[round(slot * ratio) for slot in base]
                        for base, ratio in zip(pair["base"], (1.05, 1.0), strict=True)]  # fmt: skip
        pair["head"][0][0] += random.Random(0).randint(1, 50)
    assert judge(pairs, "base", "head", tame, 0.05)[0].verdict == "pass"
    assert judge(pairs, "base", "head", ONE_LOOK, 0.05)[0].verdict == "regression"


def test_a_pairs_ratio_is_the_median_of_its_slots_ratios() -> None:
    """What slows both sides of a slot leaves no trace; one slot alone does not count."""
    base = [10, 20, 30, 40, 50, 60, 70, 80, 90, 100, 110]
    pair = {"base": [base], "head": [[3 * slot for slot in base[:-1]] + [110_000]]}
    assert slot_by_slot([pair], "base", "head") == pytest.approx(np.array([[np.log(3)]]))
    assert times([pair], "base", 0.1).tolist() == [[20.0]]
    assert of_quantiles(0.5)([pair], "base", "head") == pytest.approx(np.array([[np.log(3)]]))


def test_other_ratios_are_told_beside_the_one_that_judges() -> None:
    pair = {"base": [[10, 20, 30, 90, 90]], "head": [[50, 100, 120, 90, 90]]}
    (found,) = judge([pair] * 12, "base", "head", ONE_LOOK, 0.05)
    assert found.ratio == pytest.approx(4, rel=1e-6)
    assert found.tenth_ratio == pytest.approx(66 / 14, rel=1e-6)
    assert found.median_ratio == pytest.approx(3, rel=1e-6)
    assert found.base_seconds == pytest.approx(14e-9)


@pytest.mark.parametrize(
    ("ratios", "scatter", "pairs"),
    [
        ([1.0, 1.0], 0.005, [12]),  # all is well at once
        ([1.0, 1.5], 0.005, [12]),  # and so is a regression found
        ([1.0, 1.0], 0.5, [12, 24, 30]),  # nothing can be told
        ([1.05, 1.0], 0.5, [12, 24, 30]),
    ],
)
def test_more_pairs_are_timed_only_while_nothing_can_be_told(
    monkeypatch: pytest.MonkeyPatch, ratios: list[float], scatter: float, pairs: list[int]
) -> None:
    alphas: list[float] = []

    def noted(pairs: Any, base: str, head: str, rules: Gate, alpha: float) -> list[Judged]:
        alphas.append(alpha)
        return judge(pairs, base, head, rules, alpha)

    drawn = samples(ratios, seed=3, scatter=scatter)
    monkeypatch.setattr(timing, "timed_pairs", lambda *_: drawn)
    monkeypatch.setattr(timing, "judge", noted)
    cases = [case(seed=seed) for seed in range(2)]
    sides = (Side("base", None), Side("head", None))
    suite = type("Suite", (), {"gate": Gate(max_pairs=30), "threads": 1})()
    asked = timing.Comparison(*sides, cases, suite, names(cases), ("a", "b"), None)  # type: ignore
    told: list[str] = []
    rules = Timing()
    used, found = timing._looked(asked, cases, rules, told.append)
    assert used == pairs[-1]
    assert len(told) == len(alphas) == len(pairs)
    assert alphas == pytest.approx([0.05 * n / 30 for n in np.diff([0, *pairs])])
    assert len(found) == 2
