"""How often printed intervals hold the truth, and how often a verdict is wrong: simulations.

Run as `python results/validation/intervals.py`; writes intervals.md beside itself in some minutes
and ends with 1 where a figure lies outside the limits of its table, which stand under its title.
Every number comes from the functions that reports use. Noise is log-normal and independent between
processes, its sd that of one process's median; the lengths are those of suites/seq_len.yaml. The
launch floor is as large as what grows at the shortest length, unless a table says otherwise.
"""

from __future__ import annotations

import math
import sys
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from textwrap import wrap
from unittest.mock import patch

import numpy as np
from numpy.typing import NDArray

from softbench.statistics import _scatter
from softbench.statistics._parted import Parted, _unparted
from softbench.statistics._scatter import Scatter
from softbench.statistics.comparison import ratio
from softbench.statistics.crossing import crossing
from softbench.statistics.interval import Estimate, estimate
from softbench.statistics.pareto import front
from softbench.statistics.power_law import fit, ribbon
from softbench.statistics.verdict import Kind, verdict

Array = NDArray[np.float64]
Draw = np.random.Generator
Rule = Callable[[Mapping[str, str]], bool]
LENGTHS = np.array([196, 400, 784, 1600, 3136, 6400, 12544, 25600, 50176])
DOUBLING = 2 ** np.arange(8, 14)  # 256 to 8192
PROCESSES = (3, 5, 10)
NOISES = (0.02, 0.05, 0.1)
SETTINGS = [(count, noise) for count in PROCESSES for noise in NOISES]
KINDS: tuple[Kind, ...] = ("linear", "quadratic", "undetermined")
TIMES = 2000
ANEW = 10_000
FEWER = 1000
FEWEST = 500
AIM = (93, 97)
SHARED = ((0.05, 0.05), (0.05, 0.02), (0.1, 0.02))  # sd of what is common, and of each length
INSIDE = (196, 3136, 50176)  # where the curve is looked at
RIGHT = {
    "linear": ("Linear",),
    "quadratic": ("Quadratic",),
    "N log N": (),
    "0.5 + 1e-7 N², N = 256 to 8192": ("Quadratic",),
}


def grown(exponent: float, floor: float = 1.0) -> Array:
    """A cost that grows by one at the shortest length, and its floor."""
    cost: Array = floor + (LENGTHS / LENGTHS[0]) ** exponent
    return cost


LAWS = {"linear": (1.0, grown(1.0)), "quadratic": (2.0, grown(2.0))}


@dataclass(frozen=True)
class Limits:
    """What every row of a table must keep, in words and as a test of the row by its headings."""

    words: str
    kept: Rule


@dataclass(frozen=True)
class Table:
    """A table with its title, its limits and a remark."""

    title: str
    heading: str
    rows: Sequence[Sequence[str]]
    limits: Limits
    note: str

    @property
    def outside(self) -> list[str]:
        """The rows that do not keep the limits."""
        names = self.heading.split(" | ")
        broken = [
            row for row in self.rows if not self.limits.kept(dict(zip(names, row, strict=True)))
        ]
        return [f"{self.title}: {' | '.join(row)}" for row in broken]

    @property
    def text(self) -> str:
        """As Markdown."""
        rule = "|".join(["---:"] * len(self.heading.split(" | ")))
        body = "\n".join(f"| {' | '.join(row)} |" for row in self.rows)
        remark = "\n".join(wrap(f"Limits: {self.limits.words} {self.note}".strip(), 100))
        return f"## {self.title}\n\n{remark}\n\n| {self.heading} |\n|{rule}|\n{body}\n"


def table(
    title: str, heading: str, rows: Iterator[list[str]], limits: Limits, note: str = ""
) -> Table:
    """A table, simulated."""
    print(title, file=sys.stderr)
    return Table(title, heading, list(rows), limits, note)


def between(low: float, high: float, *columns: str, times: int = 0) -> Limits:
    """All of these columns within the two; beyond by chance if `times` simulations leave room."""
    chance = 200 * math.sqrt(0.95 * 0.05 / times) if times else 0.0
    words = f"{low:g} to {high:g} % ({', '.join(columns)})"
    words += f", outside from two sd of the simulation beyond, ±{chance:.1f}." if chance else "."
    least, most = low - chance, high + chance
    return Limits(words, lambda row: all(least <= float(row[name]) <= most for name in columns))


