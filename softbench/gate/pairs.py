"""Pairs of fresh processes, one of each side, that take turns on every cell.

In a pair both processes live from the first slot to the last. Which is started first is drawn; a
slot visits the cells in an order drawn anew, and at each cell the sides (and the slowed heads, when
calibrating) in an order drawn anew. So no side has a place of its own in time.
"""

from __future__ import annotations

import os
import random
from collections.abc import Generator, Mapping, Sequence
from contextlib import ExitStack
from math import ceil
from pathlib import Path
from typing import Any

from softbench.case import Case
from softbench.gate.failures import CellsFailed, Failure
from softbench.gate.rules import Timing
from softbench.gate.same_code import the_same_code
from softbench.gate.sides import Side
from softbench.gate.stems import Bench, BenchDied, Stem

PATIENCE = 300.0  # seconds for a bench to build and warm up its cases, or for a slot
MARGIN = 1.2  # a call may run faster than it did while warming up
STEP = 20  # calls that a slowdown is a whole number of: +5 % is one call more in twenty
SHORT_CALL = 1e-3  # seconds of a call of which twenty are always made


Samples = dict[str, list[list[int]]]  # side to, for each cell, nanoseconds of a call by slot


def timed_pairs(
    sides: Sequence[Side], cases: Sequence[Case], rules: Timing, dice: random.Random
) -> Generator[Samples, None, None]:
    """Samples of one pair after another, without end. Raises CellsFailed.

    More than two sides make more than a pair: a process of each, all treated alike.
    """
    with ExitStack() as stack:
        stems = _stems(sides, rules, stack)
        calls: list[int] = []
        while True:
            benches = {
                side: stems[side.python].bench(side) for side in dice.sample(sides, len(sides))
            }
            fastest = _ready(benches, cases)
            if rules.pinned:
                _pin(benches, dice)
            calls = calls or [_calls(seconds, rules, sides) for seconds in fastest]
            yield _sampled(benches, calls, rules, dice)
            for bench in benches.values():
                bench.close()


def _stems(sides: Sequence[Side], rules: Timing, stack: ExitStack) -> dict[str, Stem]:
    """A stem for each interpreter, all of one Python and one torch."""
    stems: dict[str, Stem] = {}
    for side in sides:
        if side.python in stems:
            continue
        try:
            stem = Stem(side.python, rules.threads)
        except (BenchDied, OSError) as died:
            raise CellsFailed([Failure(side.name, -1, str(died))]) from None
        stack.callback(stem.stop)
        stems[side.python] = stem
        first = next(iter(stems.values()))
        if stem.versions != first.versions:
            reason = f"it has {_words(stem.versions)}, {sides[0].name} has {_words(first.versions)}"
            raise CellsFailed([Failure(side.name, -1, reason, "elsewhere")])
    return stems


def _words(versions: Mapping[str, str]) -> str:
    return " and ".join(f"{name} {version}" for name, version in versions.items())


def _ready(benches: Mapping[Side, Bench], cases: Sequence[Case]) -> list[float]:
    """Seconds of each cell's fastest call on any side, once all have built and warmed all."""
    asked = {"cases": [case.model_dump(mode="json") for case in cases]}
    told: dict[Side, Any] = {}
    failures: list[Failure] = []
    for bench in benches.values():  # all at once: half of it is loading
        bench.begin(asked)
    for side, bench in benches.items():
        answer = _answered(bench, side, -1)
        failures += [Failure(side.name, *failed) for failed in answer["failed"]]
        failures += _elsewhere(side, answer["softbench"])
        told[side] = answer
    if not failures:
        failures = the_same_code(told)
    if failures:
        raise CellsFailed(failures)
    return [min(seconds) for seconds in zip(*(t["ready"] for t in told.values()), strict=True)]


def _elsewhere(side: Side, ran: str | None) -> list[Failure]:
    """A side that ran another softbench than its own tree's would be compared with itself."""
    if ran is None or side.root is None or not (Path(side.root) / "softbench").is_dir():
        return []
    if Path(ran) == Path(side.root).resolve():
        return []
    reason = f"the softbench of {ran} ran, not that of {side.root}"
    return [Failure(side.name, -1, reason, "elsewhere")]


def _pin(benches: Mapping[Side, Bench], dice: random.Random) -> None:
    """Have all processes on one core, so that whatever else uses it slows them alike."""
    core = dice.choice(sorted(os.sched_getaffinity(0)))
    for side, bench in benches.items():
        bench.begin({"core": core})
        _answered(bench, side, -1)


def _calls(fastest: float, rules: Timing, sides: Sequence[Side]) -> int:
    """Calls of a stretch, the same on every side: of short calls twenties, with slowdowns always.

    So what a calibration says of short calls holds of the gate's own stretches.
    """
    needed = max(1.0, rules.stretch_seconds / fastest)
    if fastest <= SHORT_CALL or any(side.extra for side in sides):
        return STEP * ceil(needed / STEP)  # up to a twenty: room for a call that runs faster
    return ceil(MARGIN * needed) if needed > 1 else 1


def _sampled(
    benches: Mapping[Side, Bench], calls: Sequence[int], rules: Timing, dice: random.Random
) -> Samples:
    samples: Samples = {side.name: [[] for _ in calls] for side in benches}
    for _ in range(rules.slots):
        for cell in dice.sample(range(len(calls)), len(calls)):
            per = calls[cell]
            for side, bench in dice.sample(list(benches.items()), len(benches)):
                slot = {"slot": [cell, per + per * side.extra // STEP, per]}
                bench.begin(slot)
                seconds = _answered(bench, side, cell)["seconds"]
                samples[side.name][cell].append(round(1e9 * seconds))
    return samples


def _answered(bench: Bench, side: Side, cell: int) -> dict[str, Any]:
    try:
        return bench.finish(PATIENCE)
    except BenchDied as died:
        raise CellsFailed([Failure(side.name, cell, str(died))]) from None
