"""One block of cases measured in this process: budget first, then its cases interleaved.

Every way a case can go is an answer: measured, unsupported, skipped, out of memory, failed.
"""

from __future__ import annotations

import gc
import inspect
import random
import traceback
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import torch

from softbench import plugins
from softbench.case import Case, Measurement, Unsupported, content_hash
from softbench.metrics._meta import meta_workload
from softbench.protocol import Protocol
from softbench.worker.budget import (
    Cost,
    Seen,
    Skipped,
    memory_limit,
    predict,
    refuse,
    side_by_side,
)
from softbench.workload import build

Enter = Callable[[str, str], None]
Outcome = Mapping[str, Measurement | Unsupported] | Exception


@dataclass(frozen=True)
class Task:
    """What a driver asks for: cases of one block, the metrics each still lacks, what it may cost.

    seen: (FLOPs, seconds) of each family of cases at other lengths; gemm: seconds per FLOP of a
    matrix product here.
    """

    cases: Sequence[Case]
    metrics: Mapping[str, Sequence[str]]
    repeat: int
    budget: Mapping[str, float]
    seen: Seen
    gemm: float
    protocol: Protocol


def measure_block(task: Task, enter: Enter) -> Iterator[dict[str, Any]]:
    """Answers, one a (case, quantity): the fields of a record that only the worker knows."""
    costs: dict[str, Cost] = {}
    for name in dict.fromkeys(name for names in task.metrics.values() for name in names):
        module = plugins.load("metrics", name)
        runs = _runs(module)
        allowed = []
        for case in (case for case in task.cases if name in task.metrics[case.id]):
            enter(case.id, name)
            try:
                if runs:
                    costs[case.id] = costs.get(case.id) or predict(case, task.seen, task.gemm)
                    besides = _seconds_besides(module, case, task)
                    refuse(costs[case.id], task.budget, case.device, besides)
                allowed.append(case)
            except Exception as refusal:  # whatever a mechanism raises is an answer about its case
                yield from _answers(case, name, module, refusal, costs.get(case.id))
        for group in _groups(allowed, costs, task) if runs else [allowed]:
            for case, outcome in _outcomes(group, name, module, task, enter):
                yield from _answers(case, name, module, outcome, costs.get(case.id))


def _runs(module: ModuleType) -> bool:
    """Whether the metric runs the case; a count needs its shapes alone, and no budget."""
    return bool(module.REPEATED) or hasattr(module, "work")


def _groups(cases: Sequence[Case], costs: Mapping[str, Cost], task: Task) -> list[list[Case]]:
    """The cases that are interleaved: as many as fit into memory together."""
    limit = memory_limit(task.budget, cases[0].device) if cases else 0.0
    return side_by_side(cases, costs, limit)


def _seconds_besides(module: ModuleType, case: Case, task: Task) -> float:
    """Of the metric's own work for a case, beyond calling it; at least, as `predict` has it."""
    work = float(module.work(case)) if hasattr(module, "work") else 0.0
    return work * task.gemm


def _outcomes(
    cases: Sequence[Case], name: str, module: ModuleType, task: Task, enter: Enter
) -> Iterator[tuple[Case, Outcome]]:
    """Each case with what the metric found; generators take turns, plain metrics go one by one."""
    if inspect.isgeneratorfunction(module.measure):
        yield from _interleaved(cases, name, module, task, enter)
        return
    for case in cases:
        enter(case.id, name)
        try:
            workload = build(case) if _runs(module) else meta_workload(case)
            outcome: Outcome = module.measure(workload, task.protocol)
        except Exception as error:
            outcome = _without_tensors(error)
        yield case, outcome


def _interleaved(
    cases: Sequence[Case], name: str, module: ModuleType, task: Task, enter: Enter
) -> Iterator[tuple[Case, Outcome]]:
    """In every round each case advances by one step, in an order drawn anew."""
    order = random.Random(content_hash([[case.id for case in cases], task.repeat]))
    running: dict[str, Generator[None, None, dict[str, Measurement]]] = {}
    by_id = {case.id: case for case in cases}
    turns = list(by_id)
    while turns:
        order.shuffle(turns)
        for id in list(turns):
            enter(id, name)
            try:
                if id not in running:
                    running[id] = module.measure(build(by_id[id]), task.protocol)
                next(running[id])
                continue
            except StopIteration as end:
                outcome: Outcome = end.value
            except Exception as error:
                outcome = _without_tensors(error)
            turns.remove(id)
            running.pop(id, None)
            yield by_id[id], outcome


def _without_tensors(error: Exception) -> Exception:
    """The error with its frames cleared: a traceback keeps tensors alive for the next case."""
    traceback.clear_frames(error.__traceback__)
    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
    return error


def _answers(
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
