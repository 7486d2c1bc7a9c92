"""What every metric must satisfy: units of the SI, a direction, raw values of what it promises."""

from __future__ import annotations

import math
from collections.abc import Generator, Iterator
from types import GeneratorType, ModuleType
from typing import Any, get_args

from softbench import plugins
from softbench.case import Better, Measurement, Unsupported
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


CHECKS = (_quantities, _alone, _measures)
