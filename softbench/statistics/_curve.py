"""The curve floor + scale · N**exponent on the scale of logarithms, and where it fits best.

With t_1 the curve at the smallest length N_1 and L = log(N / N_1),
    log t(N) = log t_1 + h(N),   h(N) = log(1 + e^-d · (e^(exponent · L) - 1)),   d ≥ 0.
e^-d is the part of t_1 that grows: floor = t_1 · (1 - e^-d), scale = t_1 · e^-d / N_1^exponent.
Given exponent and d, log t_1 is the weighted mean of what is left: of three parameters two remain,
both bounded, so that a lattice finds the best fit without a starting point (variable projection,
Golub and Pereyra 1973).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Array = NDArray[np.float64]

STEEPEST = 4.0  # exponents are looked for from 0 to here
DEEPEST = 25.0  # where e^-25 of the first length's cost grows, nothing grows
POLISHINGS = 20
STARTS = 8  # of the lattice's best exponents
SHORTEST = 0.1  # the share of a step below which nothing is to be gained
GAIN = 1e-8  # of the misfit: less is not worth another step
TINY = 1e-150  # its square is still a number


@dataclass(frozen=True)
class Cells:
    """What is fitted, by length: log(N / N_1), the mean log median there, and its weight."""

    steps: Array
    levels: Array
    weights: Array

    @cached_property
    def shares(self) -> Array:
        """The weights, which add up to one."""
        shares: Array = self.weights / self.weights.sum()
        return shares

    @cached_property
    def everywhere(self) -> Ridge:
        """The whole ridge, with depths to within half a step of a lattice."""
        import numpy as np

        return _on_lattice(self, np.linspace(0.0, STEEPEST, 41))

    def centred(self, values: Array) -> Array:
        """`values` less their weighted mean along the last axis."""
        centred: Array = values - (values @ self.shares)[..., None]
        return centred


@dataclass(frozen=True)
class Ridge:
    """Exponents, the best depth (d above) for each, and the misfit that leaves."""

    exponents: Array
    depths: Array
    misfits: Array


@dataclass(frozen=True)
class Best:
    """The best of all curves and what misfit it leaves."""

    exponent: float
    depth: float
    misfit: float


def growth(exponents: Array, depths: Array, steps: Array) -> Array:
    """h above: exponents and depths of one shape, along a new last axis the steps."""
    import numpy as np

    grown: Array = np.expm1(exponents[..., None] * steps)
    risen: Array = np.log1p(np.exp(-depths)[..., None] * grown)
    return risen


def slopes(grown: Array, depths: Array, steps: Array) -> tuple[Array, Array]:
    """How h rises with the depth and with the exponent, where it is `grown` high."""
    import numpy as np

    shrunk = np.exp(-grown)
    return shrunk - 1, steps * (1 + np.expm1(-depths)[..., None] * shrunk)


def misfit(cells: Cells, exponents: Array, depths: Array) -> Array:
    """The weighted sum of squared residuals at the best log t_1."""
    left = cells.centred(cells.levels - growth(exponents, depths, cells.steps))
    squares: Array = left**2 @ cells.weights
    return squares


def first(cells: Cells, exponents: Array, depths: Array) -> Array:
    """The best log t_1."""
    left = cells.levels - growth(exponents, depths, cells.steps)
    mean: Array = left @ cells.shares
    return mean


def ridge(cells: Cells, exponents: Array) -> Ridge:
    """The best depth for each exponent."""
    import numpy as np

    start = np.stack([exponents, _on_lattice(cells, exponents).depths])
    (_, depths), misfits = _polished(cells, start, np.array([0.0, 1.0])[:, None])
    return Ridge(exponents, depths, misfits)


def best(cells: Cells) -> Best:
    """The best curve: with a floor, or without where that is better."""
    import numpy as np

    everywhere = cells.everywhere
    within = everywhere.misfits.argsort()[:STARTS]
    without = misfit(cells, everywhere.exponents, 0 * everywhere.depths).argmin()
    exponents = everywhere.exponents[[*within, without]]
    free = np.ones((2, STARTS + 1))
    free[1, -1] = 0.0
    start = np.stack([exponents, np.append(everywhere.depths[within], 0.0)])
    found, misfits = _polished(cells, start, free)
    which = misfits.argmin()
    return Best(float(found[0, which]), float(found[1, which]), float(misfits[which]))


def _on_lattice(cells: Cells, exponents: Array) -> Ridge:
    import numpy as np

    wide = np.linspace(0.0, DEEPEST, 26)
    found = misfit(cells, *np.meshgrid(exponents, wide, indexing="ij"))
    return Ridge(exponents, wide[found.argmin(axis=1)], found.min(axis=1))


def _polished(cells: Cells, start: Array, free: Array) -> tuple[Array, Array]:
    """Gauss-Newton steps in what is `free`, taken where they help and shortened where they do not.

    start: exponents and depths, [2, K]; free: 1 or 0 for each of them. Returns the same and the
    misfits.
    """
    import numpy as np

    now, least = start, misfit(cells, start[0], start[1])
    share = np.ones(start.shape[1])
    most = np.array([[STEEPEST], [DEEPEST]])
    for _ in range(POLISHINGS):
        tried = np.clip(now + share * free * _towards(cells, now, free), 0.0, most)
        found = misfit(cells, tried[0], tried[1])
        better = found < least * (1 - GAIN)
        now, least = np.where(better, tried, now), np.where(better, found, least)
        share = np.where(better, 1.0, share / 4)
        if share.max() < SHORTEST:
            break
    return now, least


def _towards(cells: Cells, now: Array, free: Array) -> Array:
    """The Gauss-Newton step of exponents and depths, [2, K]: two normal equations each, solved."""
    import numpy as np

    weights = cells.weights
    grown = growth(now[0], now[1], cells.steps)
    d, e = (cells.centred(rise) for rise in slopes(grown, now[1], cells.steps))
    e, d = e * free[0][..., None], d * free[1][..., None]
    left = cells.centred(cells.levels - grown)
    # What is not free has no slope; a one in its place leaves the other equation alone.
    ee, dd = (e * e) @ weights + (1 - free[0]), (d * d) @ weights + (1 - free[1])
    ed = (e * d) @ weights
    el, dl = (e * left) @ weights, (d * left) @ weights
    independent = ee * dd - ed * ed + 1e-13 * ee * dd + TINY
    step: Array = np.stack([dd * el - ed * dl, ee * dl - ed * el]) / independent
    return step
