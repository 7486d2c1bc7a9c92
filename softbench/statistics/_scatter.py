"""How far measurements scatter about a curve, and how sure that makes a property of the curve.

The scatter is that between processes, length by length: lengths are not equally noisy, and a
property of the curve hangs on some more than on others. Its variance is the sum of theirs, each by
its influence, and its degrees of freedom are Satterthwaite's (1946). Where the lengths lie further
from the curve than that variance explains (lack of fit, F test), the scatter of the lengths about
the curve takes its place.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from softbench.statistics._curve import Array

ALPHA = 0.05  # of the test for lack of fit


@dataclass(frozen=True)
class Scatter:
    """The variance of a single process at each length, its degrees of freedom, and the processes.

    `pooled` is that variance if all lengths were alike, with `freedom` degrees in all; `about` is
    what the lengths' distances from the curve make of it, with `above` degrees.
    """

    variances: Array
    freedoms: Array
    counts: Array
    pooled: float
    freedom: float
    about: float
    above: float

    def limit(self, influence: Array, confidence: float) -> float:
        """How much more misfit a property of the curve may cost within its interval.

        influence: by how much the property moves with the mean log median of each length.
        """
        from scipy.special import stdtrit

        known = [self._of(influence)]
        if self.missed(influence):
            known.append((self.about, self.above))
        quantile = 0.5 + confidence / 2
        return max(float(stdtrit(freedom, quantile)) ** 2 * variance for variance, freedom in known)

    def missed(self, influence: Array) -> bool:
        """Whether the lengths lie further from the curve than the processes explain.

        By the scatter where the property is decided, or by that of all lengths together: the one
        knows which lengths are noisy, the other has more degrees of freedom.
        """
        explained = [self._of(influence), (self.pooled, self.freedom)]
        return any(self._exceeded(*variance) for variance in explained)

    def _exceeded(self, variance: float, freedom: float) -> bool:
        from scipy.special import fdtrc

        if not variance:
            return self.about > 0
        return bool(fdtrc(self.above, freedom, self.about / variance) < ALPHA)

    def _of(self, influence: Array) -> tuple[float, float]:
        shares = influence**2 / self.counts
        if not shares.any():  # where nothing grows, no length has a say in how
            shares = 1 / self.counts
        parts = shares / shares.sum() * self.variances
        spread = float((parts**2 / self.freedoms).sum())
        freedom = float(parts.sum()) ** 2 / spread if spread else 1.0
        return float(parts.sum()), min(freedom, self.freedom)  # what is lent counts once


def scatter(logs: Sequence[Sequence[float]], misfit: float) -> Scatter | None:
    """The scatter between processes; None where no length was measured by two.

    A length that only one process measured has the scatter of the others. misfit: the sum of
    squares that a curve of three parameters leaves, each length weighted by its processes.
    """
    import numpy as np

    counts = np.array([len(values) for values in logs], dtype=float)
    if counts.max() < 2:
        return None
    spread = np.array([_variance(values) for values in logs])
    freedoms = counts - 1
    alone, freedom = counts == 1, float(freedoms.sum())
    pooled = float(spread @ freedoms) / freedom
    spread[alone], freedoms[alone] = pooled, freedom
    above = len(logs) - 3.0
    return Scatter(spread, freedoms, counts, pooled, freedom, misfit / above, above)


def _variance(values: Sequence[float]) -> float:
    """About the mean; none of a single value."""
    mean = math.fsum(values) / len(values)
    return math.fsum((value - mean) ** 2 for value in values) / max(1, len(values) - 1)
