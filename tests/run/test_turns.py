"""Cases of a block take turns at random; every repeat is a process of its own; counts come once.

Mutants seen red: a fixed order, one case after the other, one worker for all repeats, counts in
every repeat.
"""

from __future__ import annotations

from collections import defaultdict

import pytest

from run.commands import Bench
from softbench.case import Record

Orders = dict[int, list[str]]


@pytest.fixture(scope="module")
def taken(shared_bench: Bench) -> list[Record]:
    """Four cases of one block, three repeats."""
    shared_bench.suite(
        attention={
            "troubled": {"trouble": ["none", "sleeps"]},
            "softmax": {"backend": ["eager", "sdpa"]},
        },
        metrics=["turns", "taken_once"],
        repeats=3,
    )
    command = shared_bench.run(plugins=("troubled", "turns", "taken_once"))
    assert command.code == 0, command.err
    return shared_bench.records()


@pytest.fixture(scope="module")
def orders(taken: list[Record]) -> Orders:
    """By repeat, whose turn it was at each step."""
    turns: dict[int, list[tuple[float, str]]] = defaultdict(list)
    for record in taken:
        if record.metric == "turns":
            turns[record.repeat] += [(at, record.case.id) for at in record.values]
    return {repeat: [case for _, case in sorted(steps)] for repeat, steps in turns.items()}


def test_in_every_round_each_case_has_one_turn(orders: Orders) -> None:
    for order in orders.values():
        rounds = [order[start : start + 4] for start in range(0, 20, 4)]
        assert [len(set(taken)) for taken in rounds] == [4] * 5


def test_the_order_is_drawn_anew_each_round_and_each_repeat(orders: Orders) -> None:
    assert len({tuple(order) for order in orders.values()}) == 3
    for order in orders.values():
        assert len({tuple(order[start : start + 4]) for start in range(0, 20, 4)}) > 1


def test_a_repeat_is_a_process(taken: list[Record]) -> None:
    pids = {(r.repeat, r.detail["pid"]) for r in taken if r.metric == "turns"}
    assert len(pids) == 3
    assert len({pid for _, pid in pids}) == 3


def test_counts_are_taken_once(taken: list[Record]) -> None:
    counts = [r for r in taken if r.metric in ("taken_once", "and_twice")]
    assert len(counts) == 2 * 4
    assert {r.repeat for r in counts} == {0}
