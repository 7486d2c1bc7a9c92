"""Cases that take turns while the machine drifts: who is tagged, and that the sentinel looks on.

Mutants seen red: the sentinel never read, read once a round only, what it saw not merged, every
case's readings counted from the start of the block, a new sentinel for every task.
"""

from __future__ import annotations

from collections.abc import Iterator
from types import ModuleType
from typing import Any

import pytest

from softbench import plugins
from softbench.case import Case, Measurement, Shape
from softbench.metrics._roofline import Rates
from softbench.metrics._sentinel import Sentinel
from softbench.protocol import Protocol
from softbench.worker.measuring import Task, measure_block
from softbench.workload import Workload

BUDGET = {"case_seconds": 1e9, "suite_seconds": 1e9, "memory_fraction": 0.7}
RATES = Rates(gemm=1e9, stream=1e9, exponential=1e9)


def make(backend: str) -> Case:
    return Case(
        level="operator", attention="softmax", params={}, backend=backend, inputs="normal",
        dtype="float32", device="cpu", mode="forward", compile=False, seed=0,
        shape=Shape(seq_len=16, head_dim=8),
    )  # fmt: skip


SHORT, LONG = make("eager"), make("sdpa")


class Scripted(Sentinel):
    """Every look is a reading; the machine slows down for good at the fifth."""

    def __init__(self) -> None:
        super().__init__((), Protocol())

    def look(self) -> None:
        """One reading more."""
        self.readings.append(1.0 if len(self.readings) < 4 else 2.0)


@pytest.fixture
def metric(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """A metric that takes one turn more of the long case than of the short one, three at least."""
    module = ModuleType("stand_in")

    def measure(workload: Workload, protocol: Protocol) -> Iterator[None]:
        for _ in range(2 + 5 * (workload.case == LONG)):
            yield
        return {"found": Measurement([1.0, 2.0])}  # type: ignore[return-value]

    module.__dict__.update(QUANTITIES={"found": ("s", "lower")}, REPEATED=True, measure=measure)
    load = plugins.load
    monkeypatch.setattr(
        plugins, "load", lambda room, name: module if name == "stand_in" else load(room, name)
    )
    return module


def block(
    cases: list[Case], sentinels: dict[str, Sentinel], turns: list[str] | None = None
) -> dict[str, dict[str, Any]]:
    """Answers by case; `turns` is filled with whose turn it was at each."""
    metrics = {case.id: ["stand_in"] for case in cases}
    task = Task(cases, metrics, 0, BUDGET, {}, RATES, Protocol(), sentinels=sentinels)
    entered: list[str] = [] if turns is None else turns
    answers = measure_block(task, lambda case, metric: entered.append(case))
    return {answer["case"]: answer for answer in answers}


def test_a_reading_falls_between_any_two_turns(metric: ModuleType) -> None:
    watch = Scripted()
    block([SHORT, LONG], {"cpu": watch})
    assert len(watch.readings) == 3 + 8


def test_times_taken_in_a_drift_are_tagged_and_kept(metric: ModuleType) -> None:
    detail = block([LONG], {"cpu": Scripted()})[LONG.id]["detail"]
    assert detail["tags"] == ["drift"]
    assert detail["sentinel"]["ratios"] == [1.0] * 4 + [2.0] * 4
    assert block([LONG], {"cpu": Scripted()})[LONG.id]["values"] == [1.0, 2.0]


def test_times_taken_before_it_are_not(metric: ModuleType) -> None:
    told = block([SHORT], {"cpu": Scripted()})[SHORT.id]["detail"]
    assert told["tags"] == []
    assert told["sentinel"]["ratios"] == [1.0] * 3


def test_a_case_is_held_against_what_was_read_since_its_own_first_turn(metric: ModuleType) -> None:
    turns: list[str] = []
    found = block([SHORT, LONG], {"cpu": Scripted()}, turns)
    taken = turns[2:]  # each is entered once before, for its budget
    for id, answer in found.items():
        first, last = taken.index(id), len(taken) - 1 - taken[::-1].index(id)
        # A reading comes before every turn, whoever's it is.
        assert len(answer["detail"]["sentinel"]["ratios"]) == last - first + 1


def test_the_process_keeps_its_reference_from_task_to_task(metric: ModuleType) -> None:
    sentinels: dict[str, Sentinel] = {}
    block([SHORT], sentinels)
    first = sentinels["cpu"]
    block([LONG], sentinels)
    assert sentinels["cpu"] is first
    assert first.readings
