"""Which workers a run starts, by an executor that starts none.

Mutants seen red: the rest given up after a lost worker, a worker hired after the last case, a
worker hired for what is skipped, costs forgotten, costs of other cases sent along, rates of the
last worker alone, rates of other dtypes dropped, a death before any case laid at one's door or
forgiven for ever.
"""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from softbench.case import Case
from softbench.environment import Environment, Invocation
from softbench.protocol import Protocol
from softbench.records import Store
from softbench.run import Context, Crew, Ledger, Run, WorkerLost
from softbench.suite import Suite, expand, parse

MACHINE = Environment(
    system="none", cpu="none", cores=1, memory=1, gpus=[], driver=None, cuda=None, python="3",
    libraries={}, threads=1, softbench="0",
)  # fmt: skip


class DiedError(Exception):
    status = "error"


class StandIn:
    """A worker that answers from a list; a case whose id is in `deadly` is its last.

    gemm: what it says of its machine. Every task that it is given is added to `tasks`.
    """

    def __init__(
        self, deadly: set[str], tasks: list[dict[str, Any]], gemm: float, *, starts: bool
    ) -> None:
        self._deadly, self._tasks, self._gemm, self._starts = deadly, tasks, gemm, starts
        self.early = False  # it dies before its first case
        self._answers: list[dict[str, Any]] = []
        self._doing: dict[str, Any] = {}

    def send(self, message: dict[str, Any]) -> None:
        if "protocol" in message:
            hello = {"event": "hello", "environment": MACHINE.model_dump(mode="json")}
            self._answers = [hello] if self._starts else []
            return
        self._tasks.append(message)
        rates = {"gemm": self._gemm, "stream": 1.0, "exponential": 1.0}
        self._answers = [{"event": "rates", "device": "cpu", "dtype": "float32", "rates": rates}]
        for case_id in message["metrics"]:
            if case_id not in message["costs"]:
                cost = {"bytes": len(self._tasks)}
                self._answers.append({"event": "predicted", "case": case_id, "cost": cost})
            measured = {"metric": "parameters", "unit": "1", "better": "lower", "status": "ok"}
            rest: dict[str, Any] = {"reason": None, "values": [1], "detail": {}}
            self._answers.append({"event": "measured", "case": case_id, **measured, **rest})
        self._answers.append({"event": "done"})

    def receive(self, timeout: float) -> dict[str, Any] | None:
        if self.early and len(self._answers) > 1:
            raise DiedError("it died early")
        if not self._answers or self._answers[0].get("case") in self._deadly:
            self._doing = {"count": 1, "metric": "parameters"}
            if self._answers:
                self._doing["case"] = self._answers[0]["case"]
            raise DiedError("it died")
        return self._answers.pop(0)

    def doing(self) -> dict[str, Any]:
        return self._doing

    def stop(self) -> None:
        """Nothing runs."""


class Executor:
    WorkerDied: type[Exception] = DiedError

    def __init__(self) -> None:
        self.started = 0
        self.deadly: set[str] = set()
        self.starts = True
        self.early = 0  # how many of the workers die before any case
        self.tasks: list[dict[str, Any]] = []
        self.gemm = [5.0]  # of each worker, the last for all that follow

    def start(self, threads: int) -> StandIn:
        self.started += 1
        gemm = self.gemm.pop(0) if len(self.gemm) > 1 else self.gemm[0]
        worker = StandIn(self.deadly, self.tasks, gemm, starts=self.starts)
        worker.early = self.started <= self.early
        return worker


@pytest.fixture
def executor() -> Executor:
    return Executor()


def suite(**keys: Any) -> Suite:
    plain = {"shape": {"seq_len": [16, 17]}, "attention": {"softmax": {}}, "repeats": 3}
    return parse({**plain, "metrics": ["parameters"], **keys}, "driver", "driver.yaml")