def seldom(row: Mapping[str, str]) -> bool:
    """Whether a law is called what it is not at most once in twenty times."""
    wrong = [name for name in ("Linear", "Quadratic") if name not in RIGHT[row["Truth"]]]
    return sum(float(row[name]) for name in wrong) <= 5


def measured(
    truth: Array, count: int, noise: float | Array, draw: Draw, common: float = 0.0
) -> list[list[float]]:
    """One median a process at every length; common: the sd of what moves all lengths of one."""
    spread = np.broadcast_to(noise, truth.shape)[:, None]
    logs = spread * draw.standard_normal((len(truth), count))
    if common:
        logs = logs + common * draw.standard_normal(count)
    found: list[list[float]] = (truth[:, None] * np.exp(logs)).tolist()
    return found


def by_length(medians: list[list[float]], lengths: Array = LENGTHS) -> dict[int, list[float]]:
    """As the functions take them."""
    return dict(zip(lengths.tolist(), medians, strict=True))


def estimated(medians: Sequence[float]) -> Estimate:
    """The estimate of processes whose calls all took the same time."""
    return estimate([[median] * 3 for median in medians])


def holds(low: float | None, truth: float, high: float | None) -> bool:
    """Whether an interval, open where it is censored, holds the truth."""
    return (low is None or low <= truth) and (high is None or truth <= high)


def share(hits: int | float, times: int) -> str:
    """A share as a percentage."""
    return f"{100 * hits / times:.1f}"


def points(draw: Draw) -> Iterator[list[str]]:
    """Coverage of a measurement's interval and of a ratio's, also of unequal noise."""
    for count, noise in SETTINGS:
        hits = [0, 0, 0]
        for _ in range(TIMES):
            own, other = (measured(np.ones(1), count, noise, draw)[0] for _ in range(2))
            loud = measured(np.ones(1), count, 4 * noise, draw)[0]
            one = estimated(own)
            hits[0] += holds(one.low, 1.0, one.high)
            for at, rival in ((1, other), (2, loud)):
                found = ratio(one, estimated(rival))
                hits[at] += holds(found.low, 1.0, found.high)
        yield [str(count), f"{noise:.0%}", *(share(hit, TIMES) for hit in hits)]


def laws(draw: Draw) -> Iterator[list[str]]:
    """Coverage of exponent, floor and scale."""
    for name, (exponent, truth) in LAWS.items():
        true = (exponent, 1.0, float(LENGTHS[0]) ** -exponent)
        for count, noise in SETTINGS:
            sample = partial(measured, truth, count, noise, draw)
            told = _coverage(true, TIMES, sample)
            if not all(AIM[0] <= float(one) <= AIM[1] for one in told[:3]):
                told = _coverage(true, ANEW, sample)
            yield [name, str(count), f"{noise:.0%}", *told]


def _coverage(
    true: tuple[float, float, float], times: int, sample: Callable[[], list[list[float]]]
) -> list[str]:
    hits, widths, missed = [0, 0, 0], [], 0
    for _ in range(times):
        law = fit(by_length(sample()))
        for at, part in enumerate((law.exponent, law.floor, law.scale)):
            hits[at] += holds(part.low, true[at], part.high)
        widths.append((law.exponent.high or 0) - (law.exponent.low or 0))
        missed += not law.holds
    half = float(np.median(widths)) / 2
    return [*(share(hit, times) for hit in hits), f"±{half:.3f}", share(missed, times)]


def uneven(draw: Draw) -> Iterator[list[str]]:
    """Coverage where lengths are not equally noisy, and where the floor is none or nearly all."""
    ends, last = np.full(9, 0.02), np.full(9, 0.02)
    ends[[0, -1]], last[-1] = 0.1, 0.15
    patterns: dict[str, tuple[float, float | Array]] = {
        "shortest and longest 10%, others 2%": (1.0, ends),
        "longest 15%, others 2%": (1.0, last),
        "no floor, all 5%": (0.0, 0.05),
        "floor 20 times what grows at the shortest, all 5%": (20.0, 0.05),
    }
    for name, (floor, noise) in patterns.items():
        for count in PROCESSES[:2]:
            truth, true = grown(1.0, floor), (1.0, floor, 1 / float(LENGTHS[0]))
            sample = partial(measured, truth, count, noise, draw)
            told = _coverage(true, FEWER, sample)
            with patch.object(Scatter, "_of", _pooled):
                pooled = _coverage(true, FEWEST, sample)
            yield [name, str(count), *told, *pooled[:2]]


