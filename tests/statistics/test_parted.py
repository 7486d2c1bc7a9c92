"""What a process has in common at all lengths: parted as Grubbs does, also where some are missing.

Mutants seen red: the noise left in what is common, one variance for all lengths, the shift of a
process left in the scatter, missing processes taken as present, two lengths parted.
"""

from __future__ import annotations

import numpy as np
import pytest

from softbench.statistics._parted import parted


def drawn(alone: list[float], common: float, count: int, seed: int = 0) -> np.ndarray:
    """Log medians, lengths by processes; the arguments are standard deviations."""
    draw = np.random.default_rng(seed)
    own = np.array(alone)[:, None] * draw.standard_normal((len(alone), count))
    found: np.ndarray = own + common * draw.standard_normal(count) + np.arange(len(alone))[:, None]
    return found


@pytest.mark.parametrize("count", [2, 3, 7])
def test_what_is_common_is_the_mean_covariance_of_the_lengths(count: int) -> None:
    logs = drawn([0.1, 0.2, 0.1, 0.3], 1.0, count)
    found, between = parted(logs), np.cov(logs)
    pairs = between[~np.eye(4, dtype=bool)]
    assert found.common == pytest.approx(pairs.mean())
    assert found.sharing == count - 1
    assert found.freedom == 3 * (count - 1)


def test_each_lengths_own_variance_is_grubbs_estimate() -> None:
    """s_ii - 2/(N-1) sum_k s_ik + 2/((N-1)(N-2)) sum_k<l s_kl, the sums without i."""
    logs = drawn([0.3, 0.2, 0.1, 0.3, 0.2], 0.5, 9)
    between, size = np.cov(logs), 5
    for i, alone in enumerate(parted(logs).alone):
        rest = [k for k in range(size) if k != i]
        others = between[np.ix_(rest, rest)]
        pairs = (others.sum() - np.trace(others)) / 2
        theirs = 2 * pairs / ((size - 1) * (size - 2))
        assert alone == pytest.approx(
            between[i, i] - 2 * between[i, rest].sum() / (size - 1) + theirs
        )


def test_both_are_found_on_average_where_some_are_missing() -> None:
    found = []
    for seed in range(400):
        logs = drawn([0.2] * 6, 0.3, 4, seed)
        logs[0, 0] = logs[1, 1] = logs[1, 2] = logs[5, 3] = np.nan
        found.append(parted(logs))
    assert np.mean([one.common for one in found]) == pytest.approx(0.09, rel=0.1)
    assert np.mean([one.pooled for one in found]) == pytest.approx(0.04, rel=0.1)


def test_nothing_in_common_is_none_and_never_negative() -> None:
    found = [parted(drawn([0.2] * 9, 0.0, 3, seed)) for seed in range(200)]
    assert min(one.common for one in found) == 0
    assert np.mean([one.common for one in found]) < 0.2 * 0.04
    assert min(one.alone.min() for one in found) >= 0


def test_too_little_to_part_them_leaves_the_scatter_whole() -> None:
    two = drawn([0.1, 0.1], 1.0, 3)
    assert parted(two).common == 0
    assert parted(two).alone == pytest.approx(two.var(axis=1, ddof=1))
    strangers = np.full((3, 6), np.nan)
    for at in range(3):
        strangers[at, [2 * at, 2 * at + 1]] = [0.0, 1.0]
    assert parted(strangers).common == 0
    assert parted(strangers).pooled == pytest.approx(0.5)
