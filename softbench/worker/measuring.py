"""One block of cases measured in this process: budget first, then its cases interleaved.

Every way a case can go is an answer: measured, unsupported, skipped, out of memory, failed.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import ModuleType
from typing import Any

from softbench import plugins
from softbench.case import Case
from softbench.metrics._meta import meta_workload
from softbench.protocol import Protocol
from softbench.worker.answers import Outcome, answers
from softbench.worker.budget import Cost, Seen, memory_limit, predict, refuse, side_by_side
from softbench.worker.cap import capped
from softbench.worker.turns import Enter, interleaved, without_tensors
from softbench.workload import build


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
                yield from answers(case, name, module, refusal, costs.get(case.id))
        for group in _groups(allowed, costs, task) if runs else [allowed] * bool(allowed):
            for case, outcome in _outcomes(group, name, module, task, enter):
                yield from answers(case, name, module, outcome, costs.get(case.id))


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
    limit = memory_limit(task.budget, cases[0].device)
    if inspect.isgeneratorfunction(module.measure):
        yield from interleaved(cases, name, module, task.protocol, task.repeat, limit, enter)
        return
    for case in cases:
        enter(case.id, name)
        try:
            with capped(case.device, limit):
                workload = build(case) if _runs(module) else meta_workload(case)
                outcome: Outcome = module.measure(workload, task.protocol)
        except Exception as error:
            outcome = without_tensors(error)
        yield case, outcome