def run(executor: Executor, suite: Suite, folder: Path) -> tuple[list[Case], Counter[str]]:
    cases = expand(suite, "cpu")
    context = Context(Protocol(), MACHINE, Invocation.now([], {}))
    with Crew(executor, Protocol(), []) as crew, Store(folder) as store:
        crew.hire()
        assert crew.environment() == MACHINE
        ledger = Ledger([], suite.budget)
        statuses: Counter[str] = Counter()
        for now in Run(suite, cases, [crew], store, ledger, context).measure():
            statuses = now.statuses
    return cases, statuses


def test_one_repeat_needs_one_worker(executor: Executor, tmp_path: Path) -> None:
    assert run(executor, suite(), tmp_path)[1] == {"ok": 2}
    assert executor.started == 1


def test_every_repeat_has_a_worker_of_its_own(
    executor: Executor, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("softbench.metrics.parameters.REPEATED", True)
    assert run(executor, suite(), tmp_path)[1] == {"ok": 6}
    assert executor.started == 3


def test_no_worker_starts_when_the_suites_time_is_spent(
    executor: Executor, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("softbench.metrics.parameters.REPEATED", True)
    spent = suite(budget={"suite_seconds": 1e-9})
    assert run(executor, spent, tmp_path)[1] == {"skipped": 6}
    assert executor.started == 1


def test_no_worker_starts_after_the_last_case(executor: Executor, tmp_path: Path) -> None:
    last = expand(suite(), "cpu")[-1]
    executor.deadly.add(last.id)
    assert run(executor, suite(), tmp_path)[1] == {"ok": 1, "error": 1}
    assert executor.started == 1


def test_a_lost_worker_is_replaced_for_the_next_block(executor: Executor, tmp_path: Path) -> None:
    executor.deadly.add(expand(suite(), "cpu")[0].id)
    assert run(executor, suite(), tmp_path)[1] == {"ok": 1, "error": 1}
    assert executor.started == 2


@pytest.mark.parametrize(("early", "statuses"), [(1, {"ok": 2}), (2, {"ok": 1, "error": 1})])
def test_a_death_before_any_case_is_forgiven_once(
    executor: Executor, tmp_path: Path, early: int, statuses: dict[str, int]
) -> None:
    executor.early = early
    assert run(executor, suite(), tmp_path)[1] == statuses
    assert executor.started == early + 1


def test_a_worker_that_cannot_start_ends_the_run(executor: Executor, tmp_path: Path) -> None:
    executor.starts = False
    with pytest.raises(WorkerLost, match="it died"):
        run(executor, suite(), tmp_path)


def test_what_one_worker_predicted_no_other_predicts_again(
    executor: Executor, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("softbench.metrics.parameters.REPEATED", True)
    cases, _ = run(executor, suite(), tmp_path)
    assert [len(task["cases"]) for task in executor.tasks] == [1] * 6
    costs = [task["costs"] for task in executor.tasks]
    assert costs[:2] == [{}, {}]
    assert costs[2:] == [{cases[0].id: {"bytes": 1}}, {cases[1].id: {"bytes": 2}}] * 2


def test_rates_are_kept_beside_the_environment_as_medians_of_the_workers(
    executor: Executor, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("softbench.metrics.parameters.REPEATED", True)
    file = tmp_path / "rates.json"
    file.write_text(json.dumps({"cpu": {"float32": {"gemm": 7.0}, "bfloat16": {"gemm": 8.0}}}))
    executor.gemm = [1.0, 2.0, 9.0]
    run(executor, suite(shape={"seq_len": 16}), tmp_path)
    kept = json.loads(file.read_text())["cpu"]
    assert kept["float32"] == {"gemm": 2.0, "stream": 1.0, "exponential": 1.0}
    assert kept["bfloat16"] == {"gemm": 8.0}


def test_rates_that_something_else_stands_for_are_written_anew(
    executor: Executor, tmp_path: Path
) -> None:
    (tmp_path / "rates.json").write_text("[1, 2")
    run(executor, suite(), tmp_path)
    assert list(json.loads((tmp_path / "rates.json").read_text())) == ["cpu"]
