"""Whether a cost grows linearly or quadratically with the tokens, where that can be told.

Linear: the whole interval of the exponent lies within 0.9 to 1.1 (twice the tokens cost 1.87 to
2.14 times as much, above the floor). Quadratic: within 1.9 to 2.1. The bands are this narrow so
that N log N, which looks like an exponent of 1.13 from 196 to 50,176 tokens, is not called linear.
A verdict takes at least five measured lengths and must be the same without the smallest of them,
where the floor has most of the say. Everything else is undetermined.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from softbench.statistics.power_law import Parameter, PowerLaw, Processes, fit

Kind = Literal["linear", "quadratic", "undetermined"]
FEWEST_LENGTHS = 5
BANDS: dict[Kind, tuple[float, float]] = {"linear": (0.9, 1.1), "quadratic": (1.9, 2.1)}


@dataclass(frozen=True)
class Verdict:
    """How a cost grows, and why that is said, in words."""

    kind: Kind
    reason: str


def verdict(
    medians: Mapping[int, Sequence[float]], *, processes: Processes | None = None
) -> Verdict:
    """The verdict on one median of every process at each length.

    processes: which process each is of, as for `power_law.fit`. Raises ValueError for a median that
    is not positive, or a length without one.
    """
    if len(medians) < FEWEST_LENGTHS:
        return Verdict("undetermined", f"{len(medians)} lengths, a verdict takes {FEWEST_LENGTHS}")
    law, smallest = fit(medians, processes=processes), min(medians)
    if law.without_interval:
        return Verdict("undetermined", f"{law.without_interval} a length gives no interval")
    kind = _of(law.exponent)
    if kind == "undetermined":
        return Verdict(kind, f"exponent {_told(law)} lies in neither band{_missed(law)}")
    rest = {length: values for length, values in medians.items() if length != smallest}
    shorter = fit(rest, processes=processes)
    within = f"exponent {_told(law)} lies within {_band(kind)}"
    if _of(shorter.exponent) != kind:
        but = f"but not without N = {smallest:,}: {_told(shorter)}"
        return Verdict("undetermined", f"{within}, {but}{_missed(law)}")
    return Verdict(kind, f"{within}, also without N = {smallest:,}{_missed(law)}")


def _of(exponent: Parameter) -> Kind:
    if exponent.low is None or exponent.high is None:
        return "undetermined"
    for kind, (low, high) in BANDS.items():
        if low <= exponent.low and exponent.high <= high:
            return kind
    return "undetermined"


def _band(kind: Kind) -> str:
    low, high = BANDS[kind]
    return f"{low:g} to {high:g}"


def _told(law: PowerLaw) -> str:
    exponent = law.exponent
    if law.exact and law.holds:
        return f"{exponent.value:.2f} (counts)"
    return f"{exponent.value:.2f} [{exponent.low:.2f}, {exponent.high:.2f}]"


def _missed(law: PowerLaw) -> str:
    if law.holds:
        return ""
    return f"; no one law fits: lengths lie up to {law.misfit:.0%} off it, which the interval holds"
