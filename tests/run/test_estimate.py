"""How long a run will take, against what its rules say by hand.

Mutants seen red: one worker for all repeats, rates in workers that only count, a first trace in
every worker, predictions left out, refused cases counted, a metric's own work left out, the suite's
budget without effect, warm-up without its cap, slow cases stopped as soon as quick ones, one
stretch fewer for slow cases, reports drawn though none is asked for, the calls that a metric tells
of ignored.
"""

from __future__ import annotations

from typing import Any

import pytest

from softbench.protocol import Protocol
from softbench.run.agenda import Item
from softbench.run.estimate import (
    PROFILE_SECONDS,
    REPORTS_SECONDS,
    Estimate,
    Expected,
    Pace,
    estimate,
    seconds_of,
    timed_seconds,
)
from softbench.suite import Suite, parse

PACE = Pace(start=100.0, rates=10.0, trace=1.0, first_trace=1000.0)
RULES = Protocol(
    stretch_seconds=0.1, warmup_seconds=1.0, sample_seconds=2.0, slow_seconds=30.0
)  # a stretch is planned for 0.12 s


def suite(**changes: Any) -> Suite:
    plain = {"shape": {"seq_len": 16}, "attention": {"softmax": {}}, "metrics": ["flops"]}
    return parse({**plain, **changes}, "estimate", "estimate.yaml")


def told(items: list[Item], *runs: str, groups: int = 1, **changes: Any) -> Estimate:
    """Of items of which these cases would run, a call of each being as quick as can be."""
    expected = {case: Expected(0.0, 0, {"peak_memory": 0.0, "latency": 0.0}) for case in runs}
    return estimate(items, expected, groups, suite(**changes), RULES, PACE)


def counting(*cases: str) -> Item:
    return Item(0, {case: ["flops"] for case in cases}, counts=True)


def measuring(repeat: int, *cases: str) -> Item:
    return Item(repeat, {case: ["peak_memory"] for case in cases}, counts=False)


def test_counts_take_a_trace_each_and_no_rates() -> None:
    found = told([counting("a", "b")])
    assert found.cases == {"a": PACE.trace, "b": PACE.trace}
    assert found.workers == PACE.start + PACE.first_trace
    assert found.total == found.workers + 2 * PACE.trace


def test_a_repeat_is_a_worker_that_measures_its_rates_and_a_case_is_predicted_once() -> None:
    found = told([counting("a"), measuring(0, "a"), measuring(1, "a"), measuring(2, "a")], "a")
    assert found.cases["a"] == pytest.approx(2 * PACE.trace + 3 * PROFILE_SECONDS)
    assert found.workers == 3 * PACE.start + 3 * PACE.rates + PACE.first_trace
    two = told([measuring(0, "a")], "a", groups=2)
    assert two.workers == PACE.start + 2 * PACE.rates + PACE.first_trace


def test_a_case_that_would_be_refused_costs_its_counts() -> None:
    found = told([counting("a", "b"), measuring(0, "a", "b")], "b")
    assert found.cases["a"] == PACE.trace
    assert found.cases["b"] > 2 * PACE.trace


def test_nothing_left_takes_no_time() -> None:
    found = told([])
    assert (found.cases, found.total, found.overruns) == ({}, 0.0, False)


def test_the_suite_ends_when_its_time_is_spent() -> None:
    items = [counting(*(f"case {number}" for number in range(50)))]
    found = told(items, budget={"suite_seconds": 20})
    assert found.overruns
    assert found.total == found.workers + 20
    assert not told(items, budget={"suite_seconds": 60}).overruns


def test_what_workers_do_side_by_side_takes_its_share_by_the_clock() -> None:
    items = [counting("a", "b"), Item(0, {"a": ["latency"]}, counts=False, alone=True)]
    one, two = (told(items, "a", workers=number) for number in (1, 2))
    alone = one.measuring - 3 * PACE.trace
    assert alone > 1
    assert two.measuring == pytest.approx(alone + 3 * PACE.trace / 2)
    assert two.cases == one.cases


def test_reports_are_drawn_where_there_are_any() -> None:
    without, drawn = (told([counting("a")], reports=reports) for reports in ([], ["table"]))
    assert drawn.total == without.total + REPORTS_SECONDS


@pytest.mark.parametrize(
    ("call", "seconds"),
    [
        (0.01, 0.01 + 2 * 0.12 + 2.0 + 0.06),  # stretches of 0.12 s until two seconds are full
        (0.4, 3 * 0.4 + 2.0 + 0.2),
        (0.5, 2 * 0.5 + 2.0 + 0.25),  # a second spends the warm-up
        (0.6, 2 * 0.6 + 2.0 + 0.3),  # three stretches go into the two seconds
        (0.7, 2 * 0.7 + 3 * 0.7),  # not any more: three stretches, however long
        (1.5, 1.5 + 3 * 1.5),
        (12.0, 12.0 + 2 * 12.0),  # two go into thirty seconds
        (40.0, 40.0 + 40.0),
    ],
)
def test_a_clock_follows_its_protocol(call: float, seconds: float) -> None:
    assert timed_seconds(call, RULES) == pytest.approx(seconds)


def test_a_metric_costs_its_calls_and_its_own_work() -> None:
    besides = {"latency": 0.0, "peak_memory": 0.0, "memory": 0.0, "approximation_error": 7.0}
    case = Expected(2.0, 0, besides)
    expected = {
        "latency": 2.0 + timed_seconds(2.0, RULES) + PROFILE_SECONDS,
        "peak_memory": 2 * 2.0 + PROFILE_SECONDS,
        "memory": 4 * 2.0 + PROFILE_SECONDS,  # it says how often it calls a case
        "approximation_error": 2 * 2.0 + 7.0 + PROFILE_SECONDS,
        "flops": PACE.trace,
        "inverse_residual": 0.0,  # it would be refused
    }
    found = {metric: seconds_of(metric, case, RULES, PACE) for metric in expected}
    assert found == pytest.approx(expected)


def test_inputs_are_drawn() -> None:
    small, large = (Expected(0.0, size, {"peak_memory": 0.0}) for size in (0, 10**9))
    less, more = (seconds_of("peak_memory", case, RULES, PACE) for case in (small, large))
    assert 0.5 < more - less < 10
