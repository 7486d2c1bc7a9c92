"""How far measurements scatter about a curve, and how sure that makes a property of the curve.

The scatter is that between processes, length by length, beside what all lengths of a process have
in common (_parted): lengths are not equally noisy, and a property of the curve hangs on some more
than on others. Its variance is the sum of theirs, each by its influence, and its degrees of freedom
are Satterthwaite's (1946). Where the lengths lie further from the curve than that variance explains
(lack of fit, F test), the scatter of the lengths about the curve takes its place.

What is common to a process leaves the shape of the curve alone and shifts its level. That has a t
interval of its own, with as many degrees of freedom as there are processes less one.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from softbench.statistics._parted import Parted, parted

if TYPE_CHECKING:
    from softbench.statistics._curve import Array

ALPHA = 0.05  # of the test for lack of fit
ROUNDING = 1e-20  # a variance of logarithms that is none
NEGLIGIBLE = 1e-3  # how far what does not scatter may lie off the curve that it is said to follow


@dataclass(frozen=True)
class Scatter:
    """The variance of a single process at each length, its degrees of freedom, and the processes.

    `parted` has that variance if all lengths were alike, and what is common to a process. `shares`:
    the part that each process has in the mean at each length, [lengths, processes]. `about` is what
    the lengths' distances from the curve make of the variance, with `above` degrees.
    """

    variances: Array
    freedoms: Array
    counts: Array
    shares: Array
    parted: Parted
    about: float
    above: float

    @property
    def even(self) -> bool:
        """Whether no process differs from another but by one factor at all lengths."""
        return bool(self.variances.max() <= ROUNDING)

    @property
    def still(self) -> bool:
        """Whether no process differs from another."""
        return self.even and self.parted.common <= ROUNDING

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

    def shift(self, influence: Array, confidence: float) -> float:
        """Half the width of a property's interval that comes from what is common to a process."""
        from scipy.special import stdtrit

        loads = influence @ self.shares
        spread = math.sqrt(self.parted.common * float(loads @ loads))
        return float(stdtrit(self.parted.sharing, 0.5 + confidence / 2)) * spread

    def missed(self, influence: Array) -> bool:
        """Whether the lengths lie further from the curve than the processes explain.

        By the scatter where the property is decided, or by that of all lengths together: the one
        knows which lengths are noisy, the other has more degrees of freedom.
        """
        explained = [self._of(influence), (self.parted.pooled, self.parted.freedom)]
        return any(self._exceeded(*variance) for variance in explained)

    def _exceeded(self, variance: float, freedom: float) -> bool:
        from scipy.special import fdtrc

        if variance <= ROUNDING:
            return self.about > NEGLIGIBLE**2
        return bool(fdtrc(self.above, freedom, self.about / variance) < ALPHA)

    def _of(self, influence: Array) -> tuple[float, float]:
        shares = influence**2 / self.counts
        if not shares.any():  # where nothing grows, no length has a say in how
            shares = 1 / self.counts
        parts = shares / shares.sum() * self.variances
        spread = float((parts**2 / self.freedoms).sum())
        freedom = float(parts.sum()) ** 2 / spread if spread else 1.0
        return float(parts.sum()), min(freedom, self.parted.freedom)  # what is lent counts once


def scatter(logs: Array, misfit: float) -> Scatter | None:
    """The scatter between processes; None where no length was measured by two.

    logs: log medians, [lengths, processes], NaN where a process did not measure. A length that only
    one process measured has the scatter of the others. misfit: the sum of squares that a curve of
    three parameters leaves, each length weighted by its processes.
    """
    import numpy as np

    there = ~np.isnan(logs)
    counts = there.sum(axis=1).astype(float)
    several = counts > 1
    if not several.any():
        return None
    found = parted(logs[several])
    variances, freedoms = np.full((2, len(logs)), [[found.pooled], [found.freedom]])
    variances[several], freedoms[several] = found.alone, counts[several] - 1
    above = len(logs) - 3.0
    shares = there / counts[:, None]
    return Scatter(variances, freedoms, counts, shares, found, misfit / above, above)
