"""The scaling law t(N) = floor + scale · N**exponent, fitted to one median a process and length.

Noise is relative, so the fit is least squares on logarithms, each length weighted by its number of
processes. Weights from each length's own spread would be worse: with three processes that spread
has two degrees of freedom. The spread enters where it is sound, in the intervals, which are
profile-likelihood intervals with a t quantile: for every property of the curve the variance comes
from the spread between processes at the lengths it hangs on, with Satterthwaite's degrees of
freedom. One pooled variance would cover the floor only three times in four where the shortest and
longest lengths are noisier than the others (validated in results/validation/intervals.md).

One process measures all lengths, and what it does to all of them is no matter of chance between
lengths. It cancels in the exponent and does not in floor, scale and curve: those are as sure of it
as there are processes, and their intervals are the wider for it. Were lengths taken as independent,
they would hold the truth far less often than said (same page). What is assumed still: a process
moves all lengths alike, or each by itself, and not some of them together.

Where the lengths lie further from the curve than the processes from each other (F test at 5 %), the
law does not hold as written: caches have steps. `holds` is False then, and the intervals come from
the lengths' scatter about the curve. Counts that never differ have no spread: the law holds where
no count is more than a thousandth off the curve, and has intervals of no width; else it does not.

Nothing is said outside the measured lengths. Exponents are looked for between 0 and 4.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from softbench.statistics import _intervals
from softbench.statistics._fitted import FEWEST_LENGTHS, Processes, fitted

__all__ = ["FEWEST_LENGTHS", "Parameter", "PowerLaw", "Processes", "fit", "ribbon"]


@dataclass(frozen=True)
class Parameter:
    """A value and its 95 % interval; of no width for counts, None where it is not known."""

    value: float
    low: float | None
    high: float | None


@dataclass(frozen=True)
class PowerLaw:
    """floor + scale · N**exponent over `lengths`, in the unit of what was measured.

    `num_processes` is the smallest number at any length. `holds`: whether the law fits (None
    without an interval), `misfit` the largest relative distance of a length from the curve.
    `without_interval` is None or "one process".
    """

    exponent: Parameter
    floor: Parameter
    scale: Parameter
    lengths: tuple[int, ...]
    num_processes: int
    exact: bool
    holds: bool | None
    misfit: float
    without_interval: str | None

    def at(self, length: float) -> float:
        """The curve at a length. Raises ValueError outside the measured lengths."""
        _refuse_outside([length], self.lengths)
        return self.floor.value + self.scale.value * math.pow(length, self.exponent.value)


def fit(
    medians: Mapping[int, Sequence[float]],
    *,
    processes: Processes | None = None,
    confidence: float = 0.95,
) -> PowerLaw:
    """The law that fits best, given one median of every process at each length.

    processes: which process each median is of, by length; without it, the first of every length are
    of one process, and so on. Whole numbers that never differ are counts. Raises ValueError with
    fewer than four lengths, with a length without median, a median that is not positive, or one
    without a process of its own.
    """
    found = fitted(medians, processes)
    exponent, floor, scale = (
        Parameter(value, *ends)
        for value, ends in zip(
            found.parameters, _intervals.of_parameters(found, confidence), strict=True
        )
    )
    return PowerLaw(
        exponent,
        floor,
        scale,
        lengths=found.lengths,
        num_processes=min(len(values) for values in medians.values()),
        exact=found.exact,
        holds=found.holds,
        misfit=found.farthest,
        without_interval="one process" if found.holds is None else None,
    )


def ribbon(
    medians: Mapping[int, Sequence[float]],
    lengths: Sequence[float],
    *,
    processes: Processes | None = None,
    confidence: float = 0.95,
) -> list[Parameter]:
    """The fitted curve at `lengths`, each value with its own (pointwise) interval.

    processes: as for `fit`. Raises ValueError as `fit` does, and for a length outside the measured.
    """
    found = fitted(medians, processes)
    _refuse_outside(lengths, found.lengths)
    ends = _intervals.of_curve(found, lengths, confidence)
    logs = found.logs(found.steps(lengths)).tolist()
    return [Parameter(math.exp(log), *each) for log, each in zip(logs, ends, strict=True)]


def _refuse_outside(lengths: Sequence[float], measured: Sequence[int]) -> None:
    for length in lengths:
        if not measured[0] <= length <= measured[-1]:
            raise ValueError(
                f"length {length:g} lies outside the measured {measured[0]} to {measured[-1]}, "
                "and nothing is extrapolated"
            )
