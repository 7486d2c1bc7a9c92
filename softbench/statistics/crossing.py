"""Where two measured curves cross, as an interval: the test inverted between the measured lengths.

Between lengths the log ratio of the two methods is interpolated over log N by the cubic through the
four nearest lengths, which makes it a weighted sum of measured log medians. Its interval is
therefore Welch's, with Satterthwaite's degrees of freedom, and the crossing may lie wherever that
interval holds zero (as Fieller 1954 does for a ratio). A straight line between neighbours would be
off by more than the noise: on lengths that double, a linear and a quadratic cost bend the ratio by
over a percent (results/validation/intervals.md). Where the four lie so unevenly that the cubic's
weights would blow up what each of them scatters, it is the line all the same.

Neighbouring lengths and both methods are taken as measured apart. What a process does to both alike
cancels, and the interval is too wide then; what it did to all lengths of one method alone would
leave it too narrow (92 to 93 % where that is 5 % and each length scatters by 2 %, same page).

Nothing is extrapolated: an end that lies beyond the measured lengths is None. Counts have no error
where they were taken, but between two lengths nobody counted: their interval is that step.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Literal

from softbench.statistics._spread import Mean, combined, mean_of_medians
from softbench.statistics.interval import Estimate

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Array = NDArray[np.float64]

FEWEST_PROCESSES = 3
NEAREST = 4
MOST_WEIGHT = 2.0  # in all, signs aside; of evenly spaced lengths at most 1.64
PLACES = 32  # looked at between two measured lengths


@dataclass(frozen=True)
class Crossing:
    """From where on a method is better than its rival, up to the largest length compared.

    `at` is where the two curves cross for the last time; None where the method is worse at the end,
    or nowhere worse. Before `low` it is worse beyond doubt (None: it may be better from the
    smallest length on); after `high` it is better beyond doubt (None: it may be better at no length
    compared). Better at all of them: `high` is the smallest; worse at the largest: `low` is that.
    `several`: the lead changes more than once, beyond doubt. `lengths` are those compared.
    """

    at: float | None
    low: float | None
    high: float | None
    several: bool
    lengths: tuple[int, ...]


def crossing(
    pairs: Mapping[int, tuple[Estimate, Estimate]],
    better: Literal["lower", "higher"],
    *,
    confidence: float = 0.95,
) -> Crossing:
    """The crossing of a method and its rival, given both estimates at every common length.

    Lengths at which either has too few processes or no logarithm are left out.
    """
    sign = 1.0 if better == "lower" else -1.0
    lengths = tuple(n for n in sorted(pairs) if all(map(_usable, pairs[n])))
    if not lengths:
        return Crossing(None, None, None, False, ())
    gaps = [
        combined([sign, -sign], [mean_of_medians(e.medians) for e in pairs[n]]) for n in lengths
    ]
    if not any(gap.variance for gap in gaps):
        return _counted(lengths, gaps)
    places, values, widths = _between([math.log(n) for n in lengths], gaps, confidence)
    return _read(lengths, places, values, widths)


def _read(lengths: tuple[int, ...], places: Array, values: Array, widths: Array) -> Crossing:
    """What the interpolated gap and its interval say: positive is worse."""
    import numpy as np

    told = np.where(np.abs(values) > widths, np.sign(values), 0)
    several = _several(told)
    if told[-1] > 0:
        return Crossing(None, float(lengths[-1]), None, several, lengths)
    if (told < 0).all():
        return Crossing(None, None, float(lengths[0]), several, lengths)
    low = _reached(places, widths - values) if told[0] > 0 else None
    high = _reached(places[::-1], (widths + values)[::-1]) if told[-1] < 0 else None
    crosses = values[-1] < 0 < values.max()
    at = _reached(places[::-1], values[::-1]) if crosses else None
    return Crossing(_exp(at), _exp(low), _exp(high), several, lengths)


def _exp(log: float | None) -> float | None:
    return None if log is None else math.exp(log)


def _usable(estimate: Estimate) -> bool:
    """Whether its processes tell how sure it is: few calls in each are no harm to that."""
    if min(estimate.medians) <= 0:
        return False
    few = estimate.without_interval == "few calls"
    return estimate.without_interval in (None, "exact") or (
        few and estimate.num_processes >= FEWEST_PROCESSES
    )


def _between(logs: list[float], gaps: list[Mean], confidence: float) -> tuple[Array, Array, Array]:
    """Places (log N), the interpolated gap there, and half the width of its interval."""
    import numpy as np
    from scipy.special import stdtrit

    parts = [np.linspace(a, b, PLACES, endpoint=False) for a, b in pairwise(logs)]
    parts.append(np.array(logs[-1:]))
    weights = np.concatenate([_weights(part, logs, start) for start, part in enumerate(parts)])
    places = np.concatenate(parts)
    values = weights @ np.array([gap.value for gap in gaps])
    shares = weights**2 * np.array([gap.variance for gap in gaps])
    spread = (shares**2 / np.array([gap.freedom for gap in gaps])).sum(axis=1)
    with np.errstate(invalid="ignore"):
        freedom = np.where(spread > 0, shares.sum(axis=1) ** 2 / spread, np.inf)
    return places, values, stdtrit(freedom, 0.5 + confidence / 2) * np.sqrt(shares.sum(axis=1))


def _weights(places: Array, logs: list[float], start: int) -> Array:
    """How much each length counts at places after that of index `start`: [places, lengths].

    The weights are Lagrange's for the cubic through the four nearest lengths, or for the line
    through the two neighbours.
    """
    first = max(0, min(start + 1 - NEAREST // 2, len(logs) - NEAREST))
    weights = _lagrange(places, logs, range(first, min(first + NEAREST, len(logs))))
    if len(logs) == 1 or abs(weights).sum(axis=1).max() <= MOST_WEIGHT:
        return weights
    return _lagrange(places, logs, range(start, start + 2))


def _lagrange(places: Array, logs: list[float], near: range) -> Array:
    """The weights of the polynomial through the lengths `near`: [places, lengths]."""
    import numpy as np

    weights = np.zeros((len(places), len(logs)))
    for one in near:
        others = [logs[other] for other in near if other != one]
        weights[:, one] = np.prod([(places - o) / (logs[one] - o) for o in others], axis=0)
    return weights


def _reached(places: Array, heights: Array) -> float:
    """Where `heights` first reaches zero, between the places; there must be such a place."""
    import numpy as np

    first = int(np.flatnonzero(heights >= 0)[0])
    if first == 0:
        return float(places[0])
    share = heights[first] / (heights[first] - heights[first - 1])
    return float(places[first] - share * (places[first] - places[first - 1]))


def _several(states: Array) -> bool:
    """Whether what is beyond doubt (1 worse, -1 better) changes more than once."""
    told = states[states != 0]
    changes = int((told[1:] != told[:-1]).sum()) if len(told) else 0
    return changes > 1


def _counted(lengths: tuple[int, ...], gaps: list[Mean]) -> Crossing:
    """The crossing of counts: in the step in which the lasting win begins."""
    wins = [gap.value < 0 for gap in gaps]
    several = sum(now != then for then, now in pairwise(wins)) > 1
    if not wins[-1]:
        return Crossing(None, float(lengths[-1]), None, several, lengths)
    if all(wins):
        return Crossing(None, None, float(lengths[0]), several, lengths)
    last = max(i for i, won in enumerate(wins) if not won)
    here, there = lengths[last], lengths[last + 1]
    share = gaps[last].value / (gaps[last].value - gaps[last + 1].value)
    return Crossing(here * (there / here) ** share, float(here), float(there), several, lengths)
