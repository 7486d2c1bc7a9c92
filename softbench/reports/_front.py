"""How each case stands between an error and a cost: on the front, dominated, or not to be judged.

An error is computed once, on seeded inputs, and any process would find the same: it counts as
exact, to three digits. Softmax stands among the rest where the error is the one against softmax:
what costs more than softmax and is less exact is not worth having. Predicted costs are not
measured and stand nowhere.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from softbench.reports._curves import Stop
from softbench.reports._points import Point
from softbench.statistics.interval import FEWEST_CALLS, Estimate, estimate
from softbench.statistics.pareto import Standing, front

COMPUTED_ONCE = ("approximation_error", "softmax_error")
DIGITS = 3  # two solvers of one inverse differ in the fourth: that makes neither the better one
ROUNDING = 1e-6  # below this an error is that of the arithmetic


@dataclass(frozen=True)
class Placed:
    """A case, its error and its cost as measured, and how it stands."""

    stop: Stop
    error: Point
    cost: Point
    standing: Standing

    @property
    def place(self) -> tuple[float, float]:
        """Where it is drawn: cost across, error up."""
        return self.cost.height or 0.0, self.error.height or 0.0


def standings(found: Sequence[Stop], error: str, cost: str) -> list[Placed]:
    """Every case of which both quantities were measured, and how it stands among the others."""
    kept = [(stop, pair) for stop in found if (pair := measured(stop, error, cost))]
    if not kept:
        return []
    options = {
        stop.case_id: {point.quantity: _estimate(point) for point in pair} for stop, pair in kept
    }
    told = front(options, {point.quantity: point.better for _, pair in kept for point in pair})
    return [Placed(stop, *pair, told[stop.case_id]) for stop, pair in kept]


def measured(stop: Stop, error: str, cost: str) -> tuple[Point, Point] | None:
    """Both points of a case, where both were measured and have a logarithm."""
    one, other = stop.points.get(error), stop.points.get(cost)
    both = one and other and one.estimate and other.estimate
    return (one, other) if one and other and both and one.height and other.height else None


def _estimate(point: Point) -> Estimate:
    """What was computed once as what every process would find: an interval of no width."""
    found = point.estimate
    assert found is not None  # the case has its place
    if point.quantity not in COMPUTED_ONCE or found.num_processes > 1:
        return found
    told = max(ROUNDING, float(f"{found.centre:.{DIGITS}g}"))
    return estimate([[told] * FEWEST_CALLS] * 2)
