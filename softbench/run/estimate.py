"""How long a run will take, told before it starts.

The rules of softbench.metrics.latency and of the driver, followed with predicted seconds in place
of measured ones. Pure arithmetic: what the machine is like comes in as a `Pace`.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from softbench import plugins
from softbench.case import CLOCKED
from softbench.protocol import Protocol
from softbench.run.agenda import Item
from softbench.suite import Suite

# Seen on CPUs: warm-up mostly ends at the third stretch, and a stretch is planned a fifth longer
# than it must be.
WARMUP_STRETCHES, MARGIN = 3, 1.2
FEWEST = 3  # stretches that a slow case may use more time for
# Calls besides the timed ones: a first that is looked at. Where nothing is timed, that and one
# more, unless a metric says by `CALLS` how often it calls a case.
FIRST_CALLS, CALLS = 1, 2
PROFILE_SECONDS = 0.02
DRAW_SECONDS_PER_BYTE = 2.5e-9  # normal numbers of float32, one thread
REPORTS_SECONDS = 3.0  # to import what draws, and to draw


@dataclass(frozen=True)
class Pace:
    """Seconds, on this machine: to start a worker, to measure rates, to trace, the first time more.

    first_trace: a process's first operator on the meta device imports much of torch.
    """

    start: float
    rates: float
    trace: float
    first_trace: float


@dataclass(frozen=True)
class Expected:
    """Of one case: seconds of a call, bytes of its inputs, which metrics run it.

    besides: of every metric that would run the case, the seconds that it computes by itself.
    """

    seconds: float
    held_bytes: int
    besides: Mapping[str, float]


@dataclass(frozen=True)
class Estimate:
    """Seconds of a run: of its cases, each and by the clock, of its workers' starts, of all.

    allowed: what the suite gives all its cases.
    """

    cases: Mapping[str, float]
    measuring: float
    workers: float
    total: float
    allowed: float

    @property
    def overruns(self) -> bool:
        """Whether the suite's time will be spent before its cases are measured."""
        return self.measuring > self.allowed


def estimate(
    items: Sequence[Item],
    expected: Mapping[str, Expected],
    groups: int,
    suite: Suite,
    protocol: Protocol,
    pace: Pace,
) -> Estimate:
    """Of a run that does `items`; a case that is not in `expected` costs its counts alone.

    groups: how many pairs of device and dtype each worker measures rates for.
    """
    cases: dict[str, float] = defaultdict(float)
    measuring = 0.0
    for item in items:
        together = 1 if item.alone else suite.workers
        for case_id, metrics in item.todo.items():
            seconds = sum(seconds_of(m, expected.get(case_id), protocol, pace) for m in metrics)
            cases[case_id] += seconds
            measuring += seconds / together
    for case_id in expected.keys() & cases.keys():
        cases[case_id] += pace.trace  # its prediction, once
        measuring += pace.trace / suite.workers
    workers = len({item.repeat for item in items})
    rates = groups * pace.rates * len({item.repeat for item in items if not item.counts})
    starts = workers * pace.start + rates + (pace.first_trace if cases else 0.0)
    allowed = suite.budget.suite_seconds
    drawing = REPORTS_SECONDS * bool(suite.reports)
    total = starts + min(measuring, allowed) + drawing
    return Estimate(dict(cases), measuring, starts, total, allowed)


def seconds_of(metric: str, case: Expected | None, protocol: Protocol, pace: Pace) -> float:
    """Seconds that one metric takes for one case in one repeat."""
    module = plugins.load("metrics", metric)
    if not module.REPEATED and not hasattr(module, "work"):
        return pace.trace
    if case is None or metric not in case.besides:
        return 0.0  # it would be refused
    if hasattr(module, "Recipe"):  # it trains, and said how long
        return case.besides[metric]
    ready = DRAW_SECONDS_PER_BYTE * case.held_bytes + PROFILE_SECONDS
    if any(unit in CLOCKED for unit, _ in module.QUANTITIES.values()):
        return ready + FIRST_CALLS * case.seconds + timed_seconds(case.seconds, protocol)
    return ready + getattr(module, "CALLS", CALLS) * case.seconds + case.besides[metric]


def timed_seconds(call: float, protocol: Protocol) -> float:
    """Seconds of warm-up and of timed stretches, for a case whose call takes `call` seconds."""
    stretch = max(call, MARGIN * protocol.stretch_seconds)
    warming = call
    for _ in range(1, WARMUP_STRETCHES):
        warming += stretch if warming < protocol.warmup_seconds else 0.0
    if FEWEST * stretch <= protocol.sample_seconds:
        return warming + protocol.sample_seconds + stretch / 2
    affordable = int(protocol.slow_seconds / stretch)
    return warming + min(max(affordable, 1), FEWEST) * stretch
