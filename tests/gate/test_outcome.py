"""Verdicts and exit codes: only what was compared and found good is 0.

Mutants seen red: an inconclusive cell that passes; nothing compared that passes; a policy that
forgives errors; fewer counts that pass; the order of the worst turned round; text that grows.
"""

from __future__ import annotations

import itertools
from typing import Any

import pytest
from gate_cases import case

from softbench.gate.outcome import Change, Counted, Outcome, Timed, TimedCell, Trouble

WORST = {"pass": 0, "inconclusive": 1, "error": 2, "regression": 3}
CODES = {"pass": 0, "regression": 1, "inconclusive": 3, "error": 4}


def timed(*verdicts: Any) -> Timed:
    cells = [
        TimedCell(
            case=case(seed=index),
            name=f"cell {index}",
            verdict=verdict,
            base_seconds=1e-3,
            ratio=1.0,
            low=0.9,
            high=1.1,
            tenth_ratio=1.0,
            median_ratio=1.0,
            detectable=1.05,
        )
        for index, verdict in enumerate(verdicts)
    ]
    return Timed(
        base="main",
        head="the working tree",
        cells=cells,
        pairs=12,
        margin=1.02,
        detect=1.1,
        alpha=0.05,
        seconds=1.0,
        timing="t",
        environment="e",
        load=[0.0, 0.0, 0.0],
    )


def change(before: int | str, after: int | str) -> Change:
    fields: dict[str, Any] = {"name": "a cell", "quantity": "operators", "unit": "count"}
    return Change(case=case(), before=before, after=after, **fields)


def counted(*changes: Change, cases: int = 3) -> Counted:
    found: dict[str, Any] = {
        "baseline": "b.json",
        "torch": "2.11.0",
        "cases": cases,
        "quantities": ["operators"],
    }
    return Counted(changes=list(changes), **found)


def outcome(**given: Any) -> Outcome:
    fields: dict[str, Any] = {
        "suite": "ci",
        "command": "softbench gate ci",
        "commit": None,
        "troubles": [],
    }
    layers = {"inconclusive": "fail", "counted": None, "timed": None}
    return Outcome(**(fields | layers | given))


TROUBLE = Trouble(kind="missing", name="a cell", reason="gone")


@pytest.mark.parametrize("policy", ["fail", "warn", "pass"])
@pytest.mark.parametrize("verdicts", list(itertools.product(WORST, repeat=2)), ids="-".join)
def test_the_worst_cell_is_the_suites_verdict(policy: str, verdicts: tuple[str, str]) -> None:
    worst = max(verdicts, key=lambda verdict: WORST[verdict])
    cells = [verdict for verdict in verdicts if verdict != "error"]
    troubles = [TROUBLE] * verdicts.count("error")
    found = outcome(timed=timed(*cells), troubles=troubles, inconclusive=policy)
    assert found.verdict == worst
    tolerated = worst == "inconclusive" and policy != "fail"
    assert found.code == (0 if tolerated else CODES[worst])


def test_nothing_compared_is_no_pass() -> None:
    for nothing in (outcome(), outcome(timed=timed()), outcome(counted=counted(cases=0))):
        assert (nothing.verdict, nothing.code) == ("error", 4)


def test_counts_alone_pass_where_nothing_changed() -> None:
    assert (outcome(counted=counted()).verdict, outcome(counted=counted()).code) == ("pass", 0)


@pytest.mark.parametrize(
    ("before", "after", "verdict"),
    [(3, 4, "regression"), (3, 2, "error"), ("sdpa", "eager", "regression")],
)
def test_more_is_a_regression_and_less_a_baseline_to_be_written_anew(
    before: int | str, after: int | str, verdict: str
) -> None:
    assert change(before, after).verdict == verdict
    assert outcome(counted=counted(change(before, after))).verdict == verdict


def test_a_regression_in_one_layer_is_not_hidden_by_the_other() -> None:
    both = outcome(timed=timed("pass"), counted=counted(change(3, 4)), inconclusive="pass")
    assert both.code == 1
    both = outcome(timed=timed("regression"), counted=counted(), troubles=[TROUBLE])
    assert both.code == 1


def test_an_outcome_survives_json() -> None:
    whole = outcome(timed=timed("pass"), counted=counted(change(3, 4)), troubles=[TROUBLE])
    assert Outcome.model_validate_json(whole.model_dump_json()) == whole
