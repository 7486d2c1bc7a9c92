"""Whether the machine was the same in every repeat, by the rates that its processes measured.

The sentinel sees a process drift from where it began; a whole repeat on a machine that was slower
from the start has nothing to drift from. Its rates tell: a repeat is unlike the others where one of
them is further from the median of theirs than a sentinel may drift. The farthest is set aside
first, so that it does not make the others look fast.
"""

from __future__ import annotations

import math
import statistics
from collections import defaultdict
from collections.abc import Mapping, Sequence

from softbench.reports._points import Point

NAMES = {"gemm": "matrix products", "stream": "memory"}
TOLERANCE = 0.1  # the protocol's for its sentinel


def unlike(points: Sequence[Point]) -> str:
    """Which repeats ran at other rates than the rest, and by how much; empty if none did."""
    said: dict[int, list[str]] = defaultdict(list)
    for name, words in NAMES.items():
        for repeat, change in _apart(_rates(points, name)).items():
            said[repeat].append(f"{words} {100 * change:+.0f} %")
    if not said:
        return ""
    told = "; ".join(f"repeat {repeat}: {', '.join(said[repeat])}" for repeat in sorted(said))
    return f"The machine's rates were not alike, against the other repeats (from 0 on): {told}."


def _rates(points: Sequence[Point], name: str) -> dict[int, float]:
    """Each repeat's rate: the median over what its processes measured."""
    found: dict[int, set[float]] = defaultdict(set)
    for point in points:
        for repeat, rates in point.remarks.rates.items():
            if name in rates:
                found[repeat].add(rates[name])
    return {repeat: statistics.median(rates) for repeat, rates in found.items()}


def _apart(rates: Mapping[int, float]) -> dict[int, float]:
    """The repeats beyond the tolerance, and by what part they are off the median of the others.

    Of two alone the slower one is.
    """
    rest, told = dict(sorted(rates.items(), key=lambda item: item[1])), {}
    while len(rest) > 1:
        others = {one: [rest[other] for other in rest if other != one] for one in rest}
        off = {one: rest[one] / statistics.median(others[one]) for one in rest}
        farthest = max(off, key=lambda one: round(abs(math.log(off[one])), 9))
        if abs(off[farthest] - 1) <= TOLERANCE:
            break
        told[farthest] = off[farthest] - 1
        del rest[farthest]
    return told
