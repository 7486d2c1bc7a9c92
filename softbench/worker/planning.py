"""What measuring a case would cost and come to, told without running it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from softbench.case import Case, Unsupported
from softbench.metrics._roofline import Rates
from softbench.worker.budget import Cost, Skipped, fits, memory_limit, predict, refuse
from softbench.worker.expected import Seen
from softbench.worker.measuring import runs, seconds_besides, trained
from softbench.worker.rates import UNLIMITED
from softbench.worker.turns import Enter
from softbench.workload import backend_ran


@dataclass(frozen=True)
class Outlook:
    """What a plan goes by; rates: None where the cases' device is not here or runs nothing.

    float32: what the machine can in float32, where the cases' dtype is another.
    """

    metrics: Sequence[str]
    budget: Mapping[str, float]
    seen: Seen
    rates: Rates | None
    float32: Rates | None = None


def plan_cases(cases: Sequence[Case], outlook: Outlook, enter: Enter) -> Iterator[dict[str, Any]]:
    """For each case whether it would run, or why not, and what one call of it costs.

    Without rates FLOPs and bytes are told alone, and neither time nor whether it fits.
    """
    for case in cases:
        enter(case.id, "prediction")
        try:
            yield {"case": case.id, **_planned(case, outlook)}
        except Exception as error:  # whatever a mechanism raises is an answer about its case
            unsupported = isinstance(error, Unsupported)
            reason = str(error) if unsupported else f"{type(error).__name__}: {error}"
            status = "unsupported" if unsupported else "error"
            yield {"case": case.id, "status": status, "reason": reason.partition("\n")[0]}


def _planned(case: Case, outlook: Outlook) -> dict[str, Any]:
    running = [name for name in outlook.metrics if runs(name)]
    if outlook.rates is not None and running:
        backend_ran(case)  # raises Unsupported where the device has not got it
    cost = predict(case, outlook.seen, outlook.rates or UNLIMITED)
    found = {"flops": cost.flops, "bytes": cost.bytes, "held_bytes": cost.held_bytes}
    if outlook.rates is None:
        return {"status": "run", "reason": None, **found}
    float32 = outlook.float32 or outlook.rates
    besides = {name: seconds_besides(name, case, float32) for name in running}
    training = {name: trained(name, case) for name in running}
    refused = _refused(case, cost, besides, training, outlook.budget)
    besides |= {name: seconds for name, seconds in training.items() if seconds is not None}
    skipped = bool(running) and len(refused) == len(running)
    return {
        "status": "skipped" if skipped else "run",
        "reason": next(iter(refused.values()), None),
        **found,
        "seconds": cost.seconds,
        "fits": fits(cost, memory_limit(outlook.budget, case.device)),
        "besides": {name: besides[name] for name in running if name not in refused},
    }


def _refused(
    case: Case,
    cost: Cost,
    besides: Mapping[str, float],
    training: Mapping[str, float | None],
    budget: Mapping[str, float],
) -> dict[str, str]:
    """The metrics that would be skipped, and why."""
    refused = {}
    for name, seconds in besides.items():
        try:
            refuse(cost, budget, case.device, seconds, training[name])
        except Skipped as reason:
            refused[name] = str(reason)
    return refused
