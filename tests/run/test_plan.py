"""`softbench plan` beside `softbench run`: it tells what the run then does, and does none of it.

Mutants seen red: a folder made, what is recorded told as left to do, times of what was measured
ignored, a device that is not here refused, time told for it, lengths that are only predicted told
as running, a run that measures at them, a count whose meta twin forgets the case's device.
"""

from __future__ import annotations

import json
from statistics import median
from typing import Any

import pytest

from run.commands import Bench
from softbench.cli.plan_table import WIDTH

SHAPE = {"batch_size": 1, "num_heads": 1, "seq_len": [16, 25], "head_dim": 8}
ASKED = {
    "shape": SHAPE,
    "predict_seq_len": 1048576,
    "attention": {"softmax": {"backend": ["eager", "sdpa"]}, "soft": {"num_landmarks": 4}},
    "metrics": ["latency", "flops", "predicted_peak_memory"],
    "repeats": 2,
}
CELLS = 2 * 3 * (2 + 2) + 3 * 2  # of 2 lengths latency twice and 2 counts, of a third the counts
RECORDS = 2 * 3 * 2 + 9 * (3 + 1)  # a count of FLOPs has three quantities
TOLD = {"flops": "predicted_flops", "predicted_peak_memory": "predicted_peak_memory"}


def planned(bench: Bench, *options: str, **rest: Any) -> tuple[list[dict[str, Any]], str]:
    """The objects that `plan --json` prints, and what it says beside them."""
    command = bench.plan("--json", *options, **rest)
    assert command.code == 0, command.err
    return [json.loads(line) for line in command.out.splitlines()], command.err


@pytest.fixture(scope="module")
def asked(shared_bench: Bench) -> Bench:
    shared_bench.suite(**ASKED)
    return shared_bench


@pytest.fixture(scope="module")
def before(asked: Bench) -> tuple[list[dict[str, Any]], str]:
    """The plan of a suite of which nothing is measured."""
    return planned(asked)


def test_an_object_a_case_before_anything_is_measured(
    before: tuple[list[dict[str, Any]], str],
) -> None:
    found, beside = before
    assert len(found) == 9
    for case in found:
        long = case["case"]["shape"]["seq_len"] == 1048576
        assert case["status"] == ("counted" if long else "run")
        assert case["predicted_flops"] > 0
        assert case["predicted_peak_memory"] > 0
        assert case["predicted_latency"] > 0
        assert case["fits"] is (case["predicted_peak_memory"] < 2**40)
        assert (case["recorded"], case["cells"]) == (0, 2 if long else 4)
        assert case["run_seconds"] > 0
    assert {case["fits"] for case in found} == {True, False}
    assert f"9 cases (6 run, 3 counted), {CELLS} measurements, 0 recorded" in beside
    assert "about " in beside


def test_people_get_a_table_and_nothing_is_written(asked: Bench) -> None:
    told = asked.plan().out.splitlines()
    assert max(map(len, told)) <= WIDTH
    assert sum(line.split()[0] in ("16", "25", "1,048,576") for line in told) == 9
    assert any(line.startswith("about ") and " to start workers" in line for line in told)
    # The suite, and what this test's commands printed; the run comes later in this file.
    assert {path.suffix for path in asked.folder.rglob("*")} == {".yaml", ".out", ".err"}


def test_what_was_run_is_recorded_and_lengths_that_are_predicted_never_ran(
    asked: Bench, before: tuple[list[dict[str, Any]], str]
) -> None:
    assert asked.run().code == 0
    records = {record.key: record for record in asked.records()}.values()
    assert len(records) == RECORDS
    for record in records:
        [told] = [case for case in before[0] if case["id"] == record.case.id]
        if record.metric in ("predicted_peak_memory", "flops"):
            assert record.values == [told[TOLD[record.metric]]]
        assert record.metric != "latency" or record.case.shape.seq_len < 1048576
    found, beside = planned(asked)
    assert [case["recorded"] for case in found] == [case["cells"] for case in found]
    assert f"{CELLS} recorded" in beside
    assert "nothing is left to measure" in beside
    timed = {r.case.id: median(r.values) for r in records if r.metric == "latency" and r.repeat}
    assert {case["id"]: case["predicted_latency"] for case in found if case["id"] in timed} == timed


def test_other_cells_are_left_to_do(asked: Bench) -> None:
    found, _ = planned(asked, "--only", "soft", "--set", "shape.seq_len=[16, 36]")
    assert len(found) == 3
    assert {case["case"]["attention"] for case in found} == {"soft"}
    assert {case["recorded"] for case in found} == {0}  # another suite, another folder


def test_a_device_that_is_not_here_is_planned_without_time(bench: Bench) -> None:
    bench.suite(**ASKED | {"predict_seq_len": []})
    found, beside = planned(bench, "--device", "cuda")
    for case in found:
        assert case["predicted_flops"] > 0
        assert case["predicted_peak_memory"] > 0
        assert case["predicted_latency"] is case["fits"] is case["run_seconds"] is None
        assert case["status"] is None
    assert {case["case"]["dtype"] for case in found} == {"float32", "bfloat16"}
    assert "there is no cuda here" in beside


def test_what_would_not_run_says_why(bench: Bench) -> None:
    bench.suite(
        attention={
            "softmax": {"backend": ["eager", "efficient"]},
            "soft": {"num_landmarks": 5},
            "troubled": {"trouble": "unsupported"},
        },
        metrics=["latency"],
    )
    little = ("--set", "budget.memory_fraction=0.000000001")
    found, beside = planned(bench, *little, plugins=("troubled",))
    assert [case["status"] for case in found] == ["skipped", *["unsupported"] * 3]
    assert [case["fits"] for case in found] == [False, None, None, None]
    assert all(case["reason"] for case in found)
    assert "1 do not fit" in beside
