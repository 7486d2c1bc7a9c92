"""The interval against textbook numbers and against its own promise, coverage.

Mutants seen red: arithmetic instead of geometric centre, all calls pooled instead of one median a
process, n instead of n - 1 degrees of freedom, a normal quantile for t, the √n left out.
"""

from __future__ import annotations

import math
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from softbench.statistics.interval import estimate

T_975_WITH_2_DEGREES = 4.30265  # from a printed table


def calls(median: float) -> list[float]:
    return [median * factor for factor in (0.9, 1.0, 1.3)]


def test_three_processes_by_hand() -> None:
    found = estimate([calls(1.0), calls(2.0), calls(4.0)])
    factor = 2 ** (T_975_WITH_2_DEGREES / math.sqrt(3))
    assert found.centre == pytest.approx(2.0)
    assert found.low == pytest.approx(2.0 / factor, rel=1e-5)
    assert found.high == pytest.approx(2.0 * factor, rel=1e-5)
    assert found.num_processes == 3
    assert found.without_interval is None


def test_more_calls_in_a_process_do_not_make_it_surer() -> None:
    few = estimate([calls(1.0), calls(1.1), calls(1.2)])
    many = estimate([calls(m) * 100 for m in (1.0, 1.1, 1.2)])
    assert (many.low, many.high) == (few.low, few.high)


def test_the_interval_covers_the_truth_as_often_as_it_says() -> None:
    medians = np.exp(np.random.default_rng(7).normal(0.0, 0.1, size=(3000, 3)))
    found = [estimate([[m, m, m] for m in row.tolist()]) for row in medians]
    covered = np.mean([(f.low or 9) <= 1.0 <= (f.high or 0) for f in found])
    assert 0.94 < covered < 0.96


def test_a_higher_confidence_is_wider() -> None:
    processes = [calls(1.0), calls(1.1), calls(1.3)]
    narrow, wide = estimate(processes, confidence=0.5), estimate(processes, confidence=0.99)
    assert wide.low is not None
    assert narrow.low is not None
    assert wide.low < narrow.low < narrow.centre == wide.centre


def test_one_process_has_no_interval() -> None:
    found = estimate([[1.0, 2.0, 9.0]])
    assert (found.centre, found.low, found.high) == (2.0, None, None)
    assert found.without_interval == "one process"


def test_fewer_than_three_calls_in_any_process_stay_raw() -> None:
    found = estimate([calls(1.0), [2.0, 2.5], calls(1.0)])
    assert found.without_interval == "few calls"
    assert (found.low, found.high) == (None, None)
    assert found.raw[1] == (2.0, 2.5)


@pytest.mark.parametrize("count", [0, 7, 2**70])
def test_a_count_that_never_differs_is_exact(count: int) -> None:
    found = estimate([[count], [count], [count]])
    assert found.exact
    assert (found.centre, found.low) == (count, None)


def test_whole_numbers_that_differ_and_floats_that_agree_are_no_counts() -> None:
    assert not estimate([[8, 8, 8], [8, 8, 9], [9, 9, 9]]).exact
    assert not estimate([[8.0] * 3] * 3).exact


def test_a_median_without_logarithm_gives_the_plain_median() -> None:
    found = estimate([[0.0] * 3, [1.0] * 3, [3.0] * 3])
    assert (found.centre, found.without_interval) == (1.0, "not positive")


@pytest.mark.parametrize("processes", [[], [[]], [[1.0], []]])
def test_nothing_to_estimate_is_refused(processes: list[list[float]]) -> None:
    with pytest.raises(ValueError, match="a value of every process"):
        estimate(processes)


@pytest.mark.parametrize("confidence", [0.0, 1.0, 95.0, math.nan])
def test_a_confidence_that_is_none_is_refused(confidence: float) -> None:
    with pytest.raises(ValueError, match="between 0 and 1"):
        estimate([calls(1.0)], confidence=confidence)


@given(medians=st.lists(st.floats(1e-6, 1e3), min_size=2, max_size=6), scale=st.floats(1e-3, 1e3))
def test_another_unit_gives_the_same_interval_in_that_unit(
    medians: list[float], scale: float
) -> None:
    plain = estimate([[m] * 3 for m in medians])
    scaled = estimate([[m * scale] * 3 for m in medians])
    assert plain.low is not None
    assert plain.high is not None
    assert plain.low <= plain.centre * (1 + 1e-9)
    assert scaled.centre == pytest.approx(plain.centre * scale)
    assert scaled.low == pytest.approx(plain.low * scale, rel=1e-6)
    assert scaled.high == pytest.approx(plain.high * scale, rel=1e-6)


def test_it_needs_neither_torch_nor_the_slow_part_of_scipy() -> None:
    code = (
        "import sys; from softbench.statistics.interval import estimate; estimate([[1.0] * 3] * 3);"
        "from softbench.statistics.power_law import fit; fit({n: [1.0, n] for n in range(2, 8)});"
        "sys.exit(bool({'torch', 'scipy.stats', 'scipy.optimize', 'pandas'} & set(sys.modules)))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
