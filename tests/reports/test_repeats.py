"""A repeat on a slower machine is said to be one, by the rates that its processes measured.

Mutants seen red: the repeat held against all with itself, exponentials told too, half the
tolerance, a repeat of several processes by their mean, the farthest not set aside, never said.
"""

from __future__ import annotations

from typing import Any

import pytest
from drawing import drawn, texts
from synthetic_records import RATES, case, reached, record

from softbench.case import Record
from softbench.protocol import Protocol
from softbench.reports._points import points
from softbench.reports._repeats import TOLERANCE, unlike


def sweep(*gemm: float, length: int = 784, **rates: Any) -> list[Record]:
    """One record a repeat, whose process measured so many FLOP/s."""
    told = reached(1e9, 0.05, 1e7)
    return [
        record(
            case(seq_len=length),
            repeat=repeat,
            flops=told["flops"],
            roofline=told["roofline"] | {"gemm": rate} | rates,
        )
        for repeat, rate in enumerate(gemm)
    ]


def test_a_slower_repeat_is_told_with_how_much_slower() -> None:
    said = unlike(points(sweep(1e11, 0.75e11, 1.02e11)))
    assert said.endswith("(from 0 on): repeat 1: matrix products -26 %.")
    assert said in texts(drawn(sweep(1e11, 0.75e11, 1.02e11)))


def test_rates_that_are_alike_are_not_worth_a_word() -> None:
    assert unlike(points(sweep(1e11, 0.94e11, 1.05e11))) == ""
    assert unlike(points(sweep(1e11))) == ""
    assert unlike(points([record(case(), repeat=repeat) for repeat in range(3)])) == ""


def test_memory_counts_as_well_and_exponentials_do_not() -> None:
    slow = sweep(1e11, 1e11, 1e11, 1e11)
    slow[2] = sweep(1e11, 1e11, 1e11, stream=RATES["stream"] * 1.5)[2]
    slow[3] = sweep(1e11, 1e11, 1e11, 1e11, exponential=1.0)[3]
    assert unlike(points(slow)).endswith(": repeat 2: memory +50 %.")


def test_a_repeat_is_the_median_of_its_processes() -> None:
    """One of three workers that a repeat took was slow: as a whole it was not."""
    made = [*sweep(1e11, 1e11), *sweep(1e11, 1.01e11, length=400)]
    assert unlike(points([*made, *sweep(1e11, 0.5e11, length=196)])) == ""
    assert unlike(points(sweep(1e11, 0.5e11, length=196))) != ""


def test_of_two_the_slower_is_told_and_of_four_the_two_slow_ones() -> None:
    assert unlike(points(sweep(0.8e11, 1e11))).endswith(": repeat 0: matrix products -20 %.")
    assert unlike(points(sweep(1e11, 0.5e11, 1e11, 0.5e11))).endswith(
        ": repeat 1: matrix products -50 %; repeat 3: matrix products -50 %."
    )


def test_the_tolerance_is_the_sentinels() -> None:
    assert pytest.approx(Protocol().sentinel_tolerance) == TOLERANCE