def _pooled(scatter: Scatter, _: Array) -> tuple[float, float]:
    """One variance for all lengths: what softbench does not do."""
    return scatter.parted.pooled, scatter.parted.freedom


def ribbons(draw: Draw) -> Iterator[list[str]]:
    """Coverage of the ribbon, point by point."""
    for name, (_, truth) in LAWS.items():
        for count in PROCESSES:
            hits = np.zeros(len(LENGTHS))
            for _ in range(FEWER):
                told = ribbon(by_length(measured(truth, count, 0.05, draw)), LENGTHS.tolist())
                hits += [holds(p.low, t, p.high) for p, t in zip(told, truth, strict=True)]
            yield [name, str(count), *(share(hit, FEWER) for hit in hits)]


def shared(draw: Draw) -> Iterator[list[str]]:
    """Coverage where a process moves all its lengths alike; also of lengths held independent."""
    for common, alone in SHARED:
        for count in PROCESSES:
            sample = partial(measured, LAWS["linear"][1], count, alone, draw, common)
            told = _of_a_law(sample, FEWER)
            with patch.object(_scatter, "parted", _independent):
                without = _of_a_law(sample, FEWEST)
            yield [str(count), f"{common:.0%}", f"{alone:.0%}", *told, *without[:2], without[4]]


def _of_a_law(sample: Callable[[], list[list[float]]], times: int) -> list[str]:
    """Coverage of exponent, floor, scale and of the curve at INSIDE."""
    curve = [1 + length / float(LENGTHS[0]) for length in INSIDE]
    true, hits = [1.0, 1.0, 1 / float(LENGTHS[0]), *curve], np.zeros(6)
    for _ in range(times):
        medians = by_length(sample())
        law = fit(medians)
        parts = [law.exponent, law.floor, law.scale, *ribbon(medians, INSIDE)]
        hits += [holds(part.low, t, part.high) for part, t in zip(parts, true, strict=True)]
    return [share(hit, times) for hit in hits]


def _independent(logs: Array) -> Parted:
    """Nothing in common between the lengths of a process: what softbench does not assume."""
    return _unparted(logs - logs.mean(axis=1, keepdims=True), np.full(len(logs), logs.shape[1]))


def crossings(power: float, times: int, draw: Draw) -> Iterator[list[str]]:
    """Coverage of the crossing of a linear cost with one that grows with this power."""
    for count, noise in SETTINGS:
        hits, censored, widths = 0, 0, []
        for _ in range(times):
            at = _place(draw)
            sides = [measured(cost, count, noise, draw) for cost in _crossed(at, power, LENGTHS)]
            found = crossing(_pairs(sides), "lower")
            hits += holds(found.low, at, found.high)
            if found.low and found.high:
                widths.append(found.high / found.low)
            else:
                censored += 1
        wide = f"×{np.median(widths):.2f}" if widths else "none"
        yield [str(count), f"{noise:.0%}", share(hits, times), wide, share(censored, times)]


def crossings_shared(draw: Draw) -> Iterator[list[str]]:
    """Coverage of the crossing where a process moves all lengths of both methods, or of each."""
    for name, apart in (("both methods alike", False), ("each method by itself", True)):
        for count in PROCESSES:
            hits = 0
            for _ in range(FEWER):
                at = _place(draw)
                own, rival = np.exp(0.05 * draw.standard_normal((2, count)))
                moved = zip(_crossed(at, 2.0, LENGTHS), (own, rival if apart else own), strict=True)
                sides = [np.array(measured(cost, count, 0.02, draw)) * by for cost, by in moved]
                found = crossing(_pairs([side.tolist() for side in sides]), "lower")
                hits += holds(found.low, at, found.high)
            yield [name, str(count), share(hits, FEWER)]


def _place(draw: Draw) -> float:
    """Where two costs cross: well within the lengths."""
    return float(np.exp(draw.uniform(np.log(784), np.log(12544))))


def _pairs(sides: Sequence[list[list[float]]]) -> dict[int, tuple[Estimate, Estimate]]:
    own, rival = sides
    return {
        n: (estimated(a), estimated(b))
        for n, a, b in zip(LENGTHS.tolist(), own, rival, strict=True)
    }


def _crossed(at: float, power: float, lengths: Array) -> tuple[Array, Array]:
    """A linear cost and a rival with half its floor, equal at `at`."""
    own, there = 1 + lengths / LENGTHS[0], 1 + at / LENGTHS[0]
    return own, 0.5 + (there - 0.5) * (lengths / at) ** power


