"""Trainings gathered: of each mechanism the accuracy by seed, its curves and what it cost.

Mechanisms are compared where all else is alike: task, recipe, model, machine. A seed that failed
for one mechanism is missing there alone; differences are of the seeds that both have.
"""

from __future__ import annotations

import json
import statistics
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from softbench.case import Record
from softbench.reports import _models
from softbench.reports._groups import Group, groups
from softbench.reports._labels import order
from softbench.reports._points import Series, points
from softbench.statistics.paired import Difference, difference

ACCURACY, REFERENCE = "accuracy", "softmax"
STEP_MEMORY = "step_peak_memory"  # of the accuracy's detail
# What may stand on a panel's lower axis: unit, and whether it is told of a whole batch.
COSTS = {
    "flops": ("FLOP", True),
    "peak_memory": ("byte", False),
    STEP_MEMORY: ("byte", False),
    "latency": ("s", True),
    "training_cpu_time": ("s", False),
    "training_time": ("s", False),
    "parameters": ("count", False),
}


@dataclass(frozen=True)
class Trained:
    """One mechanism: test accuracy by seed (0 to 1), curves by seed, costs by quantity and seed."""

    series: Series
    accuracy: Mapping[int, float]
    curves: Mapping[int, Sequence[tuple[int, float]]]
    costs: Mapping[str, Mapping[int, float]]
    lost: Mapping[int, str]
    record_ids: tuple[str, ...]

    @property
    def mean(self) -> float | None:
        """Over its seeds; None where it has no accuracy."""
        return statistics.fmean(self.accuracy.values()) if self.accuracy else None

    def cost(self, quantity: str) -> float | None:
        """The mean over its seeds."""
        found = self.costs.get(quantity, {})
        return statistics.fmean(found.values()) if found else None


@dataclass(frozen=True)
class Field:
    """Mechanisms that may be compared; `task` as it stands in their cases, `words` its own name.

    majority: accuracy of always saying the most frequent class, 0 to 1; None where untold.
    """

    group: Group
    task: Mapping[str, Any] | None
    words: str
    trained: tuple[Trained, ...]
    majority: float | None = None

    @property
    def suffix(self) -> str:
        """The end of its files' names."""
        plain = "".join(c if c.isalnum() else "-" for c in self.words)
        return self.group.suffix + (f"_{plain}" if plain else "")

    @property
    def costs(self) -> list[str]:
        """The quantities of which there is something to show, memory by one instrument alone."""
        found = [q for q in COSTS if any(one.cost(q) and one.accuracy for one in self.trained)]
        twice = {STEP_MEMORY} if "peak_memory" in found else set()
        twice |= {"training_time"} if "training_cpu_time" in found and not self.on_cuda else set()
        twice |= {"training_cpu_time"} if self.on_cuda else set()
        return [quantity for quantity in found if quantity not in twice]

    @property
    def on_cuda(self) -> bool:
        """Whether it ran on a GPU, whose time the processor's seconds do not tell."""
        return str(self.group.fixed["device"]).startswith("cuda")

    @property
    def reference(self) -> Trained | None:
        """Softmax, the first of its backends; None where it was not trained."""
        return next((t for t in self.trained if _is_reference(t) and t.accuracy), None)

    @property
    def _pairs(self) -> int:
        """How many pairs of mechanisms there are to be compared, one at least."""
        able = sum(1 for one in self.trained if one.accuracy)
        return max(1, able * (able - 1) // 2)

    def against_reference(self) -> dict[Series, Difference]:
        """own - softmax of every other mechanism; the intervals of all pairs hold together."""
        reference = self.reference
        if reference is None:
            return {}
        others = [one for one in self.trained if one.series != reference.series and one.accuracy]
        return {
            one.series: difference(one.accuracy, reference.accuracy, of=self._pairs)
            for one in others
        }

    def beaten(self) -> dict[Series, list[Series]]:
        """Whom each mechanism beats; the intervals of all pairs hold together."""
        able = [one for one in self.trained if one.accuracy]
        return {
            one.series: [
                other.series
                for other in able
                if other.series != one.series
                and difference(one.accuracy, other.accuracy, of=self._pairs).side > 0
            ]
            for one in able
        }


def fields(records: Sequence[Record]) -> list[Field]:
    """What can be compared, one for each task, size, model and machine, those without any left out.

    Raises ValueError if there are no records.
    """
    found = []
    for group in groups(records, ("seq_len",)):
        parts: dict[str, list[Record]] = defaultdict(list)
        for record in group.records:
            parts[json.dumps(record.case.task, sort_keys=True)].append(record)
        tasks = [part[0].case.task for part in parts.values()]
        names = _models.apart([_flat(task) for task in tasks])
        for (_, part), task, name in zip(parts.items(), tasks, names, strict=True):
            trained = _trained(part)
            if any(one.accuracy for one in trained):
                words = name if len(parts) > 1 else ""
                found.append(Field(group, task, words, tuple(trained), _majority(part)))
    return found


def _majority(records: Sequence[Record]) -> float | None:
    """The mean over the records that tell of it."""
    told = [record.detail.get("majority") for record in records]
    known = [share for share in told if share is not None]
    return statistics.fmean(known) if known else None


def _flat(task: Mapping[str, Any] | None) -> dict[str, Any]:
    given = dict(task or {"name": "none"})
    params, recipe = given.pop("params", {}), given.pop("recipe", {})
    return {**given, **params, **recipe}


def _trained(records: Sequence[Record]) -> list[Trained]:
    latest = list({record.key: record for record in records}.values())
    of: dict[Series, list[Record]] = defaultdict(list)
    for point in points(latest):
        mine = set(point.record_ids)
        of[replace(point.series, seed=0)] += [r for r in latest if r.id in mine]
    return [_one(series, of[series]) for series in sorted(of, key=order)]


def _one(series: Series, records: Sequence[Record]) -> Trained:
    ok = [record for record in records if record.status == "ok"]
    tested = [record for record in ok if record.metric == ACCURACY]
    costs: dict[str, dict[int, float]] = defaultdict(dict)
    for record in ok:
        if record.metric in COSTS:
            batch = record.case.shape.batch_size if COSTS[record.metric][1] else 1
            costs[record.metric][record.case.seed] = statistics.median(record.values) / batch
    for record in tested:
        if STEP_MEMORY in record.detail:
            costs[STEP_MEMORY][record.case.seed] = record.detail[STEP_MEMORY]
    lost = [r for r in records if r.metric == ACCURACY and r.status != "ok"]
    return Trained(
        series=series,
        accuracy={r.case.seed: float(statistics.median(r.values)) for r in tested},
        curves={r.case.seed: _curve(r) for r in tested if r.detail.get("curve")},
        costs=costs,
        lost={r.case.seed: f"{r.status}: {r.reason}" for r in lost},
        record_ids=tuple(r.id for r in records if r.metric == ACCURACY),
    )


def _curve(record: Record) -> list[tuple[int, float]]:
    """(epochs trained, test accuracy after them)."""
    return [(epoch["epoch"] + 1, epoch["test_accuracy"]) for epoch in record.detail["curve"]]


def _is_reference(one: Trained) -> bool:
    return one.series.attention == REFERENCE
