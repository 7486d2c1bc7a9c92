"""A real worker process: greeted with a plug-in file, asked, interrupted, gone when it must be.

Mutants seen red: no -P, no session of its own, a torn read that raises, a plug-in file's hash
unchecked.
"""

from __future__ import annotations

import hashlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from softbench.case import Case, Shape
from softbench.executors import local
from softbench.protocol import Protocol

PLUGIN = Path(__file__).parents[1] / "plugins" / "linear_elu.py"
BUDGET = {"case_seconds": 20.0, "suite_seconds": 600.0, "memory_fraction": 0.7}


def greeting(expected: str) -> dict[str, Any]:
    plugins = [[str(PLUGIN), expected]]
    return {"protocol": Protocol().model_dump(mode="json"), "plugins": plugins}


def file_hash() -> str:
    return hashlib.sha256(PLUGIN.read_bytes()).hexdigest()[:16]


def case() -> Case:
    return Case(
        level="operator", attention="linear_elu", params={}, backend="eager",
        shape=Shape(seq_len=16, head_dim=8), inputs="normal", dtype="float32", device="cpu",
        mode="forward", compile=False, seed=0,
    )  # fmt: skip


def answer(worker: local.LocalWorker) -> dict[str, Any]:
    event = worker.receive(60)
    assert event is not None
    return event


@pytest.fixture(scope="module")
def worker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[local.LocalWorker]:
    """One that was started in a folder with a random.py, and has said hello."""
    folder = tmp_path_factory.mktemp("elsewhere")
    (folder / "random.py").write_text("raise RuntimeError('not the random you think')")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        started = local.start(1)
    started.send(greeting(file_hash()))
    yield started
    started.stop()


def test_a_worker_says_its_machine_then_measures(worker: local.LocalWorker) -> None:
    assert answer(worker)["environment"]["threads"] == 1
    one = case()
    asked = {"cases": [one.model_dump(mode="json")], "metrics": {one.id: ["parameters", "flops"]}}
    worker.send({**asked, "repeat": 0, "budget": BUDGET, "seen": {}})
    parameters, *counts = (answer(worker) for _ in range(4))
    assert parameters["case"] == one.id
    assert (parameters["metric"], parameters["values"]) == ("parameters", [0])
    assert [(found["metric"], found["status"]) for found in counts] == [
        ("flops", "ok"),
        ("macs", "ok"),
        ("macs_with_newton", "ok"),
    ]
    assert answer(worker) == {"event": "done"}
    said = worker.doing()
    assert (said["case"], said["metric"]) == (one.id, "flops")


def test_a_worker_is_a_session_of_its_own_and_has_its_number_of_threads(
    worker: local.LocalWorker,
) -> None:
    assert os.getsid(worker.pid) == worker.pid != os.getsid(0)
    assert psutil.Process(worker.pid).environ()["OMP_NUM_THREADS"] == "1"


def test_receiving_gives_up_after_its_time(worker: local.LocalWorker) -> None:
    began = time.monotonic()
    assert worker.receive(0.2) is None
    assert 0.2 <= time.monotonic() - began < 5


def test_a_stopped_worker_is_gone_with_its_folder_and_stopping_twice_is_fine(
    worker: local.LocalWorker,
) -> None:
    doing = worker._doing
    worker.stop()
    worker.stop()
    assert not psutil.pid_exists(worker.pid)
    assert not doing.parent.exists()


def test_a_plugin_file_that_changed_is_refused_in_words() -> None:
    worker = local.start(1)
    try:
        worker.send(greeting("0" * 16))
        with pytest.raises(local.WorkerDied, match=r"code 1.*linear_elu.py changed since this run"):
            worker.receive(60)
        with pytest.raises(local.WorkerDied, match="code 1"):
            worker.send({})
    finally:
        worker.stop()


def test_a_worker_ends_when_its_input_closes(tmp_path: Path) -> None:
    """Whatever it does: here it has not even been greeted."""
    doing = tmp_path / "doing"
    doing.touch()
    command = [sys.executable, "-P", "-m", "softbench.worker", "--doing", str(doing)]
    done = subprocess.run(command, input=b"", capture_output=True, timeout=60)
    assert (done.returncode, done.stdout) == (0, b"")


def test_what_a_worker_does_is_read_even_in_the_middle_of_a_write(tmp_path: Path) -> None:
    worker = object.__new__(local.LocalWorker)
    worker._doing = tmp_path / "doing"
    whole = json.dumps({"count": 1, "case": "0" * 16, "metric": "flops"})
    for text, said in (("", {}), (whole[:20], {}), (whole + " " * 40, json.loads(whole))):
        worker._doing.write_text(text)
        assert worker.doing() == said


@pytest.mark.parametrize(("kills", "status"), [([3, 3], "error"), ([3, 4], "out_of_memory")])
def test_a_kill_is_for_memory_only_if_the_system_says_so(
    kills: list[int], status: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    counted = iter(kills)
    monkeypatch.setattr(local, "_kills_for_memory", lambda: next(counted))
    worker = local.start(1)
    try:
        os.kill(worker.pid, signal.SIGKILL)
        with pytest.raises(local.WorkerDied, match="SIGKILL") as died:
            worker.receive(30)
    finally:
        worker.stop()
    assert died.value.status == status


def test_kills_for_memory_are_counted_where_the_system_counts_them(tmp_path: Path) -> None:
    assert local._kills_for_memory(tmp_path / "none") == 0
    (tmp_path / "vmstat").write_text("oom_kills_of_others 9\noom_kill 2\n")
    assert local._kills_for_memory(tmp_path / "vmstat") == 2
