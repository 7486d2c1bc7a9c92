"""The profile-likelihood intervals of a fitted law's parameters and of its curve."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

from softbench.statistics import _curve, _region
from softbench.statistics._fitted import EXPONENT, Fitted
from softbench.statistics._scatter import Scatter

if TYPE_CHECKING:
    from softbench.statistics._curve import Array, Ridge

Ends = tuple[float | None, float | None]
SMALLEST = 1e-18  # a misfit that is rounding


def of_parameters(found: Fitted, confidence: float) -> list[Ends]:
    """The intervals of exponent, floor and scale."""
    import numpy as np

    if found.scatter is None or found.still:
        return [_without_width(found, value) for value in found.parameters]
    grows, start = math.exp(-found.best.depth), math.log(found.lengths[0])
    gradients = np.array([[0, 0, 1], [1 - grows, grows, 0], [1, -1, -start]])
    limits = _limits(found, found.scatter, gradients, confidence)
    along = _along(found, limits)
    region = _region.around(found.cells, along, found.best, max(limits))
    with np.errstate(divide="ignore"):  # where there is no floor it has no logarithm
        floors = region.firsts + np.log(-np.expm1(-region.depths))
    scales = region.firsts - region.depths - region.exponents * start
    return [
        _region.ends(along, found.best, limits[0]),
        _exp(region.span(floors, limits[1])),
        _exp(region.span(scales, limits[2])),
    ]


def of_curve(found: Fitted, lengths: Sequence[float], confidence: float) -> list[Ends]:
    """The interval of the curve at each of `lengths`, one by one."""
    import numpy as np

    steps = found.steps(lengths)
    if found.scatter is None or found.still:
        return [_without_width(found, value) for value in np.exp(found.logs(steps)).tolist()]
    limits = _limits(found, found.scatter, found.slopes(steps), confidence)
    region = _region.around(found.cells, _along(found, limits), found.best, max(limits))
    logs = region.firsts[:, None] + _curve.growth(region.exponents, region.depths, steps)
    return [_exp(region.span(at, limit)) for at, limit in zip(logs.T, limits, strict=True)]


def _limits(found: Fitted, scatter: Scatter, gradients: Array, confidence: float) -> list[float]:
    """How much misfit each property may cost, given how it moves with the three parameters."""
    influences = gradients @ found.influences
    least = SMALLEST + 1e-9 * found.best.misfit
    return [max(scatter.limit(row, confidence), least) for row in influences]


def _along(found: Fitted, limits: Sequence[float]) -> Ridge:
    """The ridge over all exponents allowed; the search starts from the width of a parabola."""
    influence = found.influences[EXPONENT]
    width = math.sqrt(max(limits) * float((influence**2 / found.cells.weights).sum()))
    guess = (found.best.exponent - 1.5 * width, found.best.exponent + 1.5 * width)
    return _region.exponents(found.cells, found.best, max(limits), guess)


def _exp(ends: tuple[float, float]) -> Ends:
    return math.exp(ends[0]), math.exp(ends[1])


def _without_width(found: Fitted, value: float) -> Ends:
    return (value, value) if found.still else (None, None)
