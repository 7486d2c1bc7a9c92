"""Linear, quadratic, or nothing at all: the verdict speaks only where it must be right.

Mutants seen red: the shortest length never left out, a centre in the band enough, a band of 0.3,
four lengths enough, the misfit not said, no floor in the law.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import numpy as np
import pytest

from softbench.statistics.power_law import fit
from softbench.statistics.verdict import Verdict, verdict

LENGTHS = (196, 400, 784, 1600, 3136, 6400, 12544, 25600, 50176)
DOUBLING = tuple(2**power for power in range(8, 14))


def sampled(
    costs: Sequence[float],
    noise: float,
    count: int = 3,
    seed: int = 0,
    lengths: Sequence[int] = LENGTHS,
) -> dict[int, list[float]]:
    draw = np.random.default_rng(seed)
    return {
        n: (cost * np.exp(draw.normal(0, noise, count))).tolist()
        for n, cost in zip(lengths, costs, strict=True)
    }


LINEAR = [1 + n / 196 for n in LENGTHS]
QUADRATIC = [1 + (n / 196) ** 2 for n in LENGTHS]


def test_laws_with_a_floor_are_called_by_their_name() -> None:
    assert verdict(sampled(LINEAR, 0.03)).kind == "linear"
    assert verdict(sampled(QUADRATIC, 0.03)).kind == "quadratic"


def test_counts_are_judged_by_themselves() -> None:
    assert verdict({n: [7 * n + 900] for n in LENGTHS}).kind == "linear"
    assert verdict({n: [256 * n * n] for n in LENGTHS}).kind == "quadratic"
    told = verdict({n: [int(n**1.5)] for n in LENGTHS})
    assert told.kind == "undetermined"
    assert "1.50" in told.reason


def test_a_verdict_takes_five_lengths() -> None:
    five = sampled(LINEAR[:5], 0.005, lengths=LENGTHS[:5])
    four = {n: five[n] for n in LENGTHS[:4]}
    assert verdict(five).kind == "linear"
    assert verdict(four) == Verdict("undetermined", "4 lengths, a verdict takes 5")


def linear(medians: dict[int, list[float]]) -> bool:
    found = fit(medians).exponent
    assert found.low is not None
    assert found.high is not None
    return found.low >= 0.9 and found.high <= 1.1


def test_a_verdict_must_survive_without_the_shortest_length() -> None:
    lost = 0
    for seed in range(40):
        medians = sampled(LINEAR, 0.1, seed=seed)
        shorter = {n: medians[n] for n in LENGTHS[1:]}
        told = verdict(medians)
        assert (told.kind == "linear") == (linear(medians) and linear(shorter))
        if linear(medians) and not linear(shorter):
            assert "but not without N = 196" in told.reason
            lost += 1
    assert lost


def test_single_processes_get_none() -> None:
    told = verdict({n: [cost] for n, cost in zip(LENGTHS, LINEAR, strict=True)})
    assert told.kind == "undetermined"
    assert "one process" in told.reason


def test_steps_are_said_and_held_against_it() -> None:
    stepped = [c * (1.8 if n > 6400 else 1) for n, c in zip(LENGTHS, LINEAR, strict=True)]
    told = verdict(sampled(stepped, 0.01))
    assert told.kind == "undetermined"
    assert "no one law fits" in told.reason


def test_a_quadratic_below_its_floor_is_never_called_linear() -> None:
    """The law that Google Benchmark's rule and a plain slope get wrong."""
    costs = [0.5 + 1e-7 * n**2 for n in DOUBLING]
    for count, noise in ((3, 0.02), (3, 0.1), (10, 0.05)):
        called = Counter(
            verdict(sampled(costs, noise, count, seed, DOUBLING)).kind for seed in range(40)
        )
        assert called["linear"] <= 2


@pytest.mark.parametrize("noise", [0.02, 0.05, 0.1])
def test_n_log_n_is_not_linear(noise: float) -> None:
    costs = [n * np.log(n) for n in LENGTHS]
    called = Counter(verdict(sampled(costs, noise, 3, seed)).kind for seed in range(20))
    assert called["undetermined"] >= 19


def test_a_median_that_is_none_is_refused() -> None:
    with pytest.raises(ValueError, match="positive"):
        verdict({n: [0.0] for n in LENGTHS})
