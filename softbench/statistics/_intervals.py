"""The intervals of a fitted law's parameters and of its curve: profile likelihood, and the shift.

The scatter that each length has of its own makes profile-likelihood intervals. What is common to
all lengths of a process moves every logarithm alike, whatever the shape of the curve; its t
interval is put to the other in quadrature, which covers at least as often as both promise (Banerjee
1960). The exponent does not move with it, where every process measured every length.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

from softbench.statistics import _curve, _region
from softbench.statistics._curve import STEEPEST
from softbench.statistics._fitted import EXPONENT, Fitted
from softbench.statistics._scatter import Scatter

if TYPE_CHECKING:
    from softbench.statistics._curve import Array, Ridge

Ends = tuple[float | None, float | None]
SMALLEST = 1e-18  # a misfit that is rounding
LARGEST = 700.0  # beyond, the exponential is no number


def of_parameters(found: Fitted, confidence: float) -> list[Ends]:
    """The intervals of exponent, floor and scale."""
    import numpy as np

    if found.scatter is None or found.still:
        return [_without_width(found, value) for value in found.parameters]
    grows, start = math.exp(-found.best.depth), math.log(found.lengths[0])
    gradients = np.array([[0, 0, 1], [1 - grows, grows, 0], [1, -1, -start]])
    limits = _limits(found, found.scatter, gradients, confidence)
    # A shift of all lengths is one of the floor, as of the curve where it starts.
    gradients[1] = [1, 0, 0]
    shifts = _shifts(found, found.scatter, gradients, confidence)
    along = _along(found, limits)
    region = _region.around(found.cells, along, found.best, max(limits))
    with np.errstate(divide="ignore"):  # where there is no floor it has no logarithm
        floors = region.firsts + np.log(-np.expm1(-region.depths))
    scales = region.firsts - region.depths - region.exponents * start
    exponent, floor, scale = found.parameters
    ends = _wider(_region.ends(along, found.best, limits[0]), exponent, shifts[0])
    return [
        (max(ends[0], 0.0), min(ends[1], STEEPEST)),
        _exp(_wider(region.span(floors, limits[1]), _log(floor), shifts[1])),
        _exp(_wider(region.span(scales, limits[2]), _log(scale), shifts[2])),
    ]


def of_curve(found: Fitted, lengths: Sequence[float], confidence: float) -> list[Ends]:
    """The interval of the curve at each of `lengths`, one by one."""
    import numpy as np

    steps = found.steps(lengths)
    centres = found.logs(steps)
    if found.scatter is None or found.still:
        return [_without_width(found, value) for value in np.exp(centres).tolist()]
    slopes = found.slopes(steps)
    limits = _limits(found, found.scatter, slopes, confidence)
    shifts = _shifts(found, found.scatter, slopes, confidence)
    region = _region.around(found.cells, _along(found, limits), found.best, max(limits))
    logs = region.firsts[:, None] + _curve.growth(region.exponents, region.depths, steps)
    parts = zip(logs.T, limits, centres.tolist(), shifts, strict=True)
    return [
        _exp(_wider(region.span(at, limit), centre, shift)) for at, limit, centre, shift in parts
    ]


def _limits(found: Fitted, scatter: Scatter, gradients: Array, confidence: float) -> list[float]:
    """How much misfit each property may cost, given how it moves with the three parameters."""
    influences = gradients @ found.influences
    least = SMALLEST + 1e-9 * found.best.misfit
    return [max(scatter.limit(row, confidence), least) for row in influences]


def _shifts(found: Fitted, scatter: Scatter, gradients: Array, confidence: float) -> list[float]:
    """How far what is common to a process may move each property, given the same."""
    return [scatter.shift(row, confidence) for row in gradients @ found.influences]


def _wider(ends: tuple[float, float], centre: float, shift: float) -> tuple[float, float]:
    """Both distances from the centre, each with the shift in quadrature."""
    if centre == -math.inf:  # nothing moves a floor that is none
        return ends
    low, high = ends
    return centre - math.hypot(centre - low, shift), centre + math.hypot(high - centre, shift)


def _along(found: Fitted, limits: Sequence[float]) -> Ridge:
    """The ridge over all exponents allowed; the search starts from the width of a parabola."""
    influence = found.influences[EXPONENT]
    width = math.sqrt(max(limits) * float((influence**2 / found.cells.weights).sum()))
    guess = (found.best.exponent - 1.5 * width, found.best.exponent + 1.5 * width)
    return _region.exponents(found.cells, found.best, max(limits), guess)


def _log(value: float) -> float:
    return math.log(value) if value else -math.inf


def _exp(ends: tuple[float, float]) -> Ends:
    return math.exp(min(ends[0], LARGEST)), math.exp(min(ends[1], LARGEST))


def _without_width(found: Fitted, value: float) -> Ends:
    return (value, value) if found.still else (None, None)
