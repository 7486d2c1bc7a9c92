"""What a worker answers about a case: its values, or why there are none and what was predicted."""

from __future__ import annotations

import traceback
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

import torch

from softbench.case import Case, Measurement, Unsupported
from softbench.worker.budget import Cost, Skipped

Outcome = Mapping[str, Measurement | Unsupported] | Exception


def answers(
    case: Case, name: str, module: ModuleType, outcome: Outcome, cost: Cost | None
) -> Iterator[dict[str, Any]]:
    """One answer for every quantity of the metric, measured or not."""
    for quantity, (unit, better) in module.QUANTITIES.items():
        answer = {"case": case.id, "metric": quantity, "unit": unit, "better": better}
        found = _found(outcome, quantity, name)
        if isinstance(found, Exception):
            yield answer | _refusal(found, unit, cost)
        else:
            work = {"flops": cost.flops} if cost and unit == "s" else {}
            ok = {"status": "ok", "reason": None, "values": found.values}
            yield answer | ok | {"detail": found.detail | work}


def _found(outcome: Outcome, quantity: str, name: str) -> Measurement | Exception:
    """What there is of one quantity; one that the metric promised and forgot is an error."""
    if isinstance(outcome, Exception):
        return outcome
    return outcome.get(quantity) or LookupError(f"the metric {name} returned no {quantity}")


def _refusal(error: Exception, unit: str, cost: Cost | None) -> dict[str, Any]:
    """Status, reason and what was predicted, for a case that has no value."""
    detail: dict[str, Any] = dict(getattr(error, "detail", {}))
    predicted = {"s": cost.seconds, "byte": cost.bytes}.get(unit) if cost else None
    if predicted is not None:
        detail["predicted"] = predicted
    status = _status(error)
    if status == "error":
        last = traceback.extract_tb(error.__traceback__)[-1:]
        detail["where"] = [f"{Path(frame.filename).name}:{frame.lineno}" for frame in last]
    kind = "" if status in ("unsupported", "skipped") else f"{type(error).__name__}: "
    reason = f"{kind}{str(error).strip() or 'no message'}".splitlines()[0][:500]
    return {"status": status, "reason": reason, "values": [], "detail": detail}


def _status(error: Exception) -> str:
    if isinstance(error, Unsupported):
        return "unsupported"
    if isinstance(error, Skipped):
        return "skipped"
    allocator = isinstance(error, RuntimeError) and "DefaultCPUAllocator" in str(error)
    if allocator or isinstance(error, MemoryError | torch.OutOfMemoryError):
        return "out_of_memory"
    return "error"
