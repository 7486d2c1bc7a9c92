"""Cases strung along one parameter: a series without that parameter is a curve.

Which parameter is a mechanism's rank is read from the records, since reports import no mechanism:
by its usual name, else it is the only whole number in which the mechanism's cases differ.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from softbench.reports._labels import order
from softbench.reports._points import Point, Series

RANKS = ("num_landmarks", "projection_length", "num_features")
ITERATIONS = ("num_newton_iters", "num_pinv_iters")


@dataclass(frozen=True)
class Stop:
    """One case on its curve: the parameter's value there (None: it has none), what was found."""

    curve: Series
    at: int | None
    points: Mapping[str, Point]

    @property
    def case_id(self) -> str:
        """The case's content hash."""
        return next(iter(self.points.values())).case.id

    def height(self, quantity: str) -> float | None:
        """What was measured of `quantity`; None if it was not."""
        point = self.points.get(quantity)
        return point.estimate.centre if point and point.estimate else None


def stops(points: Sequence[Point], usual: Sequence[str]) -> list[Stop]:
    """A stop for each case, curve by curve in the usual order, along the first of `usual`."""
    along = {name: _parameter(points, name, usual) for name in {p.series.attention for p in points}}
    cases: dict[Series, dict[str, Point]] = defaultdict(dict)
    for point in points:
        cases[point.series][point.quantity] = point
    made = [_stop(series, along[series.attention], found) for series, found in cases.items()]
    return sorted(made, key=lambda stop: (order(stop.curve), stop.at or 0))


def by_curve(found: Sequence[Stop]) -> dict[Series, list[Stop]]:
    """The stops of each curve, in their order."""
    curves: dict[Series, list[Stop]] = defaultdict(list)
    for stop in found:
        curves[stop.curve].append(stop)
    return dict(curves)


def own_points(found: Sequence[Stop]) -> list[Point]:
    """Every point of the stops, called by its curve."""
    return [replace(point, series=stop.curve) for stop in found for point in stop.points.values()]


def _stop(series: Series, name: str | None, found: Mapping[str, Point]) -> Stop:
    params = json.loads(series.params)
    value = params.pop(name, None) if name else None
    rest = json.dumps(params, sort_keys=True, separators=(",", ":"))
    at = value if isinstance(value, int) else None
    return Stop(replace(series, params=rest), at, found)


def _parameter(points: Sequence[Point], attention: str, usual: Sequence[str]) -> str | None:
    """What the curves of a mechanism run along; None if nothing tells."""
    every = [json.loads(one) for one in {p.series.params for p in points if _is(p, attention)}]
    named = next((name for name in usual if any(name in params for params in every)), None)
    varied = [name for name in every[0] if _counts(name, every)]
    return named or (varied[0] if len(varied) == 1 else None)


def _is(point: Point, attention: str) -> bool:
    return point.series.attention == attention


def _counts(name: str, every: Sequence[Mapping[str, object]]) -> bool:
    """Whether a parameter is a whole number everywhere, and not always the same."""
    values = [params.get(name) for params in every]
    return len(set(map(str, values))) > 1 and all(type(value) is int for value in values)
