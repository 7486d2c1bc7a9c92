"""Inside a worker: what a failing case leaves behind, what is predicted, what is refused.

Mutants seen red: frames of a failed case kept, a case named too late, three calls instead of four,
the inputs' bytes left out.
"""

from __future__ import annotations

import math
import weakref
from collections.abc import Iterator
from types import ModuleType
from typing import Any

import pytest
import torch

from softbench import plugins
from softbench.case import Case, Measurement, Shape
from softbench.metrics import flops, predicted_peak_memory
from softbench.protocol import Protocol
from softbench.worker import budget
from softbench.worker.measuring import Task, measure_block

BUDGET = {"case_seconds": 20.0, "suite_seconds": 600.0, "memory_fraction": 0.7}


def make(backend: str = "eager", **fields: Any) -> Case:
    plain: dict[str, Any] = {
        "level": "operator", "attention": "softmax", "params": {}, "inputs": "normal",
        "dtype": "float32", "device": "cpu", "mode": "forward", "compile": False, "seed": 0,
        "shape": Shape(seq_len=16, head_dim=8),
    }  # fmt: skip
    return Case(backend=backend, **{**plain, **fields})


@pytest.fixture
def metric(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """A metric whose `measure` a test sets."""
    module = ModuleType("stand_in")
    module.__dict__.update(QUANTITIES={"found": ("1", "lower")}, REPEATED=False)
    load = plugins.load
    monkeypatch.setattr(
        plugins, "load", lambda room, name: module if name == "stand_in" else load(room, name)
    )
    return module


def block(*cases: Case) -> Iterator[dict[str, Any]]:
    metrics = {case.id: ["stand_in"] for case in cases}
    task = Task(cases, metrics, 0, BUDGET, {}, Protocol())
    return measure_block(task, lambda case, metric: None)


@pytest.mark.parametrize("in_turns", [False, True])
def test_a_failed_case_holds_no_tensor_for_the_next(metric: ModuleType, in_turns: bool) -> None:
    held: list[weakref.ref[torch.Tensor]] = []
    alive: list[bool] = []

    def fail(*_: object) -> dict[str, Measurement]:
        alive.extend(reference() is not None for reference in held)
        tensor = torch.zeros(8)
        held.append(weakref.ref(tensor))
        raise RuntimeError("DefaultCPUAllocator: can't allocate memory")

    def fail_in_turns(*_: object) -> Iterator[None]:
        yield
        fail()

    metric.__dict__["measure"] = fail_in_turns if in_turns else fail
    statuses = [found["status"] for found in block(make("eager"), make("sdpa"))]
    assert statuses == ["out_of_memory"] * 2
    assert alive == [False]


def test_a_case_is_named_before_it_is_touched(
    metric: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[str] = []

    def measure(*_: object) -> dict[str, Measurement]:
        told.append("measured")
        return {"found": Measurement([1])}

    metric.__dict__["measure"] = measure
    monkeypatch.setattr("softbench.worker.measuring.build", lambda case: told.append("built"))
    one = make()
    task = Task([one], {one.id: ["stand_in"]}, 0, BUDGET, {}, Protocol())
    list(measure_block(task, lambda case, metric: told.append(f"{metric} of {case}")))
    entered = f"stand_in of {one.id}"
    assert told[-3:] == [entered, "built", "measured"]
    assert told[:-3] == [entered]


@pytest.mark.parametrize("level", ["operator", "layer"])
def test_a_cost_is_what_the_counts_say(level: str) -> None:
    case = make(level=level)
    cost = budget.predict(case, {"gemm": 1e-9, case.family: 1e-6})
    assert cost.flops == sum(flops.closed_form(case).values())
    assert cost.seconds == pytest.approx(cost.flops * 1e-6)
    assert cost.bytes == predicted_peak_memory.predict(case)
    assert cost.held_bytes == (3 if level == "operator" else 1) * 8 * 16 * 8 * 4


def test_a_family_never_seen_is_as_fast_as_the_machine() -> None:
    case = make()
    assert budget.predict(case, {"gemm": 1e-9}).seconds == pytest.approx(2 * 2 * 8 * 16**2 * 8e-9)


@pytest.mark.parametrize(
    ("seconds", "held", "refused"),
    [(4.9, 0, None), (5.1, 0, "case_seconds"), (0, 71, "memory_fraction"), (0, 69, None)],
)
def test_four_calls_and_all_bytes_must_fit(
    seconds: float, held: int, refused: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(budget, "_free_memory", lambda device: 100.0)
    cost = budget.Cost(flops=1, bytes=held // 2, held_bytes=held - held // 2, seconds=seconds)
    if refused is None:
        budget.refuse(cost, BUDGET, "cpu")
        return
    with pytest.raises(budget.Skipped) as skipped:
        budget.refuse(cost, BUDGET, "cpu")
    assert skipped.value.detail["budget"] == refused
    assert skipped.value.detail["limit"] == {"case_seconds": 20, "memory_fraction": 70}[refused]


def test_counts_on_the_meta_device_need_no_memory() -> None:
    assert budget._free_memory("meta") == math.inf


def test_the_machines_rate_is_that_of_a_product() -> None:
    assert 1e-14 < budget.gemm_rate("cpu") < 1e-7
