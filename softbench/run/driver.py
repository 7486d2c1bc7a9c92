"""The run itself: repeat by repeat, block by block, a stream of what happened.

The driver computes nothing. It hands out a block, sleeps until the worker answers, and a case
that takes its worker down costs only itself: a new worker takes the rest of the block.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from softbench import plugins
from softbench.case import Case, Record
from softbench.environment import Environment, Invocation
from softbench.protocol import Protocol
from softbench.records import Store
from softbench.run.crew import Crew, WorkerLost
from softbench.run.ledger import Ledger
from softbench.suite import Suite

# A case that stays silent for this many times its budget hangs; imports and compilation may take
# a while even in a small budget.
PATIENCE, LEAST_PATIENCE = 3.0, 30.0

Todo = dict[str, list[str]]  # case id to the metrics it still lacks


@dataclass(frozen=True)
class Progress:
    """Where the run stands; `record` is the one just made. A cell is (case, metric, repeat)."""

    doing: str
    done: int
    total: int
    statuses: Counter[str]
    seconds_left: float | None
    record: Record | None


class Run:
    """One suite on one machine into one results folder."""

    def __init__(
        self,
        suite: Suite,
        cases: Sequence[Case],
        *,
        crew: Crew,
        store: Store,
        ledger: Ledger,
        protocol: Protocol,
        environment: Environment,
        invocation: Invocation,
    ) -> None:
        self._suite, self._store, self._crew, self._ledger = suite, store, crew, ledger
        self._protocol, self._environment, self._invocation = protocol, environment, invocation
        self._cases = {case.id: case for case in cases}
        self._blocks = _blocks(cases)
        self._seconds: dict[str, list[float]] = {}
        self._statuses: Counter[str] = Counter()
        self._answered: set[tuple[str, str, int]] = set()
        self._told = False

    def todo(self, repeat: int) -> list[Todo]:
        """What is left of each block in this repeat."""
        lacking = self._ledger.lacks
        blocks = [
            {
                case.id: [m for m in self._suite.metrics if lacking(case, m, repeat)]
                for case in block
            }
            for block in self._blocks
        ]
        return [{id: names for id, names in block.items() if names} for block in blocks]

    def measure(self) -> Iterator[Progress]:
        """Measure all that is left. Nothing is started where nothing is left."""
        plan = [self.todo(repeat) for repeat in range(self._suite.repeats)]
        self._total = sum(
            len(names) for blocks in plan for todo in blocks for names in todo.values()
        )
        self._plan = [
            (repeat, todo) for repeat, blocks in enumerate(plan) for todo in blocks if todo
        ]
        self._started = time.monotonic()
        last_repeat: int | None = None
        for index, (repeat, todo) in enumerate(self._plan):
            if last_repeat not in (None, repeat):
                self._replace_worker()
            last_repeat = repeat
            self._index = index
            began = time.monotonic()
            if self._left_of_budget() < self._expected(todo):
                yield from self._skip(todo, repeat)
                continue
            yield from self._block(todo, repeat)
            self._seconds.setdefault(_name(todo), []).append(time.monotonic() - began)

    def _block(self, todo: Todo, repeat: int) -> Iterator[Progress]:
        """One block, by as many workers as it takes."""
        patience = max(LEAST_PATIENCE, PATIENCE * self._suite.budget.case_seconds)
        left = {id: list(names) for id, names in todo.items()}
        while any(left.values()):
            try:
                for event in self._crew.ask(self._task(left, repeat), patience):
                    if event is None:
                        yield self._progress(None)
                    else:
                        yield self._record(event, left, repeat)
                return
            except WorkerLost as lost:
                yield from self._give_up(lost, left, repeat)
                self._replace_worker()

    def _task(self, left: Todo, repeat: int) -> dict[str, Any]:
        left = {id: names for id, names in left.items() if names}
        return {
            "cases": [self._cases[id].model_dump(mode="json") for id in left],
            "metrics": left,
            "repeat": repeat,
            "budget": self._suite.budget.model_dump(mode="json"),
            "rates": self._ledger.rates,
        }

    def _give_up(self, lost: WorkerLost, left: Todo, repeat: int) -> Iterator[Progress]:
        """The case that lost its worker gets the failure, for every metric it still lacked."""
        open_cases = [id for id, names in left.items() if names]
        id = lost.doing.get("case")
        case_id = id if id in open_cases else open_cases[0]
        yield from self._same_for_all(case_id, left, repeat, lost.status, str(lost), {})

    def _skip(self, todo: Todo, repeat: int) -> Iterator[Progress]:
        """The suite's time is spent: say so, cell by cell."""
        limit = self._suite.budget.suite_seconds
        left = {id: list(names) for id, names in todo.items()}
        reason = f"the suite's budget of {limit:g} s would be overrun"
        detail = {"budget": "suite_seconds", "limit": limit}
        for case_id in todo:
            yield from self._same_for_all(case_id, left, repeat, "skipped", reason, detail)

    def _same_for_all(
        self,
        case_id: str,
        left: Todo,
        repeat: int,
        status: str,
        reason: str,
        detail: dict[str, Any],
    ) -> Iterator[Progress]:
        outcome = {"status": status, "reason": reason, "values": [], "detail": detail}
        for name in list(left[case_id]):
            for quantity, (unit, better) in plugins.load("metrics", name).QUANTITIES.items():
                answer = {"case": case_id, "metric": quantity, "unit": unit, "better": better}
                yield self._record({**answer, **outcome}, left, repeat)

    def _record(self, answer: dict[str, Any], left: Todo, repeat: int) -> Progress:
        """One answer becomes a record on disk, and its cell is crossed off."""
        known = {key: value for key, value in answer.items() if key not in ("event", "case")}
        case_id = answer["case"]
        record = Record(
            case=self._cases[case_id],
            repeat=repeat,
            environment=self._environment.id,
            protocol=self._protocol.id,
            invocation=self._invocation.id,
            **known,
        ).sealed()
        if not self._told:
            self._store.append_invocation(self._invocation.model_dump(mode="json"))
            self._told = True
        if not self._ledger.has(record):  # a kill may have fallen between a metric's quantities
            self._store.append(record)
            self._ledger.note(record)
        for name in [name for name in left[case_id] if _measures(name, record.metric)]:
            self._answered.add((case_id, name, repeat))
            left[case_id].remove(name)
            self._statuses[record.status] += 1
        return self._progress(record)

    def _progress(self, record: Record | None) -> Progress:
        doing = self._crew.doing()
        case = self._cases.get(doing.get("case", ""))
        text = f"{doing['metric']} of {case.label}" if case else "starting a worker"
        done = len(self._answered)
        return Progress(text, done, self._total, self._statuses, self._seconds_left(), record)

    def _seconds_left(self) -> float | None:
        """Blocks to come at the time they took before, never more than the budget leaves."""
        if not self._seconds:
            return None
        ahead = sum(self._expected(todo) for _, todo in self._plan[self._index :])
        return max(0.0, min(ahead, self._left_of_budget()))

    def _expected(self, todo: Todo) -> float:
        """What this block took in an earlier repeat; else what a block took so far."""
        known = self._seconds.get(_name(todo))
        if known:
            return known[-1]
        seen = [seconds[-1] for seconds in self._seconds.values()]
        return sum(seen) / len(seen) if seen else 0.0

    def _left_of_budget(self) -> float:
        return self._suite.budget.suite_seconds - (time.monotonic() - self._started)

    def _replace_worker(self) -> None:
        self._crew.hire()
        self._crew.environment()


def _blocks(cases: Sequence[Case]) -> list[list[Case]]:
    """Cases of one shape, dtype, device and mode together, in the order of their first."""
    blocks: dict[str, list[Case]] = {}
    for case in cases:
        blocks.setdefault(case.block, []).append(case)
    return list(blocks.values())


def _name(todo: Todo) -> str:
    """A block is known by its cases, whatever they still lack."""
    return ",".join(sorted(todo))


def _measures(metric: str, quantity: str) -> bool:
    return quantity in plugins.load("metrics", metric).QUANTITIES
