"""Sign flips over pairs, jointly over cells: against enumeration, Wilcoxon's test, simulation.

Mutants seen red: `>=` of p_values made `>` (the data no longer count themselves); steps taken from
the smallest statistic up; no maximum taken over the cells; the denominator left out; signs drawn
for each cell apart; `limits` without the stop at the first failure; `int(alpha * flips)` one less;
Huber's limit taken over all cells.
"""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from scipy.stats import wilcoxon

from softbench.statistics import sign_flip
from softbench.statistics.sign_flip import Floats, Score

SCORES = [sign_flip.differences, sign_flip.huber, sign_flip.signed_ranks]


def noise(seed: int, pairs: int = 8, cells: int = 5) -> Floats:
    """Pairs whose cells hang together, of unequal scatter and with outliers."""
    dice = np.random.default_rng(seed)
    common_K1 = dice.standard_t(3, size=(pairs, 1))
    own_KC = dice.standard_t(3, size=(pairs, cells))
    drawn: Floats = (own_KC + common_K1) * np.linspace(0.01, 0.1, cells)
    return drawn


def plainly(values_KC: Floats, score: Score) -> list[float]:
    """Step-down p-values, one pattern of signs and one cell after another."""
    scores_KC = score(values_KC)
    pairs, cells = scores_KC.shape
    table = []
    for signs in itertools.product((1, -1), repeat=pairs):
        row = []
        for cell in range(cells):
            column = [sign * scores_KC[k, cell] for k, sign in enumerate(signs)]
            row.append(sum(column) / sum(x * x for x in column) ** 0.5)
        table.append(row)
    order = sorted(range(cells), key=lambda cell: -table[0][cell])
    adjusted, floor = [0.0] * cells, 0.0
    for step, cell in enumerate(order):
        rest = order[step:]
        hits = sum(max(row[c] for c in rest) >= table[0][cell] - 1e-9 for row in table)
        floor = max(floor, hits / len(table))
        adjusted[cell] = floor
    return adjusted


@pytest.mark.parametrize("score", SCORES, ids=lambda score: score.__name__)
@pytest.mark.parametrize("seed", range(3))
def test_p_values_are_those_of_plain_enumeration(score: Score, seed: int) -> None:
    values_KC = noise(seed) + np.array([0.0, 0.05, 0.0, 0.2, 0.1])
    found_C = sign_flip.p_values(values_KC, sign_flip.flips(8), score)
    assert found_C == pytest.approx(plainly(values_KC, score))


@pytest.mark.parametrize("seed", range(5))
def test_signed_ranks_of_one_cell_are_wilcoxons_test(seed: int) -> None:
    values_K1 = noise(seed, pairs=10, cells=1) + 0.02
    expected = wilcoxon(values_K1[:, 0], alternative="greater", method="exact").pvalue
    found_C = sign_flip.p_values(values_K1, sign_flip.flips(10), sign_flip.signed_ranks)
    assert found_C[0] == pytest.approx(float(expected))


@pytest.mark.parametrize("score", SCORES, ids=lambda score: score.__name__)
def test_a_false_alarm_anywhere_is_as_rare_as_promised(score: Score) -> None:
    """Cells without a difference are called at most as often, whatever the others do."""
    alarms, signs_FK = 0, sign_flip.flips(8)
    shift_C = np.array([0.0, 0.0, 0.0, 0.2, 0.5])
    for seed in range(400):
        p_C = sign_flip.p_values(noise(seed) + shift_C, signs_FK, score)
        alarms += bool((p_C[:3] <= 0.05).any())
    assert alarms <= 400 * 0.05 + 3 * (400 * 0.05 * 0.95) ** 0.5


def test_without_any_difference_the_alarms_come_as_often_as_promised() -> None:
    signs_FK = sign_flip.flips(8)
    alarms = sum(
        bool((sign_flip.p_values(noise(seed), signs_FK) <= 0.05).any()) for seed in range(400)
    )
    assert 400 * 0.05 - 13 <= alarms <= 400 * 0.05 + 13


@pytest.mark.parametrize("score", SCORES, ids=lambda score: score.__name__)
@pytest.mark.parametrize("alpha", [0.05, 0.0167, 0.2])
def test_what_exceeds_its_limit_has_a_p_value_of_at_most_alpha(score: Score, alpha: float) -> None:
    signs_FK = sign_flip.flips(8)
    called = 0
    for seed in range(60):
        values_KC = noise(seed) + np.random.default_rng(seed).uniform(-0.1, 0.3, size=5)
        over_C = sign_flip.statistics(values_KC, score) > (
            sign_flip.limits(values_KC, signs_FK, alpha, score) + sign_flip.TIE
        )
        by_p_C = sign_flip.p_values(values_KC, signs_FK, score) <= alpha
        assert over_C.tolist() == by_p_C.tolist()
        called += int(over_C.sum())
    assert called > 20


def test_an_outlying_pair_costs_huber_less() -> None:
    values_K1 = np.array([[0.1]] * 11 + [[1.0]]) + noise(1, pairs=12, cells=1) / 10
    signs_FK = sign_flip.flips(12)
    of_huber = sign_flip.statistics(values_K1, sign_flip.huber)[0]
    assert of_huber > 1.3 * sign_flip.statistics(values_K1, sign_flip.differences)[0]
    assert sign_flip.p_values(values_K1, signs_FK, sign_flip.huber)[0] <= 0.001


def test_leading_axes_are_data_sets_of_their_own() -> None:
    stacked_SKC = np.stack([noise(1), noise(2)])
    for score in SCORES:
        each_SC = sign_flip.statistics(stacked_SKC, score)
        assert each_SC[1].tolist() == sign_flip.statistics(noise(2), score).tolist()


def test_a_cell_that_never_differs_is_never_called() -> None:
    values_KC = noise(3)
    values_KC[:, 2] = 0.0
    assert sign_flip.p_values(values_KC, sign_flip.flips(8))[2] == 1.0


def test_every_pattern_is_taken_while_there_are_few_and_the_data_are_the_first() -> None:
    few = sign_flip.flips(5)
    assert len({tuple(row) for row in few.tolist()}) == len(few) == 32
    many = sign_flip.flips(24)
    assert many.shape == (sign_flip.DRAWN, 24)
    assert (many[0] == 1.0).all()
    assert (few[0] == 1.0).all()
    assert (many == sign_flip.flips(24)).all()
    assert abs(many[1:].mean()) < 0.01


def test_no_pair_is_refused() -> None:
    with pytest.raises(ValueError, match="at least one pair, not 0"):
        sign_flip.flips(0)
