"""Every quantity of a metric gets an answer, and what a metric itself computes is in the budget.

Broken on purpose, each of these turned a test here red: a quantity left out passed over in silence,
an Unsupported among the values written as ok, a metric's own work not counted, counted for metrics
that say nothing of it, the machine's rate left out, the rate of another dtype than float32 taken.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from types import ModuleType
from typing import Any

import pytest

from softbench import plugins
from softbench.case import Case, Measurement, Shape, Unsupported
from softbench.metrics import approximation_error
from softbench.metrics._roofline import Rates
from softbench.protocol import Protocol
from softbench.worker.measuring import Task, measure_block

BUDGET = {"case_seconds": 20.0, "suite_seconds": 600.0, "memory_fraction": 0.7}


def make(seq_len: int = 16) -> Case:
    return Case(
        level="operator", attention="softmax", params={}, backend="eager", inputs="normal",
        dtype="float32", device="cpu", mode="forward", compile=False, seed=0,
        shape=Shape(seq_len=seq_len, head_dim=8),
    )  # fmt: skip


def asked(
    case: Case, metric: str, gemm: float, float32: Rates | None = None
) -> list[dict[str, Any]]:
    task = Task(
        cases=[case], metrics={case.id: [metric]}, repeat=0, budget=BUDGET, seen={},
        rates=Rates(gemm, math.inf, math.inf), protocol=Protocol(), float32=float32,
    )  # fmt: skip
    return list(measure_block(task, lambda case, metric: None))


@pytest.fixture
def answers(monkeypatch: pytest.MonkeyPatch) -> Callable[..., dict[str, dict[str, Any]]]:
    """Answers by quantity to a stand-in metric of two quantities, with what it defines besides."""
    module = ModuleType("stand_in")
    quantities = {"one": ("1", "lower"), "two": ("1", "higher")}
    load = plugins.load
    monkeypatch.setattr(
        plugins, "load", lambda room, name: module if name == "stand_in" else load(room, name)
    )

    def ask(**defined: Any) -> dict[str, dict[str, Any]]:
        module.__dict__.update(QUANTITIES=quantities, REPEATED=False, **defined)
        case = make()
        found = asked(case, "stand_in", gemm=1e9)
        assert len(found) == 2
        return {answer["metric"]: answer for answer in found}

    return ask


def test_one_quantity_may_be_unsupported_by_itself(answers: Any) -> None:
    values = {"one": Measurement([3.0]), "two": Unsupported("there is no such thing")}
    found = answers(measure=lambda *_: values)
    assert (found["one"]["status"], found["one"]["values"]) == ("ok", [3.0])
    two = found["two"]
    assert (two["status"], two["values"], two["better"]) == ("unsupported", [], "higher")
    assert two["reason"] == "there is no such thing"


def test_a_quantity_that_was_forgotten_is_an_error(answers: Any) -> None:
    found = answers(measure=lambda *_: {"one": Measurement([3.0])})
    assert found["one"]["status"] == "ok"
    assert found["two"]["status"] == "error"
    assert found["two"]["reason"] == "LookupError: the metric stand_in returned no two"


@pytest.mark.parametrize(("seconds", "status"), [(19.0, "ok"), (21.0, "skipped")])
def test_what_a_metric_computes_itself_is_in_the_budget(
    answers: Any, seconds: float, status: str
) -> None:
    both = {"one": Measurement([1.0]), "two": Measurement([2.0])}
    found = answers(measure=lambda *_: both, work=lambda case: int(seconds * 1e9))
    assert {answer["status"] for answer in found.values()} == {status}
    if status == "skipped":
        assert "and 21 s of references would take more than 20 s" in found["one"]["reason"]
        assert found["one"]["detail"]["budget"] == "case_seconds"


def test_a_count_is_never_refused(answers: Any) -> None:
    both = {"one": Measurement([1.0]), "two": Measurement([2.0])}
    assert answers(measure=lambda *_: both)["one"]["status"] == "ok"


def test_what_a_metric_computes_itself_is_told_in_float32() -> None:
    slow = Rates(1e4, math.inf, math.inf)
    found = asked(make(), "approximation_error", gemm=1e11, float32=slow)
    assert {answer["status"] for answer in found} == {"skipped"}


def test_a_reference_of_fifty_thousand_tokens_is_skipped() -> None:
    case = make(seq_len=50176)
    found = asked(case, "approximation_error", gemm=1e11)
    assert [answer["metric"] for answer in found] == list(approximation_error.QUANTITIES)
    assert {answer["status"] for answer in found} == {"skipped"}
