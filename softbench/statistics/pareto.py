"""Which of several options are worth having: nothing else is better in everything at once.

One option dominates another if it is at least as good in every quantity and better in one. The
front is drawn through the centres. That an option *is* dominated is said only where one other is
better in every quantity beyond doubt: in each by a one-sided Welch test (so that the largest of
their p-values counts: intersection-union, Berger 1982), with Bonferroni's correction for the
square of the number of options. Then of any number of identical options one is called dominated in
less than one of twenty comparisons; corrected for the pairs of different options alone, two would
sit at one in twenty and no simulation could tell. Equal counts neither hinder nor prove it.

How probable it is to be dominated, by whichever option, is counted in draws from the t
distributions of the mean log medians, the same draws every time.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from softbench.statistics._spread import Mean, combined, mean_of_medians
from softbench.statistics.interval import Estimate

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Array = NDArray[np.float64]

Option = Mapping[str, Estimate]
Better = Literal["lower", "higher"]
DRAWS = 4000


@dataclass(frozen=True)
class Standing:
    """How an option stands among the others.

    `on_front`: no other has centres that dominate its own. `probability`: that some other dominates
    it; None if it is not `judged`, which takes an interval or a count in every quantity.
    `dominated_by` is the other that dominates it beyond doubt, None where there is none.
    """

    on_front: bool
    probability: float | None
    dominated_by: str | None
    judged: bool


def front(
    options: Mapping[str, Option], better: Mapping[str, Better], *, level: float = 0.95
) -> dict[str, Standing]:
    """The standing of every option in the quantities of `better`.

    Raises ValueError without a quantity, or for an option that lacks one.
    """
    _refuse(options, better)
    judged = [name for name, option in options.items() if _judged(option, better)]
    probable = _probabilities([_means(options[name], better) for name in judged])
    told = dict(zip(judged, probable, strict=True))
    alpha = (1 - level) / max(1, len(judged)) ** 2
    return {
        name: Standing(
            on_front=not any(_beats(other, option, better) for other in options.values()),
            probability=told.get(name),
            dominated_by=_dominator(name, judged, options, better, alpha),
            judged=name in told,
        )
        for name, option in options.items()
    }


def _refuse(options: Mapping[str, Option], better: Mapping[str, Better]) -> None:
    if not better:
        raise ValueError("a front needs a quantity to compare by; got none")
    for name, option in options.items():
        lacking = [quantity for quantity in better if quantity not in option]
        if lacking:
            raise ValueError(
                f"option {name!r} has no {lacking[0]}; a front needs all of {[*better]}"
            )


def _judged(option: Option, better: Mapping[str, Better]) -> bool:
    return all(
        option[quantity].without_interval in (None, "exact") and option[quantity].centre > 0
        for quantity in better
    )


def _means(option: Option, better: Mapping[str, Better]) -> list[Mean]:
    """The mean log median of each quantity, turned so that lower is better."""
    return [
        combined([1.0 if side == "lower" else -1.0], [mean_of_medians(option[quantity].medians)])
        for quantity, side in better.items()
    ]


def _beats(own: Option, other: Option, better: Mapping[str, Better]) -> bool:
    """Whether the centres of one option dominate those of the other."""
    pairs = [(own[q].centre, other[q].centre, side) for q, side in better.items()]
    turned = [(a, b) if side == "lower" else (b, a) for a, b, side in pairs]
    return all(a <= b for a, b in turned) and any(a < b for a, b in turned)


def _dominator(
    name: str,
    judged: Sequence[str],
    options: Mapping[str, Option],
    better: Mapping[str, Better],
    alpha: float,
) -> str | None:
    """The option that most surely dominates `name`, if any does beyond doubt."""
    if name not in judged:
        return None
    own = _means(options[name], better)
    doubts = {
        other: _doubt(_means(options[other], better), own) for other in judged if other != name
    }
    surest = min(doubts, key=lambda other: doubts[other], default=None)
    return surest if surest is not None and doubts[surest] <= alpha else None


def _doubt(own: Sequence[Mean], other: Sequence[Mean]) -> float:
    """The p-value of `own` not dominating `other`; 1 where nothing proves that it does."""
    from scipy.special import stdtr

    doubts = []
    for pair in zip(own, other, strict=True):
        gap = combined([1.0, -1.0], pair)
        if gap.variance:
            doubts.append(float(stdtr(gap.freedom, gap.value / math.sqrt(gap.variance))))
        elif gap.value:
            doubts.append(float(gap.value > 0))
    return max(doubts, default=1.0)


def _probabilities(means: Sequence[Sequence[Mean]]) -> list[float]:
    """For each option, the share of draws in which some other dominates it."""
    import numpy as np

    if not means:
        return []
    draw = np.random.default_rng(0)
    drawn = np.array([[_drawn(mean, draw) for mean in option] for option in means])
    told = []
    for own in drawn:  # [quantities, draws], against all options at once
        as_good, better = (drawn <= own).all(axis=1), (drawn < own).any(axis=1)
        told.append(float((as_good & better).any(axis=0).mean()))
    return told


def _drawn(mean: Mean, draw: np.random.Generator) -> Array:
    import numpy as np

    if not mean.variance:
        return np.full(DRAWS, mean.value)
    return mean.value + math.sqrt(mean.variance) * draw.standard_t(mean.freedom, DRAWS)
