"""A number and how sure it is: centre and 95 % interval from several fresh processes.

Each process gives one median m_i. The centre is exp(mean_i log m_i); the interval is
exp(mean ± t(n-1) · s/√n) with s the standard deviation of the log medians. Samples inside one
process share its memory layout, clocks and neighbours, so only the spread between processes
counts; a percentile bootstrap over so few processes would cover too rarely.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass

FEWEST_CALLS = 3


@dataclass(frozen=True)
class Estimate:
    """A centre, its interval if there is one (else why not), and the raw values it came from.

    `without_interval` is None, "exact" (a count), "one process", "few calls" or "not positive".
    """

    centre: float
    low: float | None
    high: float | None
    without_interval: str | None
    raw: tuple[tuple[int | float, ...], ...]

    @property
    def num_processes(self) -> int:
        """How many fresh processes measured it."""
        return len(self.raw)

    @property
    def medians(self) -> tuple[float, ...]:
        """One median a process: what fits, ratios and crossings start from."""
        if self.exact:
            return tuple(values[0] for values in self.raw)  # whole numbers stay whole
        return tuple(statistics.median(values) for values in self.raw)

    @property
    def exact(self) -> bool:
        """A count that every repeat agreed on: it has no error to speak of."""
        return self.without_interval == "exact"


def estimate(processes: Sequence[Sequence[int | float]], *, confidence: float = 0.95) -> Estimate:
    """The centre and interval of one quantity, given the raw values of each process.

    Whole numbers that never differ are a count and exact. With one process, or with a process of
    fewer than three calls, or with a median that has no logarithm, there is no interval.
    Raises ValueError without a value to start from, or a confidence outside (0, 1).
    """
    if not processes or not all(processes):
        raise ValueError(f"an estimate needs a value of every process, got {list(processes)!r}")
    if not 0 < confidence < 1:
        raise ValueError(f"confidence {confidence} is not between 0 and 1, such as 0.95")
    raw = tuple(tuple(values) for values in processes)
    medians = [statistics.median(values) for values in raw]
    why = _without_interval(raw, medians)
    low, high = (None, None) if why else _t_interval(medians, confidence)
    return Estimate(_centre(medians), low, high, why, raw)


def _without_interval(
    raw: tuple[tuple[int | float, ...], ...], medians: Sequence[float]
) -> str | None:
    flat = [value for values in raw for value in values]
    if all(isinstance(value, int) for value in flat) and len(set(flat)) == 1:
        return "exact"
    if min(medians) <= 0:
        return "not positive"
    if len(raw) == 1:
        return "one process"
    return "few calls" if min(map(len, raw)) < FEWEST_CALLS else None


def _centre(medians: Sequence[float]) -> float:
    """The geometric mean; the plain median where a logarithm does not exist or nothing varies."""
    if min(medians) <= 0 or len(set(medians)) == 1:
        return statistics.median(medians)
    return math.exp(statistics.fmean(map(math.log, medians)))


def _t_interval(medians: Sequence[float], confidence: float) -> tuple[float, float]:
    from scipy.special import stdtrit  # a third of the time that scipy.stats takes to import

    logs = [math.log(median) for median in medians]
    quantile = float(stdtrit(len(logs) - 1, 0.5 + confidence / 2))
    half_width = quantile * statistics.stdev(logs) / math.sqrt(len(logs))
    mean = statistics.fmean(logs)
    return math.exp(mean - half_width), math.exp(mean + half_width)
