"""What every metric must satisfy: units of the SI, a direction, raw values of what it promises.

`measure` returns, for every quantity, a Measurement or, where this case has none while others of
the metric's quantities have one, an Unsupported with the reason; raised, it is of them all.
A metric that is taken once (REPEATED False) and yet computes values may define `work(case)`: the
FLOPs it does itself, in float32 products that take as long. Its cases are then checked against the
budget as those of repeated metrics are.
A metric that trains defines `Recipe` (a Value: how), needs cases with a task, and says by
`seconds(case)` how long it takes for one here, by a few timed steps: it is budgeted by that.
A metric that calls a case another number of times than twice may say so by `CALLS`, for plans.
"""

from __future__ import annotations

import math
from collections.abc import Generator, Iterator
from types import GeneratorType, ModuleType
from typing import Any, get_args

from softbench import plugins
from softbench.case import Better, Measurement, Unsupported, Value
from softbench.contract.attention import case
from softbench.protocol import Protocol
from softbench.workload import build

PREFIXED = ("ms", "us", "µs", "ns", "kB", "KB", "MB", "MiB", "GB", "GiB", "GFLOP", "GMAC", "%")
BRIEF = Protocol(warmup_seconds=0.01, sample_seconds=0.01, min_stretches=3)


def _quantities(name: str, module: ModuleType) -> Iterator[str]:
    if not module.QUANTITIES:
        yield "QUANTITIES is empty"
    for quantity, (unit, better) in module.QUANTITIES.items():
        if not unit or unit in PREFIXED:
            yield f"{quantity}: the unit is {unit!r}; data are in s, byte, FLOP, MAC, count or 1"
        if better not in get_args(Better):
            yield f"{quantity}: better is {better!r}, not 'lower' or 'higher'"
    if not isinstance(getattr(module, "REPEATED", None), bool):
        yield "REPEATED must be True or False: whether fresh processes measure it again"


def _work(name: str, module: ModuleType) -> Iterator[str]:
    """What a metric says of its own work is a number of FLOPs."""
    told = module.work(case("softmax", dtype="float32")) if hasattr(module, "work") else 0
    if not isinstance(told, int) or told < 0:
        yield f"work is {told!r}; a whole number of FLOPs, none below 0"


def _trains(name: str, module: ModuleType) -> Iterator[str]:
    """A metric that trains says how, as data, and can tell how long."""
    if not hasattr(module, "Recipe"):
        return
    if not (isinstance(module.Recipe, type) and issubclass(module.Recipe, Value)):
        yield f"Recipe is {module.Recipe!r}, not a Value"
    if not callable(getattr(module, "seconds", None)):
        yield "it has a Recipe and so trains, but no seconds(case) to say how long that takes"


def _alone(name: str, module: ModuleType) -> Iterator[str]:
    """A quantity has one metric: records are told apart by the quantity's name."""
    for other in plugins.names("metrics"):
        theirs = plugins.load("metrics", other)
        for quantity in module.QUANTITIES if theirs is not module else ():
            if quantity in theirs.QUANTITIES:
                yield f"{quantity} is a quantity of the metric {other} already"


def _measures(name: str, module: ModuleType) -> Iterator[str]:
    """A small case gives raw finite values of exactly the quantities promised."""
    try:
        found = _drained(module.measure(build(case("softmax", dtype="float32")), BRIEF))
    except Unsupported:  # a finding; a metric may be of one device alone
        return
    if set(found) != set(module.QUANTITIES):
        yield f"measure returns {sorted(found)}, QUANTITIES are {sorted(module.QUANTITIES)}"
    for quantity, measurement in found.items():
        if isinstance(measurement, Unsupported):
            continue
        if not isinstance(measurement, Measurement):
            yield f"{quantity}: measure returns {type(measurement).__name__}, not Measurement"
        elif not measurement.values or not all(map(math.isfinite, measurement.values)):
            yield f"{quantity}: values are {measurement.values}; finite numbers, at least one"


def _drained(measured: dict[str, Any] | Generator[None, None, dict[str, Any]]) -> dict[str, Any]:
    if not isinstance(measured, GeneratorType):
        return dict(measured)  # type: ignore[arg-type]
    while True:
        try:
            next(measured)
        except StopIteration as end:
            return dict(end.value)


CHECKS = (_quantities, _work, _trains, _alone, _measures)
