"""Which curves the measurements allow, and how far a property of the curve goes among them.

The interval of a property is the range it has over all curves whose misfit exceeds the least by no
more than a limit: the profile-likelihood interval, whatever the property, and none of its ends can
leave the bounds of the curve (a floor is never negative). The curves are laid out on a lattice of
exponents and depths; the third parameter, log t_1, enters the misfit as a square, so that the range
over it is known without a lattice.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from softbench.statistics._curve import (
    DEEPEST,
    STEEPEST,
    TINY,
    Best,
    Cells,
    first,
    growth,
    misfit,
    ridge,
    slopes,
)

if TYPE_CHECKING:
    from softbench.statistics._curve import Array, Ridge

RIDGE = 33  # exponents of a ridge
ROWS = 65
COLUMNS = 17
FEWEST_INSIDE = 12
ZOOMS = 12
BEYOND = 1.4  # times the extent that a parabola would have


@dataclass(frozen=True)
class Region:
    """Allowed curves, one row each: exponent, depth, log t_1, and by how much they misfit."""

    exponents: Array
    depths: Array
    firsts: Array
    excess: Array
    weight: float

    def span(self, values: Array, limit: float) -> tuple[float, float]:
        """The range of a property that rises with log t_1 as it does itself."""
        import numpy as np

        room = np.sqrt(np.maximum(limit - self.excess, 0.0) / self.weight)
        inside = self.excess <= limit
        low, high = (values - room)[inside], (values + room)[inside]
        return float(low.min()), float(high.max())


def exponents(cells: Cells, best: Best, limit: float, guess: tuple[float, float]) -> Ridge:
    """The best curves along the exponents whose misfit exceeds the least by at most `limit`.

    The ridge reaches one step beyond them, except at the bounds of the exponent. guess: where they
    may end; others are looked for everywhere.
    """
    import numpy as np

    everywhere = cells.everywhere
    allowed = everywhere.exponents[everywhere.misfits <= best.misfit + limit]
    low, high = min([guess[0], *allowed]), max([guess[1], *allowed])
    for _ in range(ZOOMS):
        along = ridge(cells, np.linspace(max(low, 0.0), min(high, STEEPEST), RIDGE))
        inside = np.flatnonzero(along.misfits <= best.misfit + limit)
        if not len(inside):  # the best one lies between two of the lattice
            inside = np.array([along.misfits.argmin()])
        step = along.exponents[1] - along.exponents[0]
        open_low = inside[0] == 0 and along.exponents[0] > 0
        open_high = inside[-1] == RIDGE - 1 and along.exponents[-1] < STEEPEST
        if len(inside) >= FEWEST_INSIDE and not open_low and not open_high:
            break
        low = along.exponents[inside[0]] - step * (RIDGE if open_low else 1)
        high = along.exponents[inside[-1]] + step * (RIDGE if open_high else 1)
    return along


def ends(along: Ridge, best: Best, limit: float) -> tuple[float, float]:
    """The smallest and largest exponent allowed, between the exponents of the ridge."""
    import numpy as np

    heights = np.sqrt(np.maximum(along.misfits - best.misfit, 0.0))
    below = along.exponents < best.exponent
    line = float(np.sqrt(limit))
    left = _edge([*along.exponents[below], best.exponent], [*heights[below], 0.0], line)
    above = slice(None, None, -1)
    right = _edge(
        [*along.exponents[~below][above], best.exponent], [*heights[~below][above], 0.0], line
    )
    return left, right


def _edge(places: Sequence[float], heights: Sequence[float], line: float) -> float:
    """The first place from which on one is no higher than the line; the last is that low."""
    at = next(index for index, height in enumerate(heights) if height <= line)
    if at == 0:
        return float(places[0])
    share = (heights[at - 1] - line) / (heights[at - 1] - heights[at])
    return float(places[at - 1] + share * (places[at] - places[at - 1]))


def around(cells: Cells, along: Ridge, best: Best, limit: float) -> Region:
    """The allowed curves: for every allowed exponent, depths on both sides of its best."""
    import numpy as np

    low, high = ends(along, best, limit)
    rows = np.linspace(low, high, ROWS)
    middle = np.interp(rows, along.exponents, along.depths)
    by_depth, _ = slopes(growth(rows, middle, cells.steps), middle, cells.steps)
    curved = cells.centred(by_depth) ** 2 @ cells.weights
    room = np.maximum(limit - (misfit(cells, rows, middle) - best.misfit), 0.0)
    extent = BEYOND * np.sqrt(room / (curved + TINY))
    depths = middle + np.linspace(-1.0, 1.0, COLUMNS)[:, None] * extent
    depths = np.append(np.clip(depths, 0.0, DEEPEST).ravel(), best.depth)
    rows = np.append(np.tile(rows, COLUMNS), best.exponent)
    excess = misfit(cells, rows, depths) - best.misfit
    excess[-1] = 0.0  # the best curve is allowed however narrow the limit
    return Region(rows, depths, first(cells, rows, depths), excess, float(cells.weights.sum()))
