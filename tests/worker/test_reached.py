"""How near a time came to the roofline, in every record that is a time and in no other.

Mutants seen red: the mean in place of the median, the fraction turned over, the fraction of the
product's rate taken for that of the bound, a record in bytes given a roofline, a time without one.
"""

from __future__ import annotations

from types import ModuleType

import pytest

from softbench import plugins
from softbench.case import Case, Measurement, Shape
from softbench.metrics._roofline import Rates
from softbench.metrics._work import Work, work_of
from softbench.protocol import Protocol
from softbench.worker.measuring import Task, measure_block
from softbench.worker.reached import reached

RATES = Rates(gemm=1e9, stream=1e6, exponential=1e12)
WORK = Work(flops=10**9, compulsory_bytes=4 * 10**6, moved_bytes=0, exponentials=1, operators=1)
BUDGET = {"case_seconds": 1e9, "suite_seconds": 1e9, "memory_fraction": 0.7}


def test_a_fraction_is_of_the_bound_and_of_the_median() -> None:
    assert reached(WORK, RATES, [8.0, 8.0, 80.0]) == {
        "gemm": 1e9,
        "stream": 1e6,
        "exponential": 1e12,
        "compulsory_bytes": 4 * 10**6,
        "bound": "stream",
        "least_seconds": 4.0,
        "fraction": 0.5,
        "gemm_fraction": 0.125,
    }


def test_a_clock_too_coarse_stops_nothing() -> None:
    told = reached(WORK, RATES, [0.0])
    assert (told["fraction"], told["gemm_fraction"]) == (None, None)


@pytest.mark.parametrize(("unit", "has_one"), [("s", True), ("byte", False)])
def test_every_time_says_what_fraction_of_the_peak_it_reached(
    monkeypatch: pytest.MonkeyPatch, unit: str, has_one: bool
) -> None:
    module = ModuleType("stand_in")
    found = {"found": Measurement([2.0])}
    module.__dict__.update(
        QUANTITIES={"found": (unit, "lower")}, REPEATED=True, measure=lambda *_: found
    )
    load = plugins.load
    monkeypatch.setattr(
        plugins, "load", lambda room, name: module if name == "stand_in" else load(room, name)
    )
    case = Case(
        level="operator", attention="softmax", params={}, backend="eager", inputs="normal",
        dtype="float32", device="cpu", mode="forward", compile=False, seed=0,
        shape=Shape(seq_len=16, head_dim=8),
    )  # fmt: skip
    task = Task([case], {case.id: ["stand_in"]}, 0, BUDGET, {}, RATES, Protocol())
    [answer] = measure_block(task, lambda case, metric: None)
    expected = reached(work_of(case), RATES, [2.0])
    assert answer["detail"].get("roofline") == (expected if has_one else None)
    assert ("flops" in answer["detail"]) is has_one
