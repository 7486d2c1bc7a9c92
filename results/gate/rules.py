"""The rules of other tools on the samples of a calibration: how often each is wrong, what it finds.

Run as `python results/gate/rules.py results/gate/gate_check/ENVIRONMENT`; writes rules.md beside
itself. A round of the calibration has twelve processes of the base, of an identical head and of
heads slowed by 5, 10 and 20 %, eight samples of each cell in each. Every rule is re-implemented
from its tool's sources and gets the same samples: those of one process a side, as its tool is used,
and those of all twelve put together; and each with base and head timed by turns, as here, or apart
(half a round, some 40 s; with all twelve the round before), as a tool does that times all of one
before all of the other. "Slower" is what the tool calls slower, whatever it calls quicker.

pytest-benchmark   --benchmark-compare-fail=mean:5%: the mean is more than 5 % larger
                   (pytest_benchmark/utils.py).
Google Benchmark   tools/compare.py: two-sided Mann-Whitney U, p < 0.05, with the larger median.
asv                continuous, compare: the median is more than 1.1 times as large, and the samples
                   differ by a two-sided U test with p < 0.002 (asv/_stats.py).
Criterion          the bootstrapped t test says p < 0.05, and the 95 % interval of the change of the
                   mean lies above the noise threshold of 1 % (10,000 resamples; it takes 100,000).
hyperfine          prints the ratio of the means with a standard deviation; taken as slower where
                   one standard deviation below is above 1 (src/benchmark/relative_speed.rs).
NVBench robust     nvbench_compare_robust.py: the smallest time lies 0.5 % above the base's third
                   quartile; the check of the clock's rate, which no CPU has, is taken as passed.
softbench          this gate, on twelve pairs, in the suite of twenty cells with alpha 5 %.
"""

from __future__ import annotations

import itertools
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from math import log1p
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.stats import mannwhitneyu

from softbench.environment import Environment
from softbench.gate import rounds as kept
from softbench.gate.judging import RATIOS, SCORE
from softbench.gate.pairs import Samples as Slots
from softbench.gate.rounds import Round
from softbench.statistics import sign_flip
from softbench.statistics.rate import clopper_pearson
from softbench.suite import Gate

Samples = NDArray[np.float64]
Rule = Callable[[Samples, Samples], bool]
HEADS = ("head", "head+5%", "head+10%", "head+20%")
RESAMPLES = 10_000
GATE = Gate(max_pairs=12)


def pytest_benchmark(base: Samples, head: Samples) -> bool:
    """The mean is more than 5 % larger."""
    return bool(head.mean() > 1.05 * base.mean())


def google_benchmark(base: Samples, head: Samples) -> bool:
    """The U test says different, and the median is larger."""
    return bool(np.median(head) > np.median(base)) and _u_test(base, head) < 0.05


def asv(base: Samples, head: Samples) -> bool:
    """The median is more than 1.1 times as large, and the U test says different."""
    return bool(np.median(head) > 1.1 * np.median(base)) and _u_test(base, head) < 0.002


def _u_test(base: Samples, head: Samples) -> float:
    return float(mannwhitneyu(base, head, alternative="two-sided").pvalue)


def criterion(base: Samples, head: Samples) -> bool:
    """The bootstrapped t test and the interval of the change of the mean."""
    if head.mean() <= 1.01 * base.mean():  # the interval holds the estimate: it cannot lie above
        return False
    dice = np.random.default_rng(0)
    pooled = np.concatenate([base, head])
    null = _t(_resampled(pooled, len(head), dice), _resampled(pooled, len(base), dice))
    observed = _t(head[None], base[None])[0]
    tail = min((null > observed).mean(), (null < observed).mean())
    means = _resampled(head, len(head), dice).mean(1) / _resampled(base, len(base), dice).mean(1)
    return bool(2 * tail < 0.05 and np.quantile(means - 1, 0.025) > 0.01)


def _resampled(samples: Samples, size: int, dice: np.random.Generator) -> Samples:
    drawn: Samples = samples[dice.integers(0, len(samples), size=(RESAMPLES, size))]
    return drawn


def _t(one: Samples, other: Samples) -> Samples:
    """Welch's t of each row."""
    spread = one.var(1, ddof=1) / one.shape[1] + other.var(1, ddof=1) / other.shape[1]
    t: Samples = (one.mean(1) - other.mean(1)) / np.sqrt(np.maximum(spread, 1e-30))
    return t


def hyperfine(base: Samples, head: Samples) -> bool:
    """The ratio of the means less its standard deviation is above 1."""
    ratio = head.mean() / base.mean()
    relative = np.hypot(head.std(ddof=1) / head.mean(), base.std(ddof=1) / base.mean())
    return bool(ratio * (1 - relative) > 1)


