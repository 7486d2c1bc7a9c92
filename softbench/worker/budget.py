"""What a case will cost, told before it runs, and the refusal of what costs too much.

Memory and work are followed in one step on meta tensors, time is told by `expected`. A cost holds
for a case whichever worker takes it, but for its seconds: it travels as JSON, so that no other
worker predicts it again.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from softbench.case import Case
from softbench.metrics import predicted_peak_memory
from softbench.metrics._meta import meta_workload
from softbench.metrics._roofline import Rates
from softbench.metrics._work import Work, WorkCounter, counted, gradient_bytes
from softbench.worker.expected import Seen, seconds_of
from softbench.worker.machine import free_memory
from softbench.workload import Workload

# For the latency a first call that is looked at, a warm-up and a sample; for the memory a first
# call and the one that is followed. Fewer tell nothing.
FEWEST_CALLS = 5


class Skipped(Exception):  # noqa: N818 - a finding, not an error
    """A case predicted over its budget; `detail` names the budget and its limit."""

    def __init__(self, reason: str, detail: dict[str, Any]) -> None:
        super().__init__(reason)
        self.detail = detail


@dataclass(frozen=True)
class Cost:
    """One call of a case as predicted: its work, bytes it adds, bytes it stands on, seconds.

    `held_bytes` are those of inputs and weights, and of gradients where there are any: they stay
    between two turns.
    """

    work: Work
    bytes: int
    held_bytes: int
    seconds: float

    @property
    def flops(self) -> int:
        """FLOPs of one call."""
        return self.work.flops


def predict(case: Case, seen: Seen, rates: Rates) -> Cost:
    """What one call of the case costs. Raises Unsupported."""
    workload = meta_workload(case)
    with WorkCounter() as counter:
        peak = predicted_peak_memory.peak_of(workload, case.device)
    work = counted(case, workload, counter)
    seconds = seconds_of(work, seen.get(case.family, ()), rates)
    return Cost(work, peak, _held_bytes(workload), seconds)


def told(cost: Cost) -> dict[str, Any]:
    """The cost as it travels; its seconds are told anew wherever it arrives."""
    return {key: value for key, value in asdict(cost).items() if key != "seconds"}


def foretold(cost: Cost | None) -> dict[str, float]:
    """Seconds and bytes of one call, in the units of what was to be measured; none if unknown."""
    return {"s": cost.seconds, "byte": cost.bytes} if cost else {}


def from_told(given: Mapping[str, Any], case: Case, seen: Seen, rates: Rates) -> Cost:
    """The cost of `case` that another worker told, with its seconds by what is known now."""
    cost = Cost(**{**given, "work": Work(**given["work"])}, seconds=0.0)
    return replace(cost, seconds=seconds_of(cost.work, seen.get(case.family, ()), rates))


def refuse(
    cost: Cost,
    budget: Mapping[str, float],
    device: str,
    seconds_besides: float = 0.0,
    training_seconds: float | None = None,
) -> None:
    """Raise Skipped if the case would not fit into the memory or the time that it may use.

    seconds_besides: what the metric computes for it besides calling it. training_seconds: of a
    metric that trains the case, which then is all of its time.
    """
    fraction, limit = budget["memory_fraction"], memory_limit(budget, device)
    if not fits(cost, limit):
        needed = cost.bytes + cost.held_bytes
        raise Skipped(
            f"needs {_gib(needed)} GiB, more than the {_gib(limit)} GiB it may use",
            {"budget": "memory_fraction", "limit": math.floor(limit), "fraction": fraction},
        )
    seconds = FEWEST_CALLS * cost.seconds + seconds_besides
    if training_seconds is not None:
        _refuse_training(training_seconds, budget["case_seconds"])
    elif seconds > budget["case_seconds"]:
        reference = f" and {seconds_besides:.3g} s of references" if seconds_besides else ""
        raise Skipped(
            f"{FEWEST_CALLS} calls of {cost.seconds:.3g} s{reference} would take more than "
            f"{budget['case_seconds']:g} s",
            {"budget": "case_seconds", "limit": budget["case_seconds"]},
        )


def _refuse_training(seconds: float, limit: float) -> None:
    if seconds > limit:
        raise Skipped(
            f"a training of {seconds:,.0f} s, by a few timed steps, would take more than "
            f"{limit:g} s",
            {"budget": "case_seconds", "limit": limit, "training_seconds": seconds},
        )


def fits(cost: Cost, limit: float) -> bool:
    """Whether the case, with what it stands on, goes into `limit` bytes."""
    return cost.bytes + cost.held_bytes <= limit


def memory_limit(budget: Mapping[str, float], device: str) -> float:
    """Bytes that a case on `device` may use now."""
    return budget["memory_fraction"] * free_memory(device)


def side_by_side(
    cases: Sequence[Case], costs: Mapping[str, Cost], limit: float
) -> list[list[Case]]:
    """The cases in groups that fit into memory together, each with the call of its largest."""
    groups: list[list[Case]] = []
    for case in cases:
        together = [*groups[-1], case] if groups else []
        mine = [costs[one.id] for one in together]
        if mine and sum(c.held_bytes for c in mine) + max(c.bytes for c in mine) <= limit:
            groups[-1].append(case)
        else:
            groups.append([case])
    return groups


def _gib(size: float) -> str:
    gib = size / 2**30
    return f"{gib:,.0f}" if gib >= 100 else f"{gib:.3g}"


def _held_bytes(workload: Workload) -> int:
    module = workload.module
    lived = (*workload.inputs, *module.parameters(), *module.buffers())
    held = sum(tensor.nbytes for tensor in lived) + gradient_bytes(workload)
    return held if workload.cotangent is None else held + workload.cotangent.nbytes
