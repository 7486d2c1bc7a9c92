"""By how much the values of many cells are shifted: joint bounds, and what shift would be found.

The bounds are sign-flip tests turned round (sign_flip.py): below its lower bound a shift would be
refuted, and a cell is called larger than `at` exactly where its lower bound lies above it.
"""

from __future__ import annotations

import numpy as np

from softbench.statistics.sign_flip import TIE, Floats, Score, limits, statistics

FAR = np.log(100.0)  # bounds are told up to a factor of a hundred, for values that are logarithms
HALVINGS = 40
SIMULATED = 512  # sets of data
POWER = 0.8


def lower_bounds(
    values_KC: Floats, signs_FK: Floats, alpha: float, at: float, score: Score
) -> Floats:
    """The bounds below which no cell's shift lies, but with a chance of `alpha` for any: [cells].

    values_KC: a difference for each pair and cell. at: the shift of which it is asked whether a
    cell's is larger; there the test is exact, step-down for as many cells as lie above it.
    """
    limit_C = limits(values_KC - at, signs_FK, alpha, score)
    larger_C = statistics(values_KC - at, score) > limit_C + TIE
    # A robust statistic may cross its limit more than once: on which side of `at` is decided.
    low_C = np.where(larger_C, at, at - FAR)
    high_C = np.where(larger_C, at + FAR, at)
    return _crossing(values_KC, limit_C, low_C, high_C, score)


def centres(values_KC: Floats, score: Score) -> Floats:
    """The shift of each cell without which its scores cancel: for differences the mean."""
    middle_C = np.median(values_KC, axis=0)
    return _crossing(values_KC, np.zeros_like(middle_C), middle_C - FAR, middle_C + FAR, score)


def _crossing(
    values_KC: Floats, limit_C: Floats, low_C: Floats, high_C: Floats, score: Score
) -> Floats:
    """The shift at which the statistic of what is left falls below the limit, by halving."""
    for _ in range(HALVINGS):
        middle_C = (low_C + high_C) / 2
        above_C = statistics(values_KC - middle_C, score) > limit_C + TIE
        low_C, high_C = np.where(above_C, middle_C, low_C), np.where(above_C, high_C, middle_C)
    return low_C


def detectable(
    values_KC: Floats, signs_FK: Floats, alpha: float, at: float, score: Score
) -> Floats:
    """The smallest shift of each cell that would be called larger than `at` four times in five.

    Simulated: what scatters about the cells' centres, with signs drawn anew, is shifted and held
    against the limit that all cells together set.
    """
    pairs = len(values_KC)
    # About their own centre they scatter less than about the true one.
    scatter_KC = (values_KC - centres(values_KC, score)) * np.sqrt(pairs / max(1, pairs - 1))
    limit = limits(scatter_KC, signs_FK, alpha, score).max()
    drawn = np.random.default_rng(0).integers(0, len(signs_FK), size=SIMULATED)
    simulated_SKC = signs_FK[drawn][:, :, None] * scatter_KC
    low_C, high_C = np.full(values_KC.shape[1], at), np.full(values_KC.shape[1], at + FAR)
    for _ in range(HALVINGS):
        middle_C = (low_C + high_C) / 2
        found_SC = statistics(simulated_SKC + (middle_C - at), score) > limit + TIE
        enough_C = found_SC.mean(axis=0) >= POWER
        low_C, high_C = np.where(enough_C, low_C, middle_C), np.where(enough_C, middle_C, high_C)
    return high_C