def nvbench_robust(base: Samples, head: Samples) -> bool:
    """The smallest time lies clear of the base's third quartile."""
    third_quartile = np.sort(base)[(75 * (len(base) - 1) + 50) // 100]
    return bool(head.min() >= 1.005 * third_quartile)


RULES: dict[str, Rule] = {
    "pytest-benchmark mean:5%": pytest_benchmark,
    "Google Benchmark U test": google_benchmark,
    "asv": asv,
    "Criterion": criterion,
    "hyperfine": hyperfine,
    "NVBench robust": nvbench_robust,
}


@dataclass(frozen=True)
class Row:
    """What a rule called slower: head to [rounds, cells]."""

    name: str
    samples: str
    slower: dict[str, NDArray[np.bool_]]


def row_of(name: str, rounds: Sequence[Round], processes: int, apart: bool) -> Row:
    """A rule on the samples of so many processes a side: any one of each round, or all.

    apart: those of the base from another pair, or with all processes from the round before.
    """
    slower = {head: np.zeros((len(rounds), len(rounds[0].cells)), bool) for head in HEADS}
    for number, one in enumerate(rounds):
        count = len(one.pairs)
        first = number % count if processes == 1 else 0
        pairs = before = one.pairs[first : first + processes]
        if apart and processes == 1:
            before = [one.pairs[(first + count // 2) % count]]
        elif apart:
            before = rounds[number - 1].pairs
        for cell in range(len(one.cells)):
            base = _samples(before, "base", cell)
            for head, found in slower.items():
                found[number, cell] = RULES[name](base, _samples(pairs, head, cell))
    told = f"{processes} process{'es' * (processes > 1)}, {8 * processes}{', apart' * apart}"
    return Row(name, told, slower)


def _samples(pairs: Sequence[Slots], side: str, cell: int) -> Samples:
    return np.concatenate([np.array(pair[side][cell], float) for pair in pairs])


def softbench_row(rounds: Sequence[Round]) -> Row:
    """The gate itself: of each slowed head one cell at a time, the others identical."""
    slower = {head: np.zeros((len(rounds), len(rounds[0].cells)), bool) for head in HEADS}
    signs_FK = sign_flip.flips(len(rounds[0].pairs))
    for number, one in enumerate(rounds):
        values = {head: RATIOS(one.pairs, "base", head) for head in HEADS}
        slower["head"][number] = _called(values["head"], signs_FK)
        for head in HEADS[1:]:
            for cell in range(len(one.cells)):
                swapped_KC = values["head"].copy()
                swapped_KC[:, cell] = values[head][:, cell]
                slower[head][number, cell] = _called(swapped_KC, signs_FK)[cell]
    return Row("**softbench**", f"{len(rounds[0].pairs)} processes, 96", slower)


def _called(values_KC: Samples, signs_FK: Samples) -> NDArray[np.bool_]:
    p_C = sign_flip.p_values(values_KC - log1p(GATE.margin), signs_FK, SCORE)
    called: NDArray[np.bool_] = p_C <= GATE.alpha
    return called


def text(rows: Sequence[Row], rounds: Sequence[Round], machine: Environment) -> str:
    """The page."""
    lines = [
        "# The same samples through other rules",
        "",
        "Made by `python results/gate/rules.py results/gate/gate_check/"
        f"{rounds[0].environment}`: {len(rounds)} rounds of {len(rounds[0].cells)} cells on "
        f"{machine.cpu}, {machine.cores} cores, torch {machine.libraries['torch']}; the 1-minute "
        f"load {min(r.load_after[0] for r in rounds):.1f} to "
        f"{max(r.load_after[0] for r in rounds):.1f}. Each rule as its script's heading says.",
        "",
        "| Rule | Samples a side | False alarms, of cells | Rounds with any | 95 % interval | +5 % "
        "found | +10 % | +20 % |",
        "| :--- | :--- | ---: | ---: | :--- | ---: | ---: | ---: |",
        *(_line(row) for row in rows),
        "",
        "False alarms: the identical head called slower. Found: of every cell in every round, "
        "slowed alone. Interval: Clopper and Pearson's of the rounds with any false alarm.",
    ]
    return "\n".join(lines) + "\n"


def _line(row: Row) -> str:
    alarms = row.slower["head"]
    rounds_with = int(alarms.any(axis=1).sum())
    low, high = clopper_pearson(rounds_with, len(alarms))
    shares = [f"{100 * row.slower[head].mean():.1f} %" for head in HEADS]
    return (
        f"| {row.name} | {row.samples} | {shares[0]} | {rounds_with} of {len(alarms)} | "
        f"{100 * low:.0f} to {100 * high:.0f} % | {' | '.join(shares[1:])} |"
    )


def rows_of(rounds: Sequence[Round]) -> Iterator[Row]:
    """Every rule on the samples of one process a side, then on all; this gate last."""
    for apart, processes in itertools.product((True, False), (1, len(rounds[0].pairs))):
        for name in RULES:
            yield row_of(name, rounds, processes, apart)
    yield softbench_row(rounds)


def main() -> None:
    """Write the page of the rounds in the folder given."""
    folder = Path(sys.argv[1])
    rounds = kept.read(folder)
    machine = Environment.model_validate_json((folder / "environment.json").read_text())
    page = text(list(rows_of(rounds)), rounds, machine)
    Path(__file__).with_suffix(".md").write_text(page, encoding="utf-8")
    print(page)


if __name__ == "__main__":
    main()
