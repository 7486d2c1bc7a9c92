"""What is measured already, what is still to do, and how fast each family of cases ran."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from statistics import median

from softbench import plugins
from softbench.case import Case, Record
from softbench.suite import Budget


class Ledger:
    """Records of one environment and protocol, asked what they leave to do."""

    def __init__(self, records: Iterable[Record], budget: Budget) -> None:
        self._budget = budget
        self._settled: set[tuple[str, str, int]] = set()
        self.rates: dict[str, float] = {}  # seconds per FLOP by family of cases
        self._longest: dict[str, int] = {}
        for record in records:
            self.note(record)

    def note(self, record: Record) -> None:
        """Take one more record in."""
        if self._settles(record):
            self._settled.add((record.case.id, record.metric, record.repeat))
        if record.status == "ok" and record.unit == "s" and record.detail.get("flops"):
            self._note_rate(record)

    def has(self, record: Record) -> bool:
        """Whether this very measurement is settled already."""
        return (record.case.id, record.metric, record.repeat) in self._settled

    def lacks(self, case: Case, metric: str, repeat: int) -> bool:
        """Whether any quantity of the metric is still to be measured in this repeat."""
        module = plugins.load("metrics", metric)
        if repeat > 0 and not module.REPEATED:
            return False
        return any((case.id, name, repeat) not in self._settled for name in module.QUANTITIES)

    def _note_rate(self, record: Record) -> None:
        """The longest case of a family tells best how fast a longer one will be."""
        family, tokens = record.case.family, record.case.shape.seq_len
        if tokens >= self._longest.get(family, 0):
            self._longest[family] = tokens
            self.rates[family] = median(record.values) / record.detail["flops"]

    def _settles(self, record: Record) -> bool:
        """Errors are tried again, and what was skipped under a smaller budget than today's."""
        if record.status != "skipped":
            return record.status != "error"
        limits: Mapping[str, float] = self._budget.model_dump()
        kind = record.detail.get("budget", "")
        given = record.detail.get("fraction" if kind == "memory_fraction" else "limit", 0)
        return kind in ("memory_fraction", "case_seconds") and bool(limits[kind] <= given)
