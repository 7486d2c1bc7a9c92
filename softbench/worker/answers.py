"""What a worker answers about a case: its values, or why there are none and what was predicted."""

from __future__ import annotations

import traceback
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

from softbench.case import Case, Measurement, Unsupported
from softbench.metrics._roofline import Rates
from softbench.worker import shortage
from softbench.worker.budget import Cost, Skipped, foretold
from softbench.worker.reached import reached

Outcome = Mapping[str, Measurement | Unsupported] | Exception


def answers(
    case: Case,
    name: str,
    module: ModuleType,
    outcome: Outcome,
    cost: Cost | None,
    rates: Rates,
) -> Iterator[dict[str, Any]]:
    """One answer for every quantity of the metric, measured or not."""
    for quantity, (unit, better) in module.QUANTITIES.items():
        answer = {"case": case.id, "metric": quantity, "unit": unit, "better": better}
        found = _found(outcome, quantity, name)
        if isinstance(found, Exception):
            yield answer | _refusal(found, unit, None if hasattr(module, "Recipe") else cost)
        else:
            ok = {"status": "ok", "reason": None, "values": found.values}
            # Of a training, seconds are not those of a call.
            seconds = [] if hasattr(module, "Recipe") else _seconds(case, unit, found.values)
            work = _work(cost, rates, seconds) if cost and seconds else {}
            yield answer | ok | {"detail": found.detail | work}


def _found(outcome: Outcome, quantity: str, name: str) -> Measurement | Exception:
    """What there is of one quantity; one that the metric promised and forgot is an error."""
    if isinstance(outcome, Exception):
        return outcome
    return outcome.get(quantity) or LookupError(f"the metric {name} returned no {quantity}")


def _seconds(case: Case, unit: str, values: list[int | float]) -> list[float]:
    """Seconds of a call, if that is what was told, or images a second; else none."""
    if unit == "image/s":
        return [case.shape.batch_size / value for value in values]
    return values if unit == "s" else []


def _work(cost: Cost, rates: Rates, seconds: list[float]) -> dict[str, Any]:
    """What a call has to do, and how near its times came to what the machine can do."""
    return {"flops": cost.flops, "roofline": reached(cost.work, rates, seconds)}


def _refusal(error: Exception, unit: str, cost: Cost | None) -> dict[str, Any]:
    """Status, reason and what was predicted, for a case that has no value."""
    detail: dict[str, Any] = dict(getattr(error, "detail", {}))
    predicted = foretold(cost)
    if unit in predicted:
        detail["predicted"] = predicted[unit]
    status, reason = _status(error), _message(error)
    if status == "error":
        last = traceback.extract_tb(error.__traceback__)[-1:]
        detail["where"] = [f"{Path(frame.filename).name}:{frame.lineno}" for frame in last]
    if status == "out_of_memory":
        detail |= _shortage(error, cost) | {"message": reason}
        reason = shortage.in_words(detail) if "cap" in detail else reason
    return {"status": status, "reason": reason, "values": [], "detail": detail}


def _status(error: Exception) -> str:
    if isinstance(error, Unsupported):
        return "unsupported"
    if isinstance(error, Skipped):
        return "skipped"
    return "out_of_memory" if shortage.is_shortage(error) else "error"


def _message(error: Exception) -> str:
    """The error's own words on one line, with its type where that says something."""
    kind = "" if isinstance(error, Unsupported | Skipped) else f"{type(error).__name__}: "
    return f"{kind}{str(error).strip() or 'no message'}".splitlines()[0][:500]


def _shortage(error: Exception, cost: Cost | None) -> dict[str, int]:
    """Bytes asked for, if the error tells them, and predicted, whatever was to be measured."""
    asked = shortage.asked_bytes(error)
    told = {} if asked is None else {"asked": asked}
    return told | ({"predicted_bytes": cost.bytes} if cost else {})
