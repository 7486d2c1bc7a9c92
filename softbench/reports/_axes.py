"""Logarithmic axes in human units: limits that hold everything drawn, and few round ticks."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from softbench.reports._points import Point
from softbench.reports._units import steps_of

if TYPE_CHECKING:
    from matplotlib.axes import Axes

BELOW, ABOVE = 0.18, 0.09  # of the drawn span: room for the guides and their names
SHELF = 0.09  # room for one mark of unknown height at the upper edge
MOST_TICKS = 8
SUPERSCRIPT = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")


@dataclass(frozen=True)
class Span:
    """The limits of a logarithmic axis; above `roof` no tick stands, as no value does."""

    low: float
    high: float
    roof: float = math.inf

    def at(self, fraction: float) -> float:
        """The value at `fraction` of the axis's length."""
        return self.low * math.pow(self.high / self.low, fraction)

    def share(self, value: float) -> float:
        """The fraction of the axis's length at which `value` stands."""
        return math.log(value / self.low) / math.log(self.high / self.low)


def height_span(points: Iterable[Point], shelves: int = 0, foot: float = 0.0) -> Span:
    """The heights of all points and their intervals, with room below, above, and for shelves.

    foot: more room below, in parts of the drawn span.
    """
    inner = _inner([height for point in points for height in extent(point)])
    roof = inner.at(1 + ABOVE)
    return Span(inner.at(-BELOW - foot), inner.at(1 + ABOVE + SHELF * 1.3 * shelves), roof)


def value_span(values: Iterable[float], margin: float = 0.1) -> Span:
    """All positive ones of `values`, with the same room at both ends."""
    inner = _inner(values)
    return Span(inner.at(-margin), inner.at(1 + margin))


def _inner(values: Iterable[float]) -> Span:
    positive = [value for value in values if value > 0]
    low, high = (min(positive), max(positive)) if positive else (1.0, 10.0)
    # A nearly flat panel still needs an axis to be read on.
    return Span(low / 2, high * 2) if high < 3 * low else Span(low, high)


def length_span(lengths: Sequence[int]) -> Span:
    """The measured lengths with a little room at both ends."""
    low, high = min(lengths), max(lengths)
    return Span(low / 2, high * 2) if low == high else Span(low / 1.25, high * 1.25)


def lay(axes: Axes, across: Span, up: Span, lengths: Sequence[int], unit: str) -> None:
    """Set scales, limits, ticks and their labels."""
    axes.set(xscale="log", yscale="log", xlim=(across.low, across.high), ylim=(up.low, up.high))
    axes.minorticks_off()
    axes.set_xticks(lengths, minor=True, labels=[""] * len(lengths))
    named = spread(lengths, most=5 if max(lengths) < 10**5 else 4)
    axes.set_xticks(named, labels=[f"{length}" for length in named])
    ticks = height_ticks(up, unit)
    axes.set_yticks(ticks, labels=[tick_label(tick, unit) for tick in ticks])


def spread(lengths: Sequence[int], most: int = 5) -> list[int]:
    """The lengths to name on the axis: the ends, and what stands far enough from its neighbour."""
    ordered = sorted(set(lengths))
    if len(ordered) < 2:
        return ordered
    apart = math.log(ordered[-1] / ordered[0]) / (most - 0.8)
    named = [ordered[0]]
    for length in ordered[1:-1]:
        if min(math.log(length / named[-1]), math.log(ordered[-1] / length)) >= apart:
            named.append(length)
    return [*named, ordered[-1]]


def height_ticks(span: Span, unit: str) -> list[float]:
    """Round values inside the span: powers of 10 (of 2 for bytes), thinned or refined to a few."""
    base = 2.0 if unit == "byte" else 10.0
    first = math.ceil(math.log(span.low, base) - 1e-9)
    last = math.floor(math.log(min(span.high, span.roof), base) + 1e-9)
    exponents = range(first, last + 1)
    if base == 10.0 and len(exponents) < 3:
        fine = [m * 10.0**e for e in range(first - 1, last + 1) for m in (1, 2, 5)]
        return [tick for tick in fine if span.low <= tick <= span.high]
    stride = _stride(len(exponents), 2 if base == 2.0 else 1)
    return [base**exponent for exponent in exponents if exponent % stride == 0]


def _stride(count: int, start: int) -> int:
    if count <= MOST_TICKS:
        return 1
    return start * math.ceil(count / start / MOST_TICKS)


def few_ticks(span: Span, unit: str, most: int = 4) -> list[float]:
    """Round values for a short axis: at most so many, and two at least where there are two."""
    ticks = height_ticks(span, unit)
    powers = [tick for tick in ticks if math.isclose(math.log10(tick) % 1, 0, abs_tol=1e-9)]
    if unit != "byte" and len(ticks) > most and len(powers) > 1:
        ticks = powers
    return ticks[:: math.ceil(len(ticks) / most)]


def tick_label(value: float, unit: str) -> str:
    """A tick's value in the largest unit that keeps it at least 1; a pure number as it is."""
    if unit == "1":
        return pure(value)
    steps = steps_of(unit)
    size, shown = next((step for step in reversed(steps) if value >= step[0] * 0.999), steps[0])
    scaled = value / size
    return f"{scaled:,.0f} {shown}".strip() if scaled >= 1 else f"{scaled:.3g} {shown}".strip()


def pure(value: float) -> str:
    """A number without unit: 0.05, 20, or with a power of ten where digits would be zeros."""
    exponent = math.floor(math.log10(value) + 1e-9)
    if -3 <= exponent < 4:
        return f"{value:.4g}"
    mantissa = round(value / 10.0**exponent)
    power = f"10{str(exponent).translate(SUPERSCRIPT)}"
    return power if mantissa == 1 else f"{mantissa}·{power}"


def extent(point: Point) -> list[float]:
    """Where it stands and where its interval ends, as far as known."""
    found = point.estimate
    bounds = (found.low, found.high) if found else ()
    return [height for height in (point.height, *bounds) if height is not None]