def bias() -> str:
    """How far off the interpolated log ratio is at the crossing, without noise."""
    worst = {2: 0.0, 4: 0.0}
    logs = np.log(LENGTHS)
    for at in np.geomspace(784, 12544, 200):
        own, rival = (np.log(each) for each in _crossed(float(at), 2.0, LENGTHS))
        after = int(np.searchsorted(logs, np.log(at)))
        for near in worst:
            chosen = slice(after - near // 2, after + near // 2)
            bent = np.polyfit(logs[chosen] - np.log(at), (own - rival)[chosen], near - 1)[-1]
            worst[near] = max(worst[near], abs(float(bent)))
    return (
        f"Without noise the interpolated log ratio is off by at most {worst[4]:.2%} at the "
        f"crossing of the linear with the quadratic cost; a straight line between neighbours "
        f"would be off by {worst[2]:.2%}."
    )


def verdicts(draw: Draw) -> Iterator[list[str]]:
    """How often laws are called linear, quadratic, undetermined."""
    long = LENGTHS * np.log(LENGTHS)
    truths = {
        "linear": (LENGTHS, grown(1.0), FEWEST),
        "quadratic": (LENGTHS, grown(2.0), FEWEST),
        "N log N": (LENGTHS, 1 + long / long[0], FEWEST),
        "0.5 + 1e-7 N², N = 256 to 8192": (DOUBLING, 0.5 + 1e-7 * DOUBLING**2.0, FEWER),
    }
    for name, (lengths, truth, times) in truths.items():
        for count, noise in SETTINGS:
            called = Counter(
                verdict(by_length(measured(truth, count, noise, draw), lengths)).kind
                for _ in range(times)
            )
            told = [share(called[kind], times) for kind in KINDS]
            yield [name, str(count), f"{noise:.0%}", *told]


def dominated(draw: Draw) -> Iterator[list[str]]:
    """How often one of several identical options is called dominated."""
    for options, times in ((2, TIMES), (7, FEWER)):
        for count in PROCESSES:
            called = sum(_called(options, count, draw) for _ in range(times))
            yield [str(options), str(count), share(called, times)]


def _called(options: int, count: int, draw: Draw) -> bool:
    """By one noisy quantity and a count that is equal: the case in which it is easiest."""
    found = {
        str(name): {"latency": estimated(medians), "flops": estimate([[7]])}
        for name, medians in enumerate(measured(np.ones(options), count, 0.05, draw))
    }
    standings = front(found, {"latency": "lower", "flops": "lower"})
    return any(standing.dominated_by for standing in standings.values())


def laws_told(draw: Draw) -> Iterator[Table]:
    """The tables about one measurement and one law."""
    setting, parts = "Processes | Noise", ("Exponent", "Floor", "Scale")
    about = f"{' | '.join(parts)} | Exponent's half width | Law said not to hold"
    lengths = [f"N = {n:,}" for n in LENGTHS]
    columns = ("Measurement", "Ratio", "Ratio to one four times as noisy")
    title = "A measurement, and the ratio of two"
    heading = f"{setting} | {' | '.join(columns)}"
    yield table(title, heading, points(draw), between(93, 97, *columns))
    heading = f"Law | {setting} | {about}"
    limits = between(*AIM, *parts)
    yield table("Exponent, floor and scale", heading, laws(draw), limits, AGAIN)
    heading = f"Linear law with | Processes | {about} | Exponent, pooled | Floor, pooled"
    note = f"{FEWER:,} simulations a row, {FEWEST} of the last two columns. {UNEVEN}"
    title, limits = "The same off the beaten track", between(93, 100, *parts, times=FEWER)
    yield table(title, heading, uneven(draw), limits, note)
    note = f"{FEWER:,} simulations a row (error ±0.7), noise 5 %. {RIBBON}"
    heading = f"Law | Processes | {' | '.join(lengths)}"
    yield table("The ribbon", heading, ribbons(draw), between(93, 98, *lengths, times=FEWER), note)


def shared_told(draw: Draw) -> Iterator[Table]:
    """The tables about what a process does to all of its lengths."""
    columns = ("Exponent", "Floor", "Scale", *(f"Curve at {n:,}" for n in INSIDE))
    without = [f"{name}, held independent" for name in ("Exponent", "Floor", columns[4])]
    heading = " | ".join(["Processes", "Common", "Each length", *columns, *without])
    note = f"{FEWER:,} simulations a row, {FEWEST} of the last three columns. {SHARING}"
    title, limits = (
        "What a process does to all of its lengths",
        between(93, 98, *columns, times=FEWER),
    )
    yield table(title, heading, shared(draw), limits, note)
    note = f"{FEWER:,} simulations a row; common 5 %, each length 2 %. {SHARED_CROSSING}"
    heading = "A process moves | Processes | Coverage"
    title = "The crossing, with as much in common"
    yield table(title, heading, crossings_shared(draw), between(90, 100, "Coverage"), note)


def judgements_told(draw: Draw) -> Iterator[Table]:
    """The tables about crossings, verdicts and fronts."""
    heading = "Processes | Noise | Coverage | Width (high / low) | Censored"
    title = "The crossing of a linear with a quadratic cost"
    yield table(title, heading, crossings(2.0, TIMES, draw), between(93, 97, "Coverage"), bias())
    title, note = "The crossing of two linear costs", f"{FEWEST} simulations a row. {CROSSING}"
    limits = between(93, 100, "Coverage")
    yield table(title, heading, crossings(1.0, FEWEST, draw), limits, note)
    heading = "Truth | Processes | Noise | Linear | Quadratic | Undetermined"
    limits = Limits("called what it is not at most 5 %.", seldom)
    yield table("Verdicts (% of simulations)", heading, verdicts(draw), limits, VERDICTS)
    title = "One of several identical options called dominated (%)"
    note = f"{TIMES:,} simulations with two options, {FEWER:,} with seven."
    limits = between(0, 5, "Called")
    yield table(title, "Options | Processes | Called", dominated(draw), limits, note)


def main() -> int:
    """Simulate everything and write the tables; 1 where one is outside its limits."""
    draw, other = np.random.default_rng(20240607), np.random.default_rng(20240608)
    head = HEAD.format(times=TIMES, error=100 * np.sqrt(0.95 * 0.05 / TIMES))
    tables = [*laws_told(draw), *shared_told(other), *judgements_told(draw)]
    outside = [row for one in tables for row in one.outside]
    told = "\n".join([f"**{len(outside)} rows outside their limits.**", *outside])
    text = "\n".join([head, f"{told}\n", *(one.text for one in tables)])
    Path(__file__).with_suffix(".md").write_text(text, encoding="utf-8")
    print(told)
    return 1 if outside else 0


HEAD = """# Do the intervals hold what they promise?

Made by `python results/validation/intervals.py`. Coverage in % of {times:,} simulations a row where
nothing else is said; the error of such a share near 95 % is ±{error:.1f} (one sd). Noise: the sd of
one process's log median.
"""
UNEVEN = """Noise that differs between lengths is the rule on a shared machine. The last two columns
are what one variance pooled over all lengths would cover; softbench takes the variance of each
length by its influence on what is asked. Where the law is said not to hold much more often than
5 %, a noisy length is taken for lack of fit, and the intervals are too wide rather than too narrow.
Where there is no floor its interval ends at zero and holds the truth more often than promised: at
the bound the t quantile is too cautious."""
AGAIN = f"""A row with a share outside is simulated anew, {ANEW:,} times (error ±0.2)."""
RIBBON = """What a process has in common at all lengths is looked for and, by chance, found where
there is none; with three processes that makes the ribbon somewhat too wide."""
SHARING = """One process measures all lengths: what its load or clock does to one it does to all.
The last three columns are what intervals would cover that take lengths as independent, as if nine
lengths of three processes were 27 witnesses of how high a curve lies."""
SHARED_CROSSING = """A worker measures both methods in turns, and what slows one slows the other:
the ratio does not feel it, and the interval, which takes the two as measured apart, is too wide.
Something that moved all lengths of one method only would be felt at neighbouring lengths together,
which the interval does not know: there, in the second rows, it holds less than it promises."""
CROSSING = """Two linear costs draw apart so slowly that most of their crossings are censored, and
the set of lengths that cannot be told from a crossing has gaps; its hull is reported and covers
more than promised."""
VERDICTS = """500 simulations a row, 1,000 of the last law, which grows by a factor of 1.04 from the
shortest length to the next: quadratic or undetermined are right. N log N is neither linear nor
quadratic: undetermined is what it should be called."""


if __name__ == "__main__":
    sys.exit(main())
