"""The worker of the moment: greeted, asked, watched, and replaced when it is lost."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from typing import Any
from typing import Protocol as Interface

from softbench.environment import Environment
from softbench.protocol import Protocol

LOOK_SECONDS = 0.5  # how often the sleeping driver looks whether the worker moved
START_SECONDS = 180.0  # torch alone takes 4 s to import on an idle machine


class Worker(Interface):
    """What an executor's `start` returns; see softbench.executors.local."""

    def send(self, message: dict[str, Any]) -> None:
        """Give the worker something to do."""

    def receive(self, timeout: float) -> dict[str, Any] | None:
        """Its next answer, or None after `timeout` seconds."""

    def doing(self) -> dict[str, Any]:
        """The case and metric it is in, and a count that moves when it does."""

    def stop(self) -> None:
        """End it and everything it started."""


class Executor(Interface):
    """Where workers live: a module of softbench.executors."""

    def start(self, threads: int) -> Worker:
        """A new worker."""

    WorkerDied: type[Any]  # an exception with the status of the case that the worker was in


class WorkerLost(Exception):  # noqa: N818 - a finding, not an error of ours
    """The worker died ("error", "out_of_memory") or did not move ("timeout") where `doing` says."""

    def __init__(self, status: str, reason: str, doing: dict[str, Any]) -> None:
        super().__init__(reason)
        self.status, self.doing = status, doing

    @property
    def known(self) -> dict[str, Any]:
        """What the worker said of its case before: predicted seconds and bytes, free, cap."""
        known: dict[str, Any] = self.doing.get("known", {})
        return known


def in_unit(detail: Mapping[str, Any], unit: str) -> dict[str, Any]:
    """The detail of a quantity in `unit`: of what was predicted by unit, its own and the bytes."""
    rest = {key: value for key, value in detail.items() if key not in ("s", "byte")}
    own = {"predicted": detail[unit]} if unit in ("s", "byte") and unit in detail else {}
    return own | ({"predicted_bytes": detail["byte"]} if "byte" in detail else {}) | rest


class Crew:
    """One worker at a time, all greeted alike. A with statement leaves none behind."""

    def __init__(
        self, executor: Executor, protocol: Protocol, plugins: Sequence[tuple[str, str]]
    ) -> None:
        self._executor = executor
        self._greeting = {"protocol": protocol.model_dump(mode="json"), "plugins": list(plugins)}
        self._threads = protocol.threads
        self._worker: Worker | None = None
        self._greeted = False  # whether the worker has answered yet

    def hire(self) -> None:
        """Start a fresh worker in place of the last one; it imports while we do other things."""
        self.dismiss()
        self._worker = self._executor.start(self._threads)
        self._worker.send(self._greeting)
        self._greeted = False

    def environment(self) -> Environment:
        """What the worker just hired says of its machine. Raises WorkerLost if it cannot start."""
        for event in self._events(START_SECONDS):
            if event is not None:
                self._greeted = True
                return Environment.model_validate(event["environment"])
        raise AssertionError("events end only by an exception")

    def ready(self) -> None:
        """Have a worker that can be asked, a fresh one if the last is dismissed.

        Raises WorkerLost if it cannot start.
        """
        if self._worker is None:
            self.hire()
        if not self._greeted:
            self.environment()

    def ask(self, task: dict[str, Any], patience: float) -> Iterator[dict[str, Any] | None]:
        """The worker's answers to a task; None now and then while it works.

        Raises WorkerLost if it dies, or does not move for `patience` seconds.
        """
        assert self._worker is not None  # hire comes first
        try:
            self._worker.send(task)
        except self._executor.WorkerDied as died:
            raise WorkerLost(died.status, str(died), {}) from None
        for event in self._events(patience):
            if event is not None and event["event"] == "done":
                return
            yield event

    def doing(self) -> dict[str, Any]:
        """The case and metric the worker is in; empty if in none."""
        return self._worker.doing() if self._worker else {}

    def dismiss(self) -> None:
        """Stop the worker, if there is one."""
        if self._worker:
            self._worker.stop()
            self._worker = None

    def _events(self, patience: float) -> Iterator[dict[str, Any] | None]:
        assert self._worker is not None  # hire comes first
        moved, count = time.monotonic(), -1
        while True:
            try:
                event = self._worker.receive(LOOK_SECONDS)
            except self._executor.WorkerDied as died:
                raise WorkerLost(died.status, str(died), self.doing()) from None
            doing = self.doing()
            if event is not None or doing.get("count", count) != count:
                moved, count = time.monotonic(), doing.get("count", count)
            elif time.monotonic() - moved > patience:
                raise WorkerLost("timeout", f"did not move for {patience:g} s", doing)
            yield event

    def __enter__(self) -> Crew:
        return self

    def __exit__(self, *failure: object) -> None:
        self.dismiss()
