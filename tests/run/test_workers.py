"""Workers side by side: every training once, one writer of records, and going on after a kill."""

from __future__ import annotations

import signal
from collections.abc import Iterator

import pytest

from run.commands import Bench, gone, wait_until
from softbench.run.progress import in_turns

TASK = {"name": "digits", "epochs": 60, "batch_size": 64, "test_samples": 32}
SUITE = {
    "level": "model",
    "shape": {},
    "model": {"name": "vit", "patch_size": 2, "depth": 1, "dim": 16, "num_heads": 2},
    "task": TASK,
    "mode": "forward_backward",
    "seed": [0, 1],
    "workers": 2,
    "metrics": ["accuracy"],
    "budget": {"case_seconds": 2000},
}


def test_lanes_take_turns_until_all_have_ended() -> None:
    items = iter(range(5))

    def lane(name: str) -> Iterator[str]:
        for item in items:
            yield f"{name}{item}"

    assert list(in_turns([lane("a"), lane("b")])) == ["a0", "b1", "a2", "b3", "a4"]


@pytest.mark.slow
def test_killed_in_a_training_it_goes_on_where_it_stopped(bench: Bench) -> None:
    bench.suite(**SUITE)
    first = bench.start()
    wait_until(lambda: list(bench.folder.rglob("unfinished/*.pt")), seconds=250)
    workers = first.workers()
    first.kill(signal.SIGKILL)
    wait_until(lambda: gone(workers))
    before = len(bench.records())
    assert before < 6
    assert bench.run().wait() == 0
    accuracies = [r for r in bench.records() if r.metric == "accuracy"]
    assert sorted(r.case.seed for r in accuracies) == [0, 1]
    assert len(bench.records()) == 6
    assert any(r.detail["resumed_at"] for r in accuracies)
    assert list(bench.folder.rglob("unfinished/*.pt")) == []
    assert len(accuracies[0].detail["curve"]) == 60


@pytest.mark.slow
def test_what_a_clock_tells_is_measured_before_any_training(bench: Bench) -> None:
    task = {**TASK, "epochs": 1}
    bench.suite(**{**SUITE, "task": task, "metrics": ["accuracy", "latency"]})
    assert bench.run().wait() == 0
    metrics = [record.metric for record in bench.records()]
    assert len(metrics) == 8
    assert set(metrics[:2]) == {"latency"}
    assert "latency" not in metrics[2:]
