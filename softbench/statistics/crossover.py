"""From which length on one method beats another: an interval between measured lengths, or censored.

A method counts as better at a length only where its interval lies wholly on the better side of the
other's; exact counts are intervals of no width, and equal ones are no win. Where a slow case left
fewer than three calls in a process, every call of the one must beat every call of the other, over
three processes each: by chance that happens to the one once in twenty times, and to either of them
once in ten. Everything else is undetermined. Nothing is extrapolated: beyond the measured lengths
the answer is "below" or "not within". Where between the lengths the curves cross is estimated in
crossing.py.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import takewhile
from typing import Literal

from softbench.statistics.interval import Estimate

Kind = Literal["below", "between", "undetermined", "not_within"]
Verdict = Literal["better", "not better", "undetermined"]
FEWEST_PROCESSES = 3


@dataclass(frozen=True)
class Crossover:
    """Where a method starts to be better and stays so up to the largest length compared.

    below: at every length, `until` being the smallest. between: in (after, until].
    undetermined: if anywhere, after `after` (None: perhaps below the smallest) and not after
    `until` (None: perhaps above the largest). not_within: not better at the largest, `after`.
    `wins` are all lengths at which it is better, whatever follows.
    """

    kind: Kind
    after: int | None
    until: int | None
    wins: tuple[int, ...]


def crossover(
    pairs: Mapping[int, tuple[Estimate, Estimate]], better: Literal["lower", "higher"]
) -> Crossover:
    """The crossover of a method and its rival, given both estimates at every common length.

    Raises ValueError if there is no common length.
    """
    if not pairs:
        raise ValueError("a crossover needs a length at which both methods were measured; got none")
    lengths = sorted(pairs)
    verdicts = [compare(*pairs[length], better) for length in lengths]
    wins = tuple(n for n, said in zip(lengths, verdicts, strict=True) if said == "better")
    last_loss = max((i for i, said in enumerate(verdicts) if said == "not better"), default=-1)
    after = lengths[last_loss] if last_loss >= 0 else None
    rest = len(verdicts) - 1 - last_loss
    if rest == 0:
        return Crossover("not_within", after, None, wins)
    lasting = len(list(takewhile(lambda said: said == "better", reversed(verdicts))))
    until = lengths[-lasting] if lasting else None
    if lasting < rest:
        return Crossover("undetermined", after, until, wins)
    return Crossover("below" if after is None else "between", after, until, wins)


def compare(own: Estimate, rival: Estimate, better: Literal["lower", "higher"]) -> Verdict:
    """Whether `own` is better than `rival` beyond doubt, or not better, or neither can be said."""
    bounds, others = _bounds(own), _bounds(rival)
    if bounds is None or others is None:
        return "undetermined"
    if better == "higher":
        bounds, others = others, bounds
    if bounds[1] < others[0]:
        return "better"
    equal_counts = own.exact and rival.exact
    return "not better" if others[1] < bounds[0] or equal_counts else "undetermined"


def _bounds(estimate: Estimate) -> tuple[float, float] | None:
    if estimate.exact:
        return estimate.centre, estimate.centre
    if estimate.low is not None and estimate.high is not None:
        return estimate.low, estimate.high
    if estimate.without_interval == "few calls" and estimate.num_processes >= FEWEST_PROCESSES:
        calls = [call for process in estimate.raw for call in process]
        return min(calls), max(calls)
    return None
