"""Inside a worker: what a failing case leaves behind, and that it is named in time.

Mutants seen red: frames of a failed case kept, a case named too late.
"""

from __future__ import annotations

import weakref
from collections.abc import Iterator
from types import ModuleType
from typing import Any

import pytest
import torch

from softbench import plugins
from softbench.case import Case, Measurement, Shape
from softbench.metrics._roofline import Rates
from softbench.protocol import Protocol
from softbench.worker.measuring import Task, measure_block
from softbench.workload import Workload

RATES = Rates(gemm=1e11, stream=1e10, exponential=1e9)
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
    module.__dict__.update(QUANTITIES={"found": ("1", "lower")}, REPEATED=True)
    load = plugins.load
    monkeypatch.setattr(
        plugins, "load", lambda room, name: module if name == "stand_in" else load(room, name)
    )
    return module


def block(*cases: Case) -> Iterator[dict[str, Any]]:
    metrics = {case.id: ["stand_in"] for case in cases}
    task = Task(cases, metrics, 0, BUDGET, {}, RATES, Protocol())
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
    task = Task([one], {one.id: ["stand_in"]}, 0, BUDGET, {}, RATES, Protocol())
    list(measure_block(task, lambda case, metric: told.append(f"{metric} of {case}")))
    entered = f"stand_in of {one.id}"
    assert told[-3:] == [entered, "built", "measured"]
    assert told[:-3] == [entered]


def test_a_count_gets_shapes_without_memory(metric: ModuleType) -> None:
    seen: list[str] = []

    def measure(workload: Workload, protocol: Protocol) -> dict[str, Measurement]:
        seen.extend(tensor.device.type for tensor in workload.inputs)
        return {"found": Measurement([1])}

    metric.__dict__.update(measure=measure, REPEATED=False)
    [found] = block(make(shape=Shape(seq_len=2**40)))
    assert (found["status"], set(seen)) == ("ok", {"meta"})
