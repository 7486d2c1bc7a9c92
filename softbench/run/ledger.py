"""What is measured already, what is still to do, how fast each family ran, what cases will cost."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from statistics import median
from typing import Any

from softbench import plugins
from softbench.case import CLOCKED, Case, Record
from softbench.suite import Budget


class Ledger:
    """Records of one environment and protocol, asked what they leave to do."""

    def __init__(self, records: Iterable[Record], budget: Budget) -> None:
        self._budget = budget
        self._settled: set[tuple[str, str, int]] = set()
        self._seen: dict[str, dict[int, float]] = {}
        self._costs: dict[str, Mapping[str, Any]] = {}
        for record in records:
            self.note(record)

    def note(self, record: Record) -> None:
        """Take one more record in."""
        if self._settles(record):
            self._settled.add((record.case.id, record.metric, record.repeat))
        if record.status == "ok" and record.unit in CLOCKED and "flops" in record.detail:
            of_family = self._seen.setdefault(record.case.family, {})
            told = median(record.values)
            seconds = told if record.unit == "s" else record.case.shape.batch_size / told
            of_family[record.detail["flops"]] = seconds

    def has(self, record: Record) -> bool:
        """Whether this very measurement is settled already."""
        return (record.case.id, record.metric, record.repeat) in self._settled

    def lacks(self, case: Case, metric: str, repeat: int) -> bool:
        """Whether any quantity of the metric is still to be measured in this repeat."""
        module = plugins.load("metrics", metric)
        if repeat > 0 and not module.REPEATED:
            return False
        return any((case.id, name, repeat) not in self._settled for name in module.QUANTITIES)

    def seen(self, cases: Iterable[Case]) -> dict[str, list[tuple[int, float]]]:
        """(FLOPs, seconds of a call) of the families of `cases` at other lengths, fewest first."""
        families = {case.family for case in cases}
        return {family: sorted(self._seen.get(family, {}).items()) for family in families}

    def note_cost(self, case_id: str, cost: Mapping[str, Any]) -> None:
        """Take in what a worker predicted of a case."""
        self._costs[case_id] = cost

    def costs(self, cases: Iterable[Case]) -> dict[str, Mapping[str, Any]]:
        """By case id what workers predicted of `cases`, where one did."""
        return {case.id: self._costs[case.id] for case in cases if case.id in self._costs}

    def _settles(self, record: Record) -> bool:
        """Errors are tried again, and what was skipped under a smaller budget than today's.

        What the suite's time did not reach is settled too: a second run measures nothing, unless
        it is given more time.
        """
        if record.status != "skipped":
            return record.status != "error"
        limits: Mapping[str, float] = self._budget.model_dump()
        kind = record.detail.get("budget", "")
        given = record.detail.get("fraction" if kind == "memory_fraction" else "limit", 0)
        return kind in limits and bool(limits[kind] <= given)
