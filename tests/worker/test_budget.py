"""What a case is predicted to cost, what is refused, what may be measured side by side.

Mutants seen red: four calls instead of five, the inputs' bytes left out, gradients left out, groups
that ignore what is held, seconds that travel with a cost.
"""

from __future__ import annotations

import json
import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from softbench.case import Case, Shape
from softbench.metrics import flops, predicted_peak_memory
from softbench.metrics._roofline import Rates
from softbench.metrics._work import Work, work_of
from softbench.worker import budget, machine

BUDGET = {"case_seconds": 20.0, "suite_seconds": 600.0, "memory_fraction": 0.7}
TENSOR = 8 * 16 * 8 * 4
RATES = Rates(gemm=1e9, stream=1e9, exponential=1e9)
NOTHING = Work(flops=1, compulsory_bytes=0, moved_bytes=0, exponentials=0, operators=0)


def make(**fields: Any) -> Case:
    plain: dict[str, Any] = {
        "level": "operator", "attention": "softmax", "params": {}, "inputs": "normal",
        "dtype": "float32", "device": "cpu", "mode": "forward", "compile": False, "seed": 0,
        "shape": Shape(seq_len=16, head_dim=8), "backend": "eager",
    }  # fmt: skip
    return Case(**{**plain, **fields})


@pytest.mark.parametrize(
    ("fields", "held"),
    [
        ({}, 3 * TENSOR),
        ({"mode": "forward_backward"}, 7 * TENSOR),
        ({"level": "layer"}, TENSOR + 4 * (64 * 64 + 64) * 4),
    ],
)
def test_a_cost_is_what_the_counts_say(fields: dict[str, Any], held: int) -> None:
    case = make(**fields)
    cost = budget.predict(case, {case.family: [(1, 7.0), (10**12, 7.0)]}, RATES)
    assert cost.work == work_of(case)
    assert cost.flops == sum(flops.closed_form(case).values())
    assert cost.seconds == pytest.approx(7.0)
    assert cost.bytes == predicted_peak_memory.predict(case)
    assert cost.held_bytes == held


def test_a_cost_arrives_as_it_was_told_with_seconds_of_its_own() -> None:
    case = make(mode="forward_backward")
    cost = budget.predict(case, {case.family: [(1, 7.0)]}, RATES)
    arrived = json.loads(json.dumps(budget.told(cost)))
    again = budget.from_told(arrived, case, {case.family: [(10**12, 3.0)]}, RATES)
    assert again.seconds == 3.0
    assert replace(again, seconds=cost.seconds) == cost


@pytest.mark.parametrize(
    ("seconds", "held", "refused"),
    [(3.9, 0, None), (4.1, 0, "case_seconds"), (0, 71, "memory_fraction"), (0, 69, None)],
)
def test_five_calls_and_all_bytes_must_fit(
    seconds: float, held: int, refused: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(budget, "free_memory", lambda device: 100.0)
    cost = budget.Cost(NOTHING, held // 2, held - held // 2, seconds)
    if refused is None:
        budget.refuse(cost, BUDGET, "cpu")
        return
    with pytest.raises(budget.Skipped) as skipped:
        budget.refuse(cost, BUDGET, "cpu")
    assert skipped.value.detail["budget"] == refused
    assert skipped.value.detail["limit"] == {"case_seconds": 20, "memory_fraction": 70}[refused]


def test_cases_stand_side_by_side_while_they_fit() -> None:
    cases = [make(seed=seed) for seed in range(4)]
    costs = {case.id: budget.Cost(NOTHING, 30, 20, 0.0) for case in cases}
    groups = budget.side_by_side(cases, costs, 90)
    assert [len(group) for group in groups] == [3, 1]
    assert [case for group in groups for case in group] == cases
    assert [len(group) for group in budget.side_by_side(cases, costs, 10)] == [1] * 4


def test_the_meta_device_has_no_end() -> None:
    assert machine.free_memory("meta") == math.inf


def test_memory_ends_where_the_control_group_does(tmp_path: Path) -> None:
    assert machine._left_of_group(tmp_path) == math.inf
    (tmp_path / "memory.current").write_text("30\n")
    (tmp_path / "memory.max").write_text("max\n")
    assert machine._left_of_group(tmp_path) == math.inf
    (tmp_path / "memory.max").write_text("100\n")
    assert machine._left_of_group(tmp_path) == 70
