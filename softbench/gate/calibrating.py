"""What rounds of identical and slowed heads say of the gate on this machine.

False alarms: rounds in which the identical head had a regression anywhere. Power: a head that is
slowed in one cell and identical in the others, of which the cell is found or not; every cell of
every round is tried in turn. The first rounds say which cells the gate can judge here, and only
later ones count for what it finds in those.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import log1p

import numpy as np

from softbench.gate.judging import RATIOS, SCORE, Floats, bounds, verdict
from softbench.gate.pairs import Samples
from softbench.gate.rounds import EXTRAS, Round
from softbench.statistics import sign_flip
from softbench.suite import Gate

TRIED = 20  # rounds that choose the cells
FOUND = 0.8  # share of them in which +10 % must be found
CHOSEN_BY = "head+10%"
IDENTICAL = "head"
SLOWED = [name for name, extra in EXTRAS.items() if extra]


@dataclass(frozen=True)
class Calibration:
    """Counts over rounds: a pair's scatter is the standard deviation of its log-ratios.

    alarms: of each round, whether the identical head had a regression; escalated: the same of
    groups of rounds, looked at as often as the suite's gate does. verdicts: of the identical head,
    [rounds, cells]. found: slowdown to [rounds, cells], whether it was a regression in one look
    that spends all of alpha; found_first: the same with what the gate's first look spends.
    seconds: how long each round took. loads: the machine's 1-minute load at its end.
    """

    alarms: list[bool]
    escalated: list[bool]
    verdicts: list[list[str]]
    found: dict[str, Floats]
    found_first: dict[str, Floats]
    scatter: list[float]
    seconds: list[float]
    loads: list[float]

    @property
    def judged(self) -> list[int]:
        """The cells in which the first rounds found the slowdown that chooses often enough."""
        shares_C = self.found[CHOSEN_BY][:TRIED].mean(axis=0)
        return [cell for cell, share in enumerate(shares_C) if share >= FOUND]

    @property
    def later(self) -> int:
        """Rounds that had no part in choosing."""
        return max(0, len(self.alarms) - TRIED)


def calibrated(rounds: Sequence[Round], rules: Gate) -> Calibration:
    """What rounds of the same cells say, each judged at once with all of the gate's alpha."""
    identical = [RATIOS(one.pairs, "base", IDENTICAL) for one in rounds]
    verdicts = [_verdicts(values_KC, rules, rules.alpha) for values_KC in identical]
    p_values = {n: np.array([_p_values(one.pairs, n, rules) for one in rounds]) for n in SLOWED}
    first = rules.looks[rules.pairs]
    return Calibration(
        alarms=["regression" in row for row in verdicts],
        escalated=[_alarms(group, rules) for group in _groups(identical, rules)],
        verdicts=verdicts,
        found={name: p_RC <= rules.alpha for name, p_RC in p_values.items()},
        found_first={name: p_RC <= first for name, p_RC in p_values.items()},
        scatter=[float(x) for x in np.concatenate(identical).std(axis=0)],
        seconds=[one.seconds for one in rounds],
        loads=[one.load_after[0] for one in rounds],
    )


def _verdicts(values_KC: Floats, rules: Gate, alpha: float) -> list[str]:
    low_C, high_C = bounds(values_KC, rules, alpha)
    return [verdict(low, high, rules) for low, high in zip(low_C, high_C, strict=True)]


def _p_values(pairs: Sequence[Samples], slowed: str, rules: Gate) -> list[float]:
    """Of each cell, the p-value of its being slower than the margin where it alone is slowed."""
    identical_KC = RATIOS(pairs, "base", IDENTICAL)
    slowed_KC = RATIOS(pairs, "base", slowed)
    signs_FK = sign_flip.flips(len(pairs))
    found = []
    for cell in range(identical_KC.shape[1]):
        values_KC = identical_KC.copy()
        values_KC[:, cell] = slowed_KC[:, cell]
        p_C = sign_flip.p_values(values_KC - log1p(rules.margin), signs_FK, SCORE)
        found.append(float(p_C[cell]))
    return found


def _groups(identical: Sequence[Floats], rules: Gate) -> list[Floats]:
    """Rounds put together, as many as make up the most pairs that the gate may take."""
    size = -(-rules.max_pairs // rules.pairs)
    whole = range(0, len(identical) - size + 1, size)
    return [np.concatenate(identical[first : first + size]) for first in whole]


def _alarms(values_KC: Floats, rules: Gate) -> bool:
    """Whether any look finds a regression before one finds that all is well."""
    for pairs, alpha in rules.looks.items():
        found = _verdicts(values_KC[:pairs], rules, alpha)
        if "regression" in found:
            return True
        if "inconclusive" not in found:
            return False
    return False
