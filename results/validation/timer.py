"""softbench's clock against torch.utils.benchmark on the same callables in the same process.

Run as `python results/validation/timer.py [ROUNDS]`; writes timer.md beside itself. In every round
each callable is timed once by either clock, all of them in an order drawn anew, the two clocks of
one callable next to each other in an order drawn anew too. softbench: warm-up once, then a sample
of stretches a round, the median of them. torch: `Timer.blocked_autorange`, its median; a block of
torch's is a thousandth of what it may run, so a call shorter than softbench's stretch may run
longer, and either clock times as many calls at a time. Else a machine that is shared cuts into the
longer of the two more often. A ratio is the median over the rounds of softbench / torch.
"""

from __future__ import annotations

import os
import random
import sys
import time
from collections.abc import Callable, Generator
from pathlib import Path
from statistics import median
from typing import Any

import torch
from torch.utils.benchmark import Timer

from softbench.case import Case, Shape
from softbench.metrics._clock import Clock, clock_of
from softbench.metrics._finite import first_call
from softbench.metrics._timing import sample, warm
from softbench.protocol import Protocol
from softbench.workload import Workload, build

ROUNDS = 15
SECONDS = 0.15  # a callable, a clock and a round, or one call
TORCH_BLOCKS = 1000  # torch makes a block at least this fraction of what it may run
LENGTHS = (196, 784, 3136)
MECHANISMS = (
    ("softmax", "eager"),
    ("softmax", "sdpa"),
    ("soft", "eager"),
    ("soft_norm", "eager"),
    ("linformer", "eager"),
    ("performer", "eager"),
    ("nystromformer", "eager"),
)
TOLERANCE = 0.03
# Other medians of two clocks would be of two samples; the rules are those of a run else.
PROTOCOL = Protocol(sample_seconds=SECONDS, slow_seconds=SECONDS, target_width=1e-6)


def cases() -> list[Case]:
    """Every mechanism at every length, forward and with the backward pass."""
    return [
        Case(
            level="operator", attention=attention, params={}, backend=backend,
            shape=Shape(seq_len=seq_len), inputs="normal", dtype="float32", device="cpu",
            mode=mode, compile=False, seed=0,
        )
        for seq_len in LENGTHS
        for attention, backend in MECHANISMS
        for mode in ("forward", "forward_backward")
    ]  # fmt: skip


def by_softbench(workload: Workload) -> Callable[[], float]:
    """Seconds per call by softbench's clock, after its warm-up."""
    first_call(workload)
    _, clock = clock_of(workload, "cpu", flush_l2=False)
    calls = drained(warm(clock, PROTOCOL)).calls
    return lambda: _sampled(clock, calls)


def _sampled(clock: Clock, calls: int) -> float:
    stretches, _ = drained(sample(clock, calls, PROTOCOL))
    return float(median(stretch.seconds for stretch in stretches))


def by_torch(workload: Workload) -> Callable[[], float]:
    """Seconds per call by torch's."""
    timer = Timer("step()", globals={"step": workload.step}, num_threads=1)
    first = timer.blocked_autorange(min_run_time=SECONDS).median
    short = first < PROTOCOL.stretch_seconds
    seconds = TORCH_BLOCKS * PROTOCOL.stretch_seconds if short else SECONDS
    return lambda: float(timer.blocked_autorange(min_run_time=seconds).median)


def drained(generator: Generator[None, None, Any]) -> Any:
    """What a generator returns."""
    while True:
        try:
            next(generator)
        except StopIteration as end:
            return end.value


def timed(rounds: int) -> list[tuple[Case, list[tuple[float, float]]]]:
    """Every case with its (softbench, torch), round by round."""
    order = random.Random(0)
    clocks = [(case, [make(build(case)) for make in (by_softbench, by_torch)]) for case in cases()]
    found: list[tuple[Case, list[tuple[float, float]]]] = [(case, []) for case, _ in clocks]
    for number in range(rounds):
        for index in order.sample(range(len(clocks)), len(clocks)):
            seconds = {which: clocks[index][1][which]() for which in order.sample((0, 1), 2)}
            found[index][1].append((seconds[0], seconds[1]))
        print(f"round {number + 1} of {rounds}", file=sys.stderr)
    return found


def row(case: Case, pairs: list[tuple[float, float]]) -> tuple[float, str]:
    """The ratio of a case and its row of the table."""
    ratios = sorted(ours / theirs for ours, theirs in pairs)
    ratio = median(ratios)
    ours, theirs = (median(pair[which] for pair in pairs) for which in (0, 1))
    cells = [case.attention, case.backend, case.mode, f"{case.shape.seq_len:,}"]
    cells += [f"{ours * 1e3:.3g}", f"{theirs * 1e3:.3g}", f"{ratio:.4f}"]
    cells += [f"{ratios[len(ratios) // 4]:.3f} to {ratios[-1 - len(ratios) // 4]:.3f}"]
    return ratio, f"| {' | '.join(cells)} |"


def main() -> None:
    """Write the table; fail if a ratio is further from 1 than it may be."""
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else ROUNDS
    torch.set_num_threads(1)
    began, load = time.monotonic(), os.getloadavg()[0]
    told = [row(case, pairs) for case, pairs in timed(rounds)]
    worst = max((ratio for ratio, _ in told), key=lambda ratio: abs(ratio - 1))
    far = sum(abs(ratio - 1) > TOLERANCE for ratio, _ in told)
    said = (
        f"{len(told)} callables, {rounds} rounds, {time.monotonic() - began:.0f} s; load "
        f"{load:.2f} before, {os.getloadavg()[0]:.2f} after.\nFurther from 1 than "
        f"{TOLERANCE:.0%}: {far}. Furthest: {worst:.4f}. Median of the ratios: "
        f"{median(ratio for ratio, _ in told):.4f}."
    )
    lines = [
        "# softbench's clock against torch.utils.benchmark",
        "",
        "Medians of the same callables in the same process, one thread, interleaved at random.",
        "Made by `python results/validation/timer.py`.",
        "",
        said,
        "",
        "| Mechanism | Backend | Mode | N | softbench (ms) | torch (ms) | Ratio | Middle half |",
        "| :--- | :--- | :--- | ---: | ---: | ---: | ---: | ---: |",
        *(line for _, line in told),
    ]
    Path(__file__).with_suffix(".md").write_text("\n".join(lines) + "\n", encoding="utf-8")
    print(said)
    sys.exit(far > 0)


if __name__ == "__main__":
    main()
