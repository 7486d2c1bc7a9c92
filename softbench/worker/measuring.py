"""One block of cases measured in this process: budget first, then its cases interleaved.

Every way a case can go is an answer: measured, unsupported, skipped, out of memory, failed.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from math import isfinite
from pathlib import Path
from types import ModuleType
from typing import Any

from softbench import plugins
from softbench.case import Case
from softbench.metrics._meta import meta_workload
from softbench.metrics._roofline import Rates
from softbench.metrics._sentinel import Sentinel, sentinel_of
from softbench.protocol import Protocol
from softbench.worker.answers import Outcome, answers
from softbench.worker.budget import (
    Cost,
    foretold,
    from_told,
    memory_limit,
    predict,
    refuse,
    side_by_side,
)
from softbench.worker.cap import Cap
from softbench.worker.expected import Seen
from softbench.worker.turns import Enter, interleaved, without_tensors
from softbench.workload import Workload, build

Know = Callable[[str, Mapping[str, float]], None]


@dataclass(frozen=True)
class Task:
    """What a driver asks for: cases of one block, the metrics each still lacks, what it may cost.

    seen: (FLOPs, seconds) of each family of cases at other lengths; rates: what this machine can
    do at most in the cases' dtype, float32: in that one, where a metric computes by itself. costs:
    of the cases that a worker predicted before, as it told them. sentinels: one a device, which the
    process keeps from task to task. place: a folder for what outlives a process that is killed.
    """

    cases: Sequence[Case]
    metrics: Mapping[str, Sequence[str]]
    repeat: int
    budget: Mapping[str, float]
    seen: Seen
    rates: Rates
    protocol: Protocol
    costs: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    float32: Rates | None = None
    place: str | None = None
    sentinels: dict[str, Sentinel] = field(default_factory=dict)


def measure_block(
    task: Task,
    enter: Enter,
    predicted: Callable[[str, Cost], None] = lambda case, cost: None,
    know: Know = lambda case, facts: None,
) -> Iterator[dict[str, Any]]:
    """Answers, one a (case, quantity): the fields of a record that only the worker knows.

    predicted: told of every case whose cost was not known yet. know: told what to say of a case
    should this worker die in it.
    """
    costs = {
        case.id: from_told(task.costs[case.id], case, task.seen, task.rates)
        for case in task.cases
        if case.id in task.costs
    }
    for name in dict.fromkeys(name for names in task.metrics.values() for name in names):
        module = plugins.load("metrics", name)
        allowed = []
        for case in (case for case in task.cases if name in task.metrics[case.id]):
            enter(case.id, name)
            try:
                if runs(name):
                    if case.id not in costs:
                        costs[case.id] = predict(case, task.seen, task.rates)
                        predicted(case.id, costs[case.id])
                    besides = seconds_besides(name, case, task.float32 or task.rates)
                    refuse(costs[case.id], task.budget, case.device, besides, trained(name, case))
                allowed.append(case)
            except Exception as refusal:  # whatever a mechanism raises is an answer about its case
                cost = costs.get(case.id)
                yield from answers(case, name, module, refusal, cost, task.rates)
        for group in _groups(allowed, costs, task) if runs(name) else [allowed] * bool(allowed):
            cap, facts = _room(group[0].device if runs(name) else "meta", task)
            for case in group:
                know(case.id, facts | foretold(costs.get(case.id)))
            for case, outcome in _outcomes(group, name, module, task, enter, cap):
                cost = costs.get(case.id)
                yield from answers(case, name, module, outcome, cost, task.rates)


def runs(metric: str) -> bool:
    """Whether the metric runs the case; a count needs its shapes alone, and no budget."""
    module = plugins.load("metrics", metric)
    return bool(module.REPEATED) or hasattr(module, "work")


def _groups(cases: Sequence[Case], costs: Mapping[str, Cost], task: Task) -> list[list[Case]]:
    """The cases that are interleaved: as many as fit into memory together."""
    limit = memory_limit(task.budget, cases[0].device) if cases else 0.0
    return side_by_side(cases, costs, limit)


def computes(metric: str) -> bool:
    """Whether the metric has work of its own, which it tells in float32 products."""
    return hasattr(plugins.load("metrics", metric), "work")


def seconds_besides(metric: str, case: Case, float32: Rates) -> float:
    """Of the metric's own work for a case, beyond calling it."""
    work = plugins.load("metrics", metric).work(case) if computes(metric) else 0
    return float(work) / float32.gemm


def trained(metric: str, case: Case) -> float | None:
    """Seconds of a metric that trains the case, by a few timed steps; None of any other."""
    module = plugins.load("metrics", metric)
    return float(module.seconds(case)) if hasattr(module, "Recipe") else None


def _room(device: str, task: Task) -> tuple[Cap, dict[str, float]]:
    """What a group may take, and in numbers what there is: bytes, where there is an end to them."""
    limit = memory_limit(task.budget, device)
    free = limit / task.budget["memory_fraction"]
    return Cap(device, limit), {"free": int(free), "cap": int(limit)} if isfinite(limit) else {}


def _outcomes(
    cases: Sequence[Case], name: str, module: ModuleType, task: Task, enter: Enter, cap: Cap
) -> Iterator[tuple[Case, Outcome]]:
    """Each case with what the metric found; generators take turns, plain metrics go one by one."""
    if inspect.isgeneratorfunction(module.measure):
        sentinel = _sentinel(task, cases[0].device)
        yield from interleaved(
            cases, name, module, task.protocol, task.repeat, cap, enter, sentinel
        )
        return
    for case in cases:
        enter(case.id, name)
        try:
            with cap:
                workload = _placed(case, task) if runs(name) else meta_workload(case)
                outcome: Outcome = module.measure(workload, task.protocol)
        except Exception as error:
            outcome = without_tensors(error)
        yield case, outcome


def _placed(case: Case, task: Task) -> Workload:
    workload = build(case)
    return replace(workload, place=Path(task.place)) if task.place else workload


def _sentinel(task: Task, device: str) -> Sentinel:
    if device not in task.sentinels:
        task.sentinels[device] = sentinel_of(device, task.protocol)
    return task.sentinels[device]
