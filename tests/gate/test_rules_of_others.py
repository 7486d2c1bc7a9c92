"""The re-implemented rules of other tools, on samples of which the answer is plain from the rule.

Mutants seen red: a threshold of 4 or 6 % in the first; a one-sided U test; medians not compared;
asv without its factor, or with p < 0.05; Criterion's noise threshold left out; hyperfine's
deviation left out; NVBench held against the median.
"""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

FILE = Path(__file__).parents[2] / "results" / "gate" / "rules.py"
STEPS = np.arange(8.0)  # base: 100 to 107


@pytest.fixture(scope="module")
def rules() -> Iterator[ModuleType]:
    spec = importlib.util.spec_from_file_location("rules_of_others", FILE)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # its dataclasses look for it there
    spec.loader.exec_module(module)
    yield module
    del sys.modules[spec.name]


@pytest.mark.parametrize(
    ("rule", "base", "head", "slower"),
    [
        # The mean is 103.5; 5 % more is 108.7.
        ("pytest-benchmark mean:5%", 100 + STEPS, 105.1 + STEPS, False),
        ("pytest-benchmark mean:5%", 100 + STEPS, 105.3 + STEPS, True),
        # Eight against eight, all larger: p = 2 / 12,870; with 16 pairs of 64 the other way, 0.105.
        ("Google Benchmark U test", 100 + STEPS, 108 + STEPS, True),
        ("Google Benchmark U test", 108 + STEPS, 100 + STEPS, False),
        ("Google Benchmark U test", 100 + STEPS, 102.5 + STEPS, False),
        # As clear, but 1.08 and 1.12 times the median.
        ("asv", 100 + STEPS, 108.3 + STEPS, False),
        ("asv", 100 + STEPS, 115.9 + STEPS, True),
        # 1.12 times the median, and p = 0.011.
        ("asv", 100 + STEPS, np.array([99.0, 108, 116, 116, 116, 116, 116, 116]), False),
        # Far apart for their scatter of 0.2: by 0.5 %, within the noise threshold, and by 3 %.
        ("Criterion", 100 + STEPS / 10, 100.5 + STEPS / 10, False),
        ("Criterion", 100 + STEPS / 10, 103 + STEPS / 10, True),
        ("Criterion", 100 + 5 * STEPS, 103 + 5 * STEPS, False),
        # A ratio of 1.05 with a deviation of 0.03, and of 0.13.
        ("hyperfine", 100 + STEPS, 105 + STEPS, True),
        ("hyperfine", 100 + 4 * STEPS, 105 + 4 * STEPS, False),
        # The third quartile of the base is 105; half a per cent more is 105.5.
        ("NVBench robust", 100 + STEPS, 105.4 + STEPS, False),
        ("NVBench robust", 100 + STEPS, 105.6 + STEPS, True),
    ],
)
def test_a_rule_calls_slower_what_its_tool_does(
    rules: ModuleType,
    rule: str,
    base: np.ndarray[tuple[int], np.dtype[np.float64]],
    head: np.ndarray[tuple[int], np.dtype[np.float64]],
    slower: bool,
) -> None:
    assert rules.RULES[rule](base, head) is slower


def test_every_rule_has_both_answers_here(rules: ModuleType) -> None:
    (marks,) = test_a_rule_calls_slower_what_its_tool_does.pytestmark  # type: ignore[attr-defined]
    answers = {(rule, slower) for rule, _, _, slower in marks.args[1]}
    assert answers == {(rule, slower) for rule in rules.RULES for slower in (True, False)}
