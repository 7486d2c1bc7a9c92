"""Throughput: the batch over the seconds of latency's clock, at every level.

Mutants seen red: seconds over the batch, the batch left out, one value for all stretches, its
records not tagged when the machine drifts, its time taken for none in a plan, its family unknown
to a ledger.
"""

from __future__ import annotations

import time

import pytest
import torch
from metric_cases import drain, make, standing_in
from torch import Tensor

from softbench.case import Measurement, Record, Shape, Unsupported
from softbench.metrics import latency, throughput
from softbench.metrics._roofline import Rates
from softbench.metrics._sentinel import Sentinel
from softbench.metrics._work import Work
from softbench.protocol import Protocol
from softbench.run import Ledger
from softbench.run.estimate import Expected, Pace, seconds_of
from softbench.suite import Budget
from softbench.worker.answers import answers
from softbench.worker.budget import Cost
from softbench.workload import build

QUICK = Protocol(warmup_seconds=0.02, sample_seconds=0.05)
RATES = Rates(gemm=1e9, stream=1e9, exponential=1e9)
FOUR = Shape(batch_size=4, seq_len=16)


def test_it_is_the_batch_over_a_known_sleep() -> None:
    def sleep(x: Tensor) -> Tensor:
        time.sleep(0.01)
        return x

    workload = standing_in(sleep, torch.zeros(1), shape=FOUR)
    yields, found = drain(throughput.measure(workload, QUICK))
    assert yields > 0
    values = found["throughput"].values
    assert len(values) >= 3
    assert 100 < max(values) <= 400
    assert "clock" in found["throughput"].detail


@pytest.mark.parametrize("level", ["operator", "layer"])
def test_it_has_a_value_at_every_level(level: str) -> None:
    _, found = drain(throughput.measure(build(make(level=level, shape=FOUR)), QUICK))
    assert min(found["throughput"].values) > 0


def test_nothing_runs_on_the_meta_device() -> None:
    with pytest.raises(Unsupported, match="nothing runs"):
        drain(throughput.measure(build(make(device="meta")), QUICK))


def test_it_drifts_with_the_machine() -> None:
    readings = iter([0.0, 1.0] + [0.0, 9.0] * 40)
    sentinel = Sentinel((), QUICK, lambda: next(readings))
    sentinel.readings = [1.0, 1.0, 1.0, 1.0, 9.0, 9.0, 9.0]
    units = {name: unit for name, (unit, _) in throughput.QUANTITIES.items()}
    told = sentinel.witnessed({"throughput": Measurement([1.0])}, units, since=4)
    one = told["throughput"]
    assert isinstance(one, Measurement)
    assert one.detail["tags"] == ["drift"]


def test_a_plan_takes_it_for_as_long_as_latency() -> None:
    case = Expected(seconds=0.01, held_bytes=0, besides={"latency": 0.0, "throughput": 0.0})
    both = [
        seconds_of(name, case, Protocol(), Pace(1.0, 1.0, 0.1, 1.0))
        for name in ("latency", "throughput")
    ]
    assert both[0] == both[1] > 0.3


def test_what_was_reached_and_the_time_it_tells_are_those_of_its_seconds() -> None:
    case = make(shape=FOUR)
    cost = Cost(Work(10**6, 10**6, 10**6, 10**6, 1), bytes=1, held_bytes=1, seconds=1.0)
    found = {"throughput": Measurement([400.0]), "latency": Measurement([0.01])}
    rates, images = (
        next(answers(case, name, module, found, cost, RATES))
        for name, module in (("latency", latency), ("throughput", throughput))
    )
    assert images["detail"] == rates["detail"]
    assert images["better"] == "higher"
    record = Record(
        case=case, repeat=0, environment="e", protocol="p", invocation="i",
        **{key: value for key, value in images.items() if key != "case"},
    )  # fmt: skip
    ledger = Ledger([record], Budget())
    assert ledger.seen([case]) == {case.family: [(10**6, 0.01)]}
