"""The plan of every case: what its worker predicted, what is recorded of it, what it would take."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from softbench.case import Case
from softbench.environment import Environment
from softbench.run import Ledger
from softbench.run.agenda import Item, items
from softbench.run.estimate import Estimate, Expected, Pace, estimate
from softbench.suite import Suite, only_counts


@dataclass(frozen=True)
class Row:
    """Of one case: the status it would get, what one call costs, what is left to measure.

    status: "run", "skipped", "unsupported", "error", or "counted" where nothing runs; None where
    its device is not here. latency, fits and seconds are None where they cannot be told. memory is
    peak_memory, held_memory what a call stands on; cells are measurements, one a metric and repeat.
    """

    case: Case
    status: str | None
    reason: str | None
    flops: int | None
    memory: int | None
    held_memory: int | None
    latency: float | None
    fits: bool | None
    cells: int
    recorded: int
    seconds: float | None

    def as_json(self) -> dict[str, Any]:
        """One object: FLOP, bytes, seconds."""
        return {
            "id": self.case.id,
            "label": self.case.label,
            "status": self.status,
            "reason": self.reason,
            "predicted_flops": self.flops,
            "predicted_peak_memory": self.memory,
            "predicted_latency": self.latency,
            "fits": self.fits,
            "held_memory": self.held_memory,
            "cells": self.cells,
            "recorded": self.recorded,
            "run_seconds": self.seconds,
            "case": self.case.model_dump(mode="json"),
        }


def rows_of(
    cases: Sequence[Case],
    suite: Suite,
    ledger: Ledger,
    environment: Environment,
    planned: Mapping[str, Mapping[str, Any]],
    pace: Pace,
) -> tuple[list[Row], Estimate | None]:
    """A row a case, and how long the run would take; None where a case's device is not here."""
    whole, left = items(cases, suite, Ledger([], suite.budget)), items(cases, suite, ledger)
    here = all(environment.has(case.device) for case in cases)
    told = _estimate(cases, left, suite, planned, pace) if here else None
    of_all, lacking = _cells(whole), _cells(left)
    rows = []
    for case in cases:
        says = planned[case.id]
        status, reason = _status(case, suite, environment, says)
        row = Row(
            case=case, status=status, reason=reason, flops=says.get("flops"),
            memory=says.get("bytes"), held_memory=says.get("held_bytes"),
            latency=says.get("seconds"), fits=says.get("fits"), cells=of_all[case.id],
            recorded=of_all[case.id] - lacking[case.id],
            seconds=told.cases.get(case.id, 0.0) if told else None,
        )  # fmt: skip
        rows.append(row)
    return rows, told


def _estimate(
    cases: Sequence[Case],
    left: Sequence[Item],
    suite: Suite,
    planned: Mapping[str, Mapping[str, Any]],
    pace: Pace,
) -> Estimate:
    expected = {
        id: Expected(says["seconds"], says["held_bytes"], says["besides"])
        for id, says in planned.items()
        if says.get("besides")
    }
    groups = {(case.device, case.dtype) for case in cases if case.id in expected}
    return estimate(left, expected, len(groups), suite, suite.protocol, pace)


def _cells(found: Sequence[Item]) -> Counter[str]:
    """How many measurements of each case."""
    cells: Counter[str] = Counter()
    for item in found:
        cells.update({case_id: len(metrics) for case_id, metrics in item.todo.items()})
    return cells


def _status(
    case: Case, suite: Suite, environment: Environment, says: Mapping[str, Any]
) -> tuple[str | None, str | None]:
    """What would become of the case, and why."""
    if says["status"] in ("unsupported", "error"):
        return says["status"], says["reason"]
    if not suite.runs(case):
        return "counted", "at this length nothing runs"
    if not environment.has(case.device):
        return None, f"there is no {case.device} here"
    if all(only_counts(name) for name in suite.metrics):
        return "counted", None
    if case.device == "meta":
        counts = any(only_counts(name) for name in suite.metrics)
        return "counted" if counts else "unsupported", "nothing runs on the meta device"
    return says["status"], says["reason"]
