"""Which workers a run starts, by an executor that starts none.

Mutants seen red: the rest given up after a lost worker, a worker hired after the last case, a
worker hired for what is skipped.
"""

from __future__ import annotations

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
    """A worker that answers from a list; a case whose id is in `deadly` is its last."""

    def __init__(self, deadly: set[str], *, starts: bool) -> None:
        self._deadly, self._starts = deadly, starts
        self._answers: list[dict[str, Any]] = []
        self._doing: dict[str, Any] = {}

    def send(self, message: dict[str, Any]) -> None:
        if "protocol" in message:
            hello = {"event": "hello", "environment": MACHINE.model_dump(mode="json")}
            self._answers = [hello] if self._starts else []
            return
        for case_id in message["metrics"]:
            measured = {"metric": "parameters", "unit": "1", "better": "lower", "status": "ok"}
            rest: dict[str, Any] = {"reason": None, "values": [1], "detail": {}}
            self._answers.append({"event": "measured", "case": case_id, **measured, **rest})
        self._answers.append({"event": "done"})

    def receive(self, timeout: float) -> dict[str, Any] | None:
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

    def start(self, threads: int) -> StandIn:
        self.started += 1
        return StandIn(self.deadly, starts=self.starts)


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
        for now in Run(suite, cases, crew, store, ledger, context).measure():
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


def test_a_worker_that_cannot_start_ends_the_run(executor: Executor, tmp_path: Path) -> None:
    executor.starts = False
    with pytest.raises(WorkerLost, match="it died"):
        run(executor, suite(), tmp_path)
