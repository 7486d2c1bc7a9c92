"""The order of a run, what its time affords, and what earlier measurements say of later ones.

Mutants seen red: skipped blocks remembered as done, the last block's time not used, counts refused
for lack of time, repeats innermost, the ledger learning nothing, skips that never settle, lengths
that are predicted measured too, an error measured at them.
"""

from __future__ import annotations

from typing import Any

import pytest

from softbench.case import Case, Record, Shape
from softbench.run import agenda as room
from softbench.run.agenda import Agenda, items
from softbench.run.ledger import Ledger
from softbench.suite import Budget, Suite, parse


class Clock:
    """A clock that a test moves."""

    def __init__(self) -> None:
        self.now = 0.0

    def monotonic(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(room, "time", clock)
    return clock


def make(tokens: int, **fields: Any) -> Case:
    plain: dict[str, Any] = {
        "level": "operator", "attention": "softmax", "params": {}, "inputs": "normal",
        "dtype": "float32", "device": "cpu", "mode": "forward", "compile": False, "seed": 0,
        "backend": "eager",
    }  # fmt: skip
    return Case(shape=Shape(seq_len=tokens), **{**plain, **fields})


def record(case: Case, **fields: Any) -> Record:
    plain: dict[str, Any] = {
        "metric": "latency", "unit": "s", "better": "lower", "repeat": 0, "values": [2.0],
        "status": "ok", "reason": None, "detail": {"flops": 10}, "environment": "e",
        "protocol": "p", "invocation": "i",
    }  # fmt: skip
    return Record(case=case, **{**plain, **fields})


def suite(**changes: Any) -> Suite:
    plain = {
        "shape": {"seq_len": 16}, "attention": {"softmax": {}}, "repeats": 2,
        "metrics": ["latency", "flops"],
    }  # fmt: skip
    return parse({**plain, **changes}, "agenda", "agenda.yaml")


def agenda(*cases: Case, repeats: int = 2, seconds: float = 100) -> Agenda:
    return Agenda(items(cases, suite(repeats=repeats), Ledger([], Budget())), seconds)


def test_counts_come_first_then_every_case_once_before_any_twice(clock: Clock) -> None:
    short, long = make(16), make(32)
    items = list(agenda(short, long).items())
    assert [(item.counts, item.repeat, *item.todo) for item in items] == [
        (True, 0, short.id),
        (True, 0, long.id),
        (False, 0, short.id),
        (False, 0, long.id),
        (False, 1, short.id),
        (False, 1, long.id),
    ]
    assert [set(*item.todo.values()) for item in items[:3]] == [{"flops"}, {"flops"}, {"latency"}]


def test_beside_other_workers_what_a_clock_tells_comes_first_and_alone(clock: Clock) -> None:
    told = suite(metrics=["peak_memory", "latency", "flops"], repeats=1, workers=2)
    short, long = make(16), make(32)
    plan = Agenda(items([short, long], told, Ledger([], Budget())), 100, side_by_side=2)
    alone, together = list(plan.items(alone=True)), list(plan.items(alone=False))
    assert [(*item.todo, *item.todo.values()) for item in alone] == [
        (short.id, ["latency"]),
        (long.id, ["latency"]),
    ]
    assert [item.todo[case] for item in together for case in item.todo] == [
        ["flops"],
        ["flops"],
        ["peak_memory"],
        ["peak_memory"],
    ]
    assert plan.total == 6


def test_what_is_alone_takes_its_whole_time_and_what_is_together_a_part(clock: Clock) -> None:
    told = suite(metrics=["peak_memory", "latency"], repeats=1, workers=2)
    plan = Agenda(items([make(16), make(32)], told, Ledger([], Budget())), 100, side_by_side=2)
    first = next(plan.items(alone=True))
    clock.now += 8
    plan.done(first)
    assert plan.seconds_left() == 8 + 2 * 8 / 2


def test_of_a_length_that_is_predicted_nothing_runs() -> None:
    metrics = ["latency", "flops", "approximation_error"]
    told = suite(metrics=metrics, predict_seq_len=[32], repeats=1)
    short, long = make(16), make(32)
    found = items([short, long], told, Ledger([], Budget()))
    assert [(item.counts, item.todo) for item in found] == [
        (True, {short.id: ["flops", "approximation_error"]}),
        (True, {long.id: ["flops"]}),  # an approximation's error runs the case, a count does not
        (False, {short.id: ["latency"]}),
    ]


def test_a_block_is_expected_to_take_what_it_took_or_what_the_last_one_did(clock: Clock) -> None:
    plan = agenda(make(16), make(32), make(64), seconds=20)
    *_, first, second, third = list(plan.items())[:6]
    for item in plan.items():
        if item.repeat == 0 and item.name in (first.name, second.name):
            clock.now += 2 if item.name == first.name else 8
            plan.done(item)
    clock.now = 15.0
    assert [plan.affords(item) for item in (first, second, third)] == [True, False, False]


def test_what_was_skipped_took_no_time_to_learn_from(clock: Clock) -> None:
    plan = agenda(make(16), make(32), repeats=1, seconds=5)
    _, _, first, second = plan.items()
    for item in plan.items():
        if item.name == first.name:
            clock.now += 4
            plan.done(item)
    assert not plan.affords(second)
    assert plan.seconds_left() == 0


def test_counts_need_no_budget(clock: Clock) -> None:
    plan = agenda(make(16), seconds=-1)
    assert [plan.affords(item) for item in plan.items()] == [True, False, False]


def test_the_ledger_tells_what_a_family_took() -> None:
    short, long, other = make(16), make(32), make(16, backend="sdpa")
    ledger = Ledger(
        [record(long, values=[5.0, 7.0, 9.0], detail={"flops": 40}), record(short), record(other)],
        Budget(),
    )
    assert ledger.seen([make(64)]) == {long.family: [(10, 2.0), (40, 7.0)]}


@pytest.mark.parametrize(
    ("budget", "limit", "settled"),
    [
        ({"case_seconds": 20}, 20, True),
        ({"case_seconds": 20}, 19, False),
        ({"suite_seconds": 600}, 600, True),
        ({"suite_seconds": 600}, 599, False),
    ],
)
def test_a_skip_settles_until_its_budget_grows(
    budget: dict[str, float], limit: float, settled: bool
) -> None:
    case = make(16)
    skip = record(
        case, values=[], status="skipped", reason="too long",
        detail={"budget": next(iter(budget)), "limit": limit},
    )  # fmt: skip
    assert Ledger([skip], Budget.model_validate(budget)).lacks(case, "latency", 0) is not settled
