"""What is predicted over a budget is skipped with what was predicted, and tried under a larger one.

Mutants seen red: too much memory not refused, a skip that no larger budget lifts (memory and
seconds, suite's time), a skip that does not settle, a suite's time without end.
"""

from __future__ import annotations

import pytest

from run.commands import Bench

METRICS = ["latency", "peak_memory", "parameters"]


@pytest.mark.parametrize("budget", ["case_seconds", "memory_fraction"])
def test_a_case_over_its_budget_is_skipped_until_that_grows(bench: Bench, budget: str) -> None:
    bench.suite(metrics=METRICS)
    small = f"budget.{budget}=0.000000001"
    assert bench.run("--set", small).code == 0
    parameters, latency, memory = bench.records()
    assert parameters.status == "ok"
    for record in (latency, memory):
        assert record.status == "skipped"
        assert record.detail["budget"] == budget
        assert record.detail["predicted"] > 0
        assert record.detail["limit"] < 100
    bench.run("--set", small)
    assert len(bench.records()) == 3
    bench.run("--set", "metrics=[latency]" if budget == "case_seconds" else "metrics=[peak_memory]")
    assert [record.status for record in bench.records()[3:]] == ["ok"]


def test_what_the_suites_time_does_not_reach_is_skipped_until_that_grows(bench: Bench) -> None:
    bench.suite(
        metrics=["turns"],
        shape={"batch_size": 1, "num_heads": 1, "seq_len": [16, 17, 18], "head_dim": 8},
        attention={"troubled": {"trouble": "sleeps"}},
    )
    plugins = ("turns", "troubled")
    little = ("--set", "budget.suite_seconds=0.2")
    command = bench.run(*little, plugins=plugins)
    assert command.code == 0
    first, *rest = bench.records()
    assert first.status == "ok"
    assert [(r.status, r.detail["budget"]) for r in rest] == [("skipped", "suite_seconds")] * 2
    assert "skipped: 2 cases in part or whole, the suite's time budget was spent" in command.out
    bench.run(*little, plugins=plugins)
    assert len(bench.records()) == 3
    bench.run("--set", "budget.suite_seconds=600", plugins=plugins)
    assert [(r.case.shape.seq_len, r.status) for r in bench.records()[3:]] == [
        (17, "ok"),
        (18, "ok"),
    ]
