"""What a case will cost, told before it runs, and the refusal of what costs too much.

Memory is followed on meta tensors; time is FLOPs over the rate that the case's family (all but
its length) reached at shorter lengths, or over this machine's matrix-product rate where nothing
is known yet: a lower bound, so that nothing is skipped which might have fitted.
"""

from __future__ import annotations

import math
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import psutil
import torch

from softbench.case import Case
from softbench.metrics import flops, predicted_peak_memory

# Warm-up and sample of the latency, warm-up and sample of the memory: fewer tell nothing.
FEWEST_CALLS = 4


class Skipped(Exception):  # noqa: N818 - a finding, not an error
    """A case predicted over its budget; `detail` names the budget and its limit."""

    def __init__(self, reason: str, detail: dict[str, Any]) -> None:
        super().__init__(reason)
        self.detail = detail


@dataclass(frozen=True)
class Cost:
    """One call of a case as predicted: FLOPs, bytes above its inputs, bytes held, seconds."""

    flops: int
    bytes: int
    held_bytes: int
    seconds: float


def predict(case: Case, rates: Mapping[str, float]) -> Cost:
    """What one call of the case costs. Raises Unsupported where the mechanism does."""
    operations = sum(flops.closed_form(case).values())
    rate = max(rates.get(case.family, 0.0), rates.get("gemm", 0.0))
    shape = case.shape
    tokens = shape.batch_size * shape.num_heads * shape.seq_len * shape.head_dim
    tensors = 3 if case.level == "operator" else 1
    item = torch.empty((), dtype=getattr(torch, case.dtype), device="meta").element_size()
    return Cost(
        flops=operations,
        bytes=predicted_peak_memory.predict(case),
        held_bytes=tokens * tensors * item,
        seconds=operations * rate,
    )


def refuse(
    cost: Cost, budget: Mapping[str, float], device: str, seconds_besides: float = 0.0
) -> None:
    """Raise Skipped if the case would not fit into the memory or the time that it may use.

    seconds_besides: what the metric computes for it besides calling it.
    """
    fraction = budget["memory_fraction"]
    limit = fraction * _free_memory(device)
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


def gemm_rate(device: str) -> float:
    """Seconds per FLOP of a 1024-wide float32 matrix product on `device`, best of five."""
    size = 1024
    square = torch.full((size, size), 0.5, device=device)
    best = math.inf
    for _ in range(5):
        start = time.perf_counter()
        square @ square
        if device.startswith("cuda"):
            torch.cuda.synchronize(device)
        best = min(best, time.perf_counter() - start)
    return best / (2 * size**3)


def _free_memory(device: str) -> float:
    if device.startswith("cuda"):
        return float(torch.cuda.mem_get_info(device)[0])
    return float(psutil.virtual_memory().available) if device == "cpu" else math.inf
