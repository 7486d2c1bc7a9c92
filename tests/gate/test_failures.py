"""What a failure on one side is taken for, and how many calls a stretch has: without a process.

Mutants seen red: any failure of the base alone taken for a new cell; one of the head for new; short
calls given as few as fill the stretch; slowed heads no whole twenties.
"""

from __future__ import annotations

from typing import Literal

import pytest

from softbench.gate.failures import Failure
from softbench.gate.pairs import STEP, _calls
from softbench.gate.rules import Timing
from softbench.gate.sides import Side
from softbench.gate.timing import _trouble

BASE, SLOWED = Side("base", "/base"), Side("head+5%", "/head", extra=1)


@pytest.mark.parametrize(
    ("side", "kind", "told"),
    [
        ("base", "unknown", "new"),
        ("base", "failed", "failed"),
        ("base", "elsewhere", "environment"),
        ("head", "unknown", "failed"),
    ],
)
def test_a_cell_is_new_only_where_the_base_does_not_know_it(
    side: str, kind: Literal["unknown", "failed", "elsewhere"], told: str
) -> None:
    trouble = _trouble([Failure(side, 0, "no", kind)], "a cell")
    assert (trouble.kind, "--allow-new" in trouble.remedy) == (told, told == "new")


@pytest.mark.parametrize(
    ("seconds", "plain", "slowed"),
    [(1e-5, 200, 200), (9e-4, STEP, STEP), (1.5e-3, 2, STEP), (5e-3, 1, STEP)],
)
def test_short_calls_come_in_twenties_and_slowed_ones_always(
    seconds: float, plain: int, slowed: int
) -> None:
    assert _calls(seconds, Timing(), [BASE]) == plain
    assert _calls(seconds, Timing(), [BASE, SLOWED]) == slowed
