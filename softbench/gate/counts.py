"""The deterministic layer: what every case of a suite counts, taken by a worker on meta tensors.

Counted with PyTorch's plainest instructions, whatever the processor has: the kernels' scratch
memory depends on the width of its vectors, and a baseline must hold on every machine.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from softbench.case import Case
from softbench.environment import Environment
from softbench.executors import local
from softbench.gate.baseline import METRICS, QUANTITIES, Entry
from softbench.gate.naming import names
from softbench.gate.outcome import Trouble
from softbench.run import Crew, WorkerLost
from softbench.suite import Suite

PATIENCE = 120.0  # a trace takes a fraction of a second, and its first imports some


class Plainly:
    """An executor whose workers use no vector instructions beyond every processor's."""

    WorkerDied = local.WorkerDied

    def start(self, threads: int) -> local.LocalWorker:
        """A new worker."""
        return local.LocalWorker(threads, {"ATEN_CPU_CAPABILITY": "default"})


def count(
    cases: Sequence[Case], suite: Suite, plugins: Sequence[tuple[str, str]]
) -> tuple[str, dict[str, Entry], list[Trouble]]:
    """The version of torch, the counts of every case by its name, and what could not be counted."""
    with Crew(Plainly(), suite.protocol, plugins) as crew:
        crew.hire()
        torch = torch_of(crew.environment())
        return torch, *counted(crew, cases, suite)


def torch_of(environment: Environment) -> str:
    """The version under which a baseline keeps counts: 2.11.0, whatever it was built for."""
    return environment.libraries["torch"].partition("+")[0]


def counted(
    crew: Crew, cases: Sequence[Case], suite: Suite
) -> tuple[dict[str, Entry], list[Trouble]]:
    """The counts of every case by its name, and what could not be counted.

    crew: a worker of Plainly, already greeted.
    """
    named = names(cases)
    answers: dict[str, list[dict[str, Any]]] = {case.id: [] for case in cases}
    lost = _asked(crew, cases, suite, answers)
    entries, troubles = {}, []
    for case in cases:
        told = _entry(case, answers[case.id]) if answers[case.id] or not lost else lost
        if isinstance(told, Entry):
            entries[named[case.id]] = told
        else:
            troubles.append(Trouble(kind="failed", name=named[case.id], reason=told))
    return entries, troubles


def _asked(
    crew: Crew, cases: Sequence[Case], suite: Suite, answers: Mapping[str, list[dict[str, Any]]]
) -> str:
    """Ask the worker for every case; why it was lost, if it was."""
    task = {
        "cases": [case.model_dump(mode="json") for case in cases],
        "metrics": {case.id: METRICS for case in cases},
        "repeat": 0,
        "budget": suite.budget.model_dump(mode="json"),
        "seen": {},
    }
    try:
        for event in crew.ask(task, PATIENCE):
            if event is not None and event["event"] == "measured":
                answers[event["case"]].append(event)
    except WorkerLost as lost:
        return str(lost)
    return ""


def _entry(case: Case, told: Sequence[dict[str, Any]]) -> Entry | str:
    """What the worker told of one case, or why it told less than everything."""
    for answer in told:
        if answer["status"] == "unsupported":
            return Entry(case=case, unsupported=answer["reason"])
        if answer["status"] != "ok":
            return f"{answer['metric']}: {answer['reason']}"
    by_metric = {answer["metric"]: answer for answer in told}
    lacking = [quantity for quantity in QUANTITIES if quantity not in by_metric]
    if lacking:
        return f"nothing was told of {', '.join(lacking)}"
    detail = by_metric["operators"]["detail"]
    return Entry(
        case=case,
        ran=detail["backend_ran"],
        counts={quantity: by_metric[quantity]["values"][0] for quantity in QUANTITIES},
        by_operator=detail["by_operator"],
        on_device=detail["on_device"],
    )
