"""What is measured stays measured: after kills, signals and second runs; what is not, is.

Mutants seen red: a record written twice after a kill between quantities, SIGTERM unheeded, Ctrl-C
without a word, a worker that outlives its driver while it holds the interpreter, a worker's child
that outlives both, errors that
settle, out of memory tried again, --fresh that keeps what is known, protocol or environment
ignored, no line about other code.
"""

from __future__ import annotations

import json
import random
import signal
import time
from functools import partial
from pathlib import Path

import pytest

from run.commands import Bench, gone, wait_until
from softbench import records

SLOWLY = {
    "attention": {"troubled": {"trouble": ["sleeps", "none"]}, "softmax": {"backend": "sdpa"}},
    "shape": {"batch_size": 1, "num_heads": 1, "seq_len": [16, 17, 18], "head_dim": 8},
    "repeats": 2,
    "metrics": ["turns", "taken_once"],
}
PLUGINS = ("troubled", "turns", "taken_once")
CELLS = 3 * 3 * (2 + 2)  # turns in two repeats, two quantities of a count


def lines(bench: Bench) -> int:
    files = list(bench.folder.rglob(records.FILE))
    return files[0].read_bytes().count(b"\n") if files else 0


def assert_complete(bench: Bench) -> None:
    found = bench.records()
    assert len(found) == len({record.key for record in found}) == CELLS
    assert {record.status for record in found} == {"ok"}


def kill_and_go_on(bench: Bench, kills: int, seed: int) -> None:
    """Kill the same command again and again at random moments, then let it end."""
    bench.suite(**SLOWLY)
    moments = random.Random(seed)
    for _ in range(kills):
        command = bench.start(plugins=PLUGINS)
        time.sleep(moments.uniform(0.1, 2.5))
        workers = command.workers()
        command.kill(signal.SIGKILL)
        command.wait()
        wait_until(partial(gone, workers), seconds=20)
        before = lines(bench)
        assert before == 0 or len(bench.records()) == before
    assert bench.run(plugins=PLUGINS).code == 0
    assert_complete(bench)


def test_a_killed_driver_loses_nothing(bench: Bench) -> None:
    kill_and_go_on(bench, kills=4, seed=0)
    for name in ("cells.json", "environment.json"):
        assert json.loads((bench.results / name).read_text())


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(1, 6))
def test_a_driver_killed_often_loses_nothing(bench: Bench, seed: int) -> None:
    kill_and_go_on(bench, kills=8, seed=seed)


def test_a_kill_between_two_quantities_of_a_metric(bench: Bench) -> None:
    bench.suite(metrics=["taken_once"])
    bench.run(plugins=PLUGINS)
    file = bench.results / records.FILE
    first, _ = file.read_bytes().splitlines(keepends=True)
    file.write_bytes(first)
    assert bench.run(plugins=PLUGINS).code == 0
    assert file.read_bytes().startswith(first)
    assert [record.metric for record in bench.records()] == ["taken_once", "and_twice"]


@pytest.mark.parametrize("sent", [signal.SIGINT, signal.SIGTERM], ids=lambda sent: sent.name)
def test_an_interrupted_run_ends_with_130_and_goes_on(bench: Bench, sent: signal.Signals) -> None:
    bench.suite(**SLOWLY)
    command = bench.start(plugins=PLUGINS)
    wait_until(lambda: lines(bench) > 2)
    workers = command.workers()
    command.kill(sent)
    assert command.wait() == 130, command.err
    assert command.err.endswith("the same command goes on where this one stopped\n")
    assert workers
    wait_until(lambda: gone(workers), seconds=5)
    kept = (bench.results / records.FILE).read_bytes()
    assert 2 < lines(bench) < CELLS
    assert bench.run(plugins=PLUGINS).code == 0
    assert (bench.results / records.FILE).read_bytes().startswith(kept)
    assert_complete(bench)


