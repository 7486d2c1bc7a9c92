"""SI values as people read them, and the axes' ticks.

Mutants seen red: MB for MiB, the interval's digits ignored, ticks above the roof.
"""

from __future__ import annotations

import itertools
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from softbench.reports._axes import Span, height_ticks, spread, tick_label
from softbench.reports._units import column_unit, decimals_of, human, number

LENGTHS = [196, 400, 784, 1600, 3136, 6400, 12544, 25600, 50176]


@pytest.mark.parametrize(
    ("value", "unit", "text"),
    [
        (0.00123, "s", "1.23 ms"),
        (4.56e-7, "s", "456 ns"),
        (125.0, "s", "125 s"),
        (21.3 * 2**30, "byte", "21.3 GiB"),
        (2**20, "byte", "1.00 MiB"),
        (1000, "byte", "1,000 B"),
        (3.4e12, "FLOP", "3.40 TFLOP"),
        (13_069_056, "count", "13.1 M"),
        (0, "count", "0"),
        (0, "byte", "0 byte"),
    ],
)
def test_human_units(value: float, unit: str, text: str) -> None:
    assert human(value, unit) == text


def test_columns_have_one_unit() -> None:
    assert column_unit("byte") == (1048576.0, "MiB")
    assert column_unit("s") == (0.001, "ms")
    assert column_unit("count") == (1.0, "")


def test_the_uncertainty_decides_how_many_digits_are_shown() -> None:
    assert number(1.23456, decimals_of(1.23456)) == "1.23"
    assert number(1.23456, decimals_of(1.23456, half_width=0.0004)) == "1.2346"
    assert number(1.23456789, decimals_of(1.23456789, half_width=1e-12)) == "1.23457"
    assert number(12345.6) == "12,346"


@given(low=st.floats(1e-9, 1e9), ratio=st.floats(3.1, 1e12), unit=st.sampled_from(["s", "byte"]))
def test_every_axis_gets_a_few_ticks_inside_it(low: float, ratio: float, unit: str) -> None:
    span = Span(low, low * ratio)
    ticks = height_ticks(span, unit)
    assert 1 <= len(ticks) <= 9
    assert all(span.low * 0.999 <= tick <= span.high * 1.001 for tick in ticks)
    labels = [tick_label(tick, unit) for tick in ticks]
    assert len(set(labels)) == len(labels)


def test_no_tick_stands_where_no_value_can() -> None:
    assert max(height_ticks(Span(1e-3, 1e3, roof=10.0), "s")) == pytest.approx(10.0)


def test_named_lengths_keep_the_ends_and_their_distance() -> None:
    named = spread(LENGTHS)
    assert (named[0], named[-1]) == (196, 50176)
    steps = [math.log(b / a) for a, b in itertools.pairwise(named)]
    assert min(steps) > math.log(50176 / 196) / 5
    assert spread([784]) == [784]
