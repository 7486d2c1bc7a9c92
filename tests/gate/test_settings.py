"""The gate's settings in a suite file: their defaults, their looks, and what is refused.

Mutants seen red: alpha not shared out by pairs; the last look short of max_pairs; too few pairs
let through; detect below the margin let through; budgets of unknown quantities.
"""

from __future__ import annotations

from typing import Any

import pytest

from softbench.gate.baseline import QUANTITIES
from softbench.gate.rules import Timing
from softbench.suite import Gate, SuiteError, parse
from softbench.suite.gating import Budgets


def settings(**given: Any) -> Gate:
    raw = {"shape": {"seq_len": 16}, "attention": {"softmax": {}}, "metrics": ["flops"]}
    return parse(raw | {"gate": given}, "given", "given").gate


@pytest.mark.parametrize(
    ("pairs", "most", "looks"),
    [(12, 12, [12]), (12, 36, [12, 24, 36]), (12, 30, [12, 24, 30]), (8, 9, [8, 9])],
)
def test_looks_end_at_the_most_pairs_and_spend_all_of_alpha_once(
    pairs: int, most: int, looks: list[int]
) -> None:
    found = settings(pairs=pairs, max_pairs=most, alpha=0.04).looks
    assert list(found) == looks
    assert sum(found.values()) == pytest.approx(0.04)
    assert found[pairs] == pytest.approx(0.04 * pairs / most)


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"pairs": 4, "max_pairs": 4}, "with 4 pairs no slowdown is ever significant at 0.05"),
        ({"pairs": 6, "max_pairs": 60}, "with 6 pairs no slowdown is ever significant at 0.005"),
        ({"pairs": 12, "max_pairs": 8}, "max_pairs 8 is less than pairs 12"),
        ({"margin": 0.1, "detect": 0.1}, "detect 0.1 must be larger than margin 0.1"),
        ({"alpha": 0}, "gate.alpha: 0 is refused"),
        ({"alpha": 1.0}, "gate.alpha: 1.0 is refused"),
        ({"margin": -0.1}, "gate.margin: -0.1 is refused"),
        ({"paris": 12}, "unknown key 'gate.paris'; did you mean 'pairs'?"),
        ({"budgets": {"operator": 0.1}}, "'gate.budgets.operator'; did you mean 'operators'?"),
        ({"budgets": {"operators": 1.5}}, "gate.budgets.operators: 1.5 is refused"),
    ],
)
def test_what_can_never_find_or_never_pass_is_refused(given: dict[str, Any], words: str) -> None:
    with pytest.raises(SuiteError) as refused:
        settings(**given)
    assert words in str(refused.value)


def test_every_count_of_a_baseline_has_a_budget_and_none_by_default() -> None:
    assert list(Budgets.model_fields) == list(QUANTITIES)
    assert set(Budgets().model_dump().values()) == {0.0}


@pytest.mark.parametrize(("threads", "pinned"), [(1, True), (2, False)])
def test_processes_share_a_core_only_if_one_thread_is_all_they_have(
    threads: int, pinned: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    raw = {"shape": {"seq_len": 16}, "attention": {"softmax": {}}, "metrics": ["flops"]}
    suite = parse(raw | {"threads": threads, "gate": {"pairs": 7}}, "given", "given")
    rules = Timing.of(suite)
    assert (rules.threads, rules.pairs, rules.pinned) == (threads, 7, pinned)
    monkeypatch.delattr("os.sched_setaffinity")
    assert not Timing.of(suite).pinned
