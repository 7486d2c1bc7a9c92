"""From timed pairs to what can be said of each cell: slower, not slower, or not to be told.

The log-ratios of head over base, one a pair and cell (ratios.py), are held against the margin by
sign flips over pairs, jointly over all cells (statistics/sign_flip.py), and against the slowdown to
be excluded in the same way.

regression:    slower than the margin, with a chance of a false alarm anywhere of alpha.
pass:          not as slow as `detect`, with the same chance of being wrong anywhere.
inconclusive:  neither.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import exp, log1p

import numpy as np

from softbench.gate import ratios
from softbench.gate.outcome import Verdict
from softbench.gate.pairs import Samples
from softbench.statistics import shift, sign_flip
from softbench.suite import Gate

Floats = sign_flip.Floats

# Both as a calibration's first 20 rounds had it (results/gate/choice.md): slot by slot, 10 % is
# found in 87 % of cells, by 10th percentiles in 60 %; medians leave no outliers to guard against.
RATIOS = ratios.slot_by_slot
SCORE = sign_flip.differences


@dataclass(frozen=True)
class Judged:
    """What can be said of a cell; the fields are those of TimedCell, ratios of head over base."""

    verdict: Verdict
    base_seconds: float
    ratio: float
    low: float
    high: float
    tenth_ratio: float
    median_ratio: float
    detectable: float


def judge(
    pairs: Sequence[Samples], base: str, head: str, rules: Gate, alpha: float
) -> list[Judged]:
    """Every cell, in the order of the samples; `alpha`: what this look spends."""
    values_KC = RATIOS(pairs, base, head)
    signs_FK = sign_flip.flips(len(pairs))
    low_C, high_C = bounds(values_KC, rules, alpha)
    found_C = shift.detectable(values_KC, signs_FK, alpha, log1p(rules.margin), SCORE)
    ratio_C = shift.centres(values_KC, SCORE)
    tenth_C, median_C = (
        shift.centres(ratios.of_quantiles(quantile)(pairs, base, head), SCORE)
        for quantile in (ratios.TENTH, ratios.MEDIAN)
    )
    seconds_C = 1e-9 * np.median(ratios.times(pairs, base, ratios.TENTH), axis=0)
    return [
        Judged(
            verdict=verdict(low_C[cell], high_C[cell], rules),
            base_seconds=float(seconds_C[cell]),
            ratio=exp(ratio_C[cell]),
            low=exp(low_C[cell]),
            high=exp(high_C[cell]),
            tenth_ratio=exp(tenth_C[cell]),
            median_ratio=exp(median_C[cell]),
            detectable=exp(found_C[cell]),
        )
        for cell in range(values_KC.shape[1])
    ]


def bounds(values_KC: Floats, rules: Gate, alpha: float) -> tuple[Floats, Floats]:
    """What no cell's log-ratio lies below and what none lies above, but for alpha each: [cells]."""
    signs_FK = sign_flip.flips(len(values_KC))
    margin, detect = log1p(rules.margin), log1p(rules.detect)
    low_C = shift.lower_bounds(values_KC, signs_FK, alpha, margin, SCORE)
    return low_C, -shift.lower_bounds(-values_KC, signs_FK, alpha, -detect, SCORE)


def verdict(low: float, high: float, rules: Gate) -> Verdict:
    """What the bounds of a cell's log-ratio say."""
    if low > log1p(rules.margin):
        return "regression"
    return "pass" if high < log1p(rules.detect) else "inconclusive"
