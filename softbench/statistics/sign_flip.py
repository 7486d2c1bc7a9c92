"""Sign flips over pairs, jointly over many cells: which of them are truly larger than a margin.

In a pair of processes, one of each side, which is which is decided by a toss; so without a
difference every pair's log-ratios are as likely with the other sign, all cells' at once. Flipping
signs pair by pair gives the distribution of the largest statistic over the cells without any
assumption on the noise or on how cells hang together: the step-down max-T of Westfall and Young
(Resampling-Based Multiple Testing, 1993, algorithm 4.1), exact for symmetric pairs.

A cell's statistic is the sum of its signed scores over the root of the sum of their squares. The
denominator does not change with signs; with the differences themselves as scores it orders all
flips as Student's t does. Other scores trust an outlying pair less.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[Any]
Score = Callable[[Floats], Floats]

EXACT_PAIRS = 13  # up to so many pairs every pattern of signs is taken: 8,192
DRAWN = 16_384
HUBER = 1.5  # of their median: differences beyond it count as it
TIE = 1e-12  # sums of the same numbers in another order


def flips(pairs: int, seed: int = 0) -> Floats:
    """Patterns of signs, [patterns, pairs], that of the data first: all there are, or drawn ones.

    A p-value is the share of patterns as extreme as the data, which counts itself: so it is never
    too small, drawn or not. Raises ValueError for no pair.
    """
    if pairs < 1:
        raise ValueError(f"sign flips need at least one pair, not {pairs}")
    if pairs <= EXACT_PAIRS:
        return np.array(list(itertools.product((1.0, -1.0), repeat=pairs)))
    drawn = np.random.default_rng(seed).integers(0, 2, size=(DRAWN, pairs)) * 2.0 - 1.0
    drawn[0] = 1.0
    return drawn


def differences(values_KC: Floats) -> Floats:
    """The differences as their own scores: the most power where no pair is an outlier."""
    return values_KC


def huber(values_KC: Floats) -> Floats:
    """Differences cut at 1.5 times the median of their cell's sizes."""
    limit_C = HUBER * np.median(np.abs(values_KC), axis=-2, keepdims=True)
    return np.clip(values_KC, -limit_C, limit_C)


def signed_ranks(values_KC: Floats) -> Floats:
    """Wilcoxon's: the rank of the difference's size within its cell, with its sign."""
    ranks_KC = np.argsort(np.argsort(np.abs(values_KC), axis=-2), axis=-2) + 1.0
    signed_KC: Floats = np.sign(values_KC) * ranks_KC
    return signed_KC


def statistics(values_KC: Floats, score: Score = differences) -> Floats:
    """Each cell's statistic, [..., K, C] to [..., C]: leading axes are data sets of their own."""
    scores_KC = score(values_KC)
    found_C: Floats = scores_KC.sum(axis=-2) / _size(scores_KC)[..., 0, :]
    return found_C


def p_values(values_KC: Floats, signs_FK: Floats, score: Score = differences) -> Floats:
    """One-sided p-values of "this cell's values lie above 0", adjusted for all cells: [cells].

    values_KC: a difference for each pair and cell. The chance that any cell without a difference
    has a p-value of at most α is at most α, whichever others have one.
    """
    flipped_FC = _flipped(values_KC, signs_FK, score)
    observed_C = flipped_FC[0]
    order = np.argsort(-observed_C, kind="stable")
    # Step down: a cell is held against the largest of those that are no larger than itself.
    largest_FC = _largest(flipped_FC[:, order])
    stepwise_C = (largest_FC >= observed_C[order] - TIE).mean(axis=0)
    adjusted_C: Floats = np.empty_like(stepwise_C)
    adjusted_C[order] = np.maximum.accumulate(stepwise_C)
    return adjusted_C


def limits(values_KC: Floats, signs_FK: Floats, alpha: float, score: Score = differences) -> Floats:
    """What each cell's statistic must exceed for its p-value to be at most `alpha`: [cells].

    The cells that exceed theirs are those of p_values, step down; from the first that does not on,
    the limit stays. Infinite where so few patterns can never be as rare as `alpha`.
    """
    if alpha * len(signs_FK) < 1:
        return np.full(values_KC.shape[1], np.inf)
    flipped_FC = _flipped(values_KC, signs_FK, score)
    observed_C = flipped_FC[0]
    found_C: Floats = np.empty_like(observed_C)
    order = np.argsort(-observed_C, kind="stable")
    largest_FC = np.sort(_largest(flipped_FC[:, order]), axis=0)[::-1]
    stepwise_C = largest_FC[int(alpha * len(signs_FK))]
    failed = np.flatnonzero(observed_C[order] <= stepwise_C + TIE)
    if failed.size:
        stepwise_C[failed[0] :] = stepwise_C[failed[0]]
    found_C[order] = stepwise_C
    return found_C


def _largest(ordered_FC: Floats) -> Floats:
    """Of each cell and those after it, the largest: what it is held against in its step."""
    return np.maximum.accumulate(ordered_FC[:, ::-1], axis=1)[:, ::-1]


def _flipped(values_KC: Floats, signs_FK: Floats, score: Score) -> Floats:
    scores_KC = score(values_KC)
    flipped_FC: Floats = signs_FK @ (scores_KC / _size(scores_KC))
    return flipped_FC


def _size(scores_KC: Floats) -> Floats:
    """The root of the sum of squares; 1 for a cell without any difference, which scores 0."""
    size_C = np.sqrt((scores_KC**2).sum(axis=-2, keepdims=True))
    return np.where(size_C > 0, size_C, 1.0)
