"""What `softbench gate` holds a suite to: as data in the suite file, under the key `gate`."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, model_validator

from softbench.case import Value
from softbench.protocol import Fraction

Share = Annotated[float, Field(ge=0, lt=1, allow_inf_nan=False)]
Pairs = Annotated[int, Field(ge=1, le=10_000)]


class Budgets(Value):
    """The share by which a count may differ from the baseline's; 0 is not at all."""

    dispatched_flops: Share = 0.0
    predicted_peak_memory: Share = 0.0
    operators: Share = 0.0
    parameters: Share = 0.0


class Gate(Value):
    """When a change is refused.

    pairs: of fresh processes, timed before the first look, and more by as many until `max_pairs`
    while nothing can be told. margin: the share by which a cell may be slower. detect: the slowdown
    that a cell must have excluded to pass. alpha: the chance of a false alarm in the whole suite,
    shared out over the looks by the pairs that each adds.
    """

    pairs: Pairs = 12
    max_pairs: Pairs = 36
    margin: Share = 0.02
    detect: Share = 0.1
    alpha: Fraction = 0.05
    budgets: Budgets = Budgets()

    @model_validator(mode="after")
    def _can_find_and_can_pass(self) -> Gate:
        """A gate that could never find anything, or let anything pass, is none."""
        if self.max_pairs < self.pairs:
            raise ValueError(f"max_pairs {self.max_pairs} is less than pairs {self.pairs}")
        if self.detect <= self.margin:
            raise ValueError(f"detect {self.detect} must be larger than margin {self.margin}")
        first = next(iter(self.looks.values()))
        if 2.0**-self.pairs > first:
            raise ValueError(
                f"with {self.pairs} pairs no slowdown is ever significant at {first:.2g}; take more"
            )
        return self

    @property
    def looks(self) -> dict[int, float]:
        """Pairs at which the data are looked at, and what of alpha each look spends."""
        ends = [*range(self.pairs, self.max_pairs, self.pairs), self.max_pairs]
        added = [end - begin for begin, end in zip([0, *ends], ends, strict=False)]
        return {
            end: self.alpha * pairs / self.max_pairs for end, pairs in zip(ends, added, strict=True)
        }