def test_a_worker_that_holds_the_interpreter_dies_with_its_driver(bench: Bench) -> None:
    """And so does what the case had started, of which nobody else knows."""
    bench.suite(attention={"troubled": {"trouble": "begets"}}, metrics=["turns"])
    command = bench.start(plugins=PLUGINS)
    wait_until(lambda: any(one.name() == "sleep" for one in command.workers()))
    workers = command.workers()
    command.kill(signal.SIGKILL)
    wait_until(lambda: gone(workers), seconds=5)


def test_a_second_run_measures_nothing(bench: Bench) -> None:
    bench.suite(metrics=["turns", "flops"], repeats=2)
    bench.run(plugins=PLUGINS)
    before = {path: path.read_bytes() for path in bench.results.glob("*.jsonl")}
    again = bench.run(plugins=PLUGINS)
    assert again.code == 0
    assert "nothing to measure: all is recorded in" in again.err
    assert {path: path.read_bytes() for path in bench.results.glob("*.jsonl")} == before


def test_fresh_measures_again_and_supersedes(bench: Bench) -> None:
    bench.suite(metrics=["turns"])
    bench.run(plugins=PLUGINS)
    bench.run("--fresh", plugins=PLUGINS)
    first, second = bench.records()
    assert first.key == second.key
    assert first.values != second.values
    assert records.latest(bench.records()) == [second]


def test_errors_are_tried_again_and_nothing_else(bench: Bench) -> None:
    bench.suite(
        attention={"troubled": {"trouble": ["raises", "memory", "loops", "unsupported"]}},
        metrics=["turns"],
    )
    for _ in range(2):
        assert bench.run(plugins=PLUGINS, patience=1).code == 4
    found = [record.status for record in bench.records()]
    assert sorted(found) == ["error", "error", "out_of_memory", "timeout", "unsupported"]


@pytest.mark.parametrize("field", ["protocol", "environment"])
def test_what_was_measured_by_other_rules_or_elsewhere_is_not_reused(
    bench: Bench, field: str
) -> None:
    bench.suite()
    bench.run()
    folder = bench.results
    theirs = [r.model_copy(update={field: "0" * 12}).sealed() for r in bench.records()]
    (folder / records.FILE).unlink()
    with records.Store(folder) as store:
        for record in theirs:
            store.append(record)
    assert bench.run().code == 0
    assert [getattr(r, field) == "0" * 12 for r in bench.records()] == [True] * 3 + [False] * 3


def test_records_of_other_code_are_kept_with_one_line(bench: Bench, tmp_path: Path) -> None:
    bench.suite()
    bench.run()
    file = bench.results / "invocations.jsonl"
    file.write_text(json.dumps(json.loads(file.read_text()) | {"commit": "0" * 40}) + "\n")
    again = bench.run()
    assert again.err.count("\n") == 2
    assert "3 of 3 records were measured by other code" in again.err
    assert len(bench.records()) == 3


def test_a_plugin_that_was_edited_is_measured_again(bench: Bench, tmp_path: Path) -> None:
    bench.suite(attention={"troubled": {}})
    bench.run(plugins=("troubled",))
    count = len(bench.records())
    file = bench.results / "invocations.jsonl"
    told = json.loads(file.read_text())
    bench.run(plugins=("troubled",))
    assert len(bench.records()) == count
    file.write_text(json.dumps(told | {"plugins": {"troubled.py": "0" * 16}}) + "\n")
    bench.run(plugins=("troubled",))
    assert len(bench.records()) == 2 * count


def test_other_cells_make_it_another_suite_with_a_folder_of_its_own(bench: Bench) -> None:
    bench.suite()
    bench.run("--set", "budget.suite_seconds=500")
    own = bench.results
    bench.run("--set", "shape.seq_len=[25]")
    folders = {file.parent.parent.name for file in bench.folder.rglob(records.FILE)}
    (other,) = folders - {own.parent.name}
    assert other.startswith(f"{own.parent.name}-")
