"""What a case will cost, told before it runs, and the refusal of what costs too much.

Memory is followed on meta tensors. Time is what the case's family (all but its length) took at
other lengths, carried on along the slope between the two longest of them; where fewer are known,
along this machine's rate for matrix products, which is the least that a FLOP can take.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from softbench.case import Case
from softbench.metrics import flops, predicted_peak_memory
from softbench.metrics._meta import meta_workload
from softbench.worker.machine import free_memory

# For the latency a first call that is looked at, a warm-up and a sample; for the memory a first
# call and the one that is followed. Fewer tell nothing.
FEWEST_CALLS = 5

Seen = Mapping[str, Sequence[tuple[int, float]]]  # family to (FLOPs, seconds), fewest first


class Skipped(Exception):  # noqa: N818 - a finding, not an error
    """A case predicted over its budget; `detail` names the budget and its limit."""

    def __init__(self, reason: str, detail: dict[str, Any]) -> None:
        super().__init__(reason)
        self.detail = detail


@dataclass(frozen=True)
class Cost:
    """One call of a case as predicted: FLOPs, bytes it adds, bytes of inputs and weights, seconds.

    `held_bytes` counts gradients too where there are any: they stay between two turns.
    """

    flops: int
    bytes: int
    held_bytes: int
    seconds: float


def predict(case: Case, seen: Seen, gemm: float) -> Cost:
    """What one call of the case costs; `gemm` in seconds a FLOP. Raises Unsupported."""
    operations = sum(flops.closed_form(case).values())
    return Cost(
        flops=operations,
        bytes=predicted_peak_memory.predict(case),
        held_bytes=_held_bytes(case),
        seconds=seconds_of(operations, seen.get(case.family, ()), gemm),
    )


def seconds_of(operations: int, seen: Sequence[tuple[int, float]], gemm: float) -> float:
    """Seconds of a call of so many FLOPs, from (FLOPs, seconds) of its family, fewest first."""
    if not seen:
        return operations * gemm
    if operations <= seen[0][0]:
        return seen[0][1]
    for (fewer, shorter), (more, longer) in pairwise(seen):
        if operations <= more:
            return shorter + (operations - fewer) * (longer - shorter) / (more - fewer)
    more, longer = seen[-1]
    fewer, shorter = seen[-2] if len(seen) > 1 else (0, longer)
    slope = (longer - shorter) / (more - fewer)
    return longer + (operations - more) * (slope if slope > 0 else gemm)


def refuse(
    cost: Cost, budget: Mapping[str, float], device: str, seconds_besides: float = 0.0
) -> None:
    """Raise Skipped if the case would not fit into the memory or the time that it may use.

    seconds_besides: what the metric computes for it besides calling it.
    """
    fraction, limit = budget["memory_fraction"], memory_limit(budget, device)
    needed = cost.bytes + cost.held_bytes
    if needed > limit:
        raise Skipped(
            f"needs {needed / 2**30:.3g} GiB, more than the {limit / 2**30:.3g} GiB it may use",
            {"budget": "memory_fraction", "limit": math.floor(limit), "fraction": fraction},
        )
    seconds = FEWEST_CALLS * cost.seconds + seconds_besides
    if seconds > budget["case_seconds"]:
        reference = f" and {seconds_besides:.3g} s of references" if seconds_besides else ""
        raise Skipped(
            f"{FEWEST_CALLS} calls of {cost.seconds:.3g} s each{reference} would take more than "
            f"{budget['case_seconds']:g} s",
            {"budget": "case_seconds", "limit": budget["case_seconds"]},
        )


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


def _held_bytes(case: Case) -> int:
    workload = meta_workload(case)
    differentiated = sum(
        tensor.nbytes for tensor in (*workload.inputs, *workload.module.parameters())
    )
    buffers = sum(tensor.nbytes for tensor in workload.module.buffers())
    if workload.cotangent is None:
        return differentiated + buffers
    return 2 * differentiated + buffers + workload.cotangent.nbytes
