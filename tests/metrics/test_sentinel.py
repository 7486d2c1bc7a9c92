"""The sentinel on a clock that only its own work and the test advance.

Mutants seen red: a reading at every turn, no reading when it is time, its own cost not counted
against it, the cold passes counted, the mean of the passes, the median or the least as reference,
a single reading called a drift, faster ones never one, samples deleted, bytes tagged, a metric's
own tags lost, readings from before the case counted.
"""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from softbench.case import Measurement, Unsupported
from softbench.metrics._sentinel import (
    PASSES,
    SHARE,
    UNCOUNTED,
    Sentinel,
    drifted,
    reference_of,
    sentinel_of,
)
from softbench.protocol import Protocol

PROTOCOL = Protocol(sentinel_seconds=1.0, sentinel_tolerance=0.1)


class Machine:
    """A clock, and work that takes what the machine needs for it at the moment."""

    def __init__(self, seconds: float = 1e-3) -> None:
        self.now, self.seconds, self.passes = 0.0, seconds, 0

    def clock(self) -> float:
        return self.now

    def work(self) -> None:
        """The first passes find their data elsewhere, and one later is interrupted."""
        place = self.passes % (UNCOUNTED + PASSES)
        slower = {0: 5.0, 1: 3.0, 4: 10.0}.get(place, 1.0)
        self.now += slower * self.seconds
        self.passes += 1


def watching(machine: Machine, parts: int = 1) -> Sentinel:
    return Sentinel([machine.work] * parts, PROTOCOL, machine.clock)


def test_a_reading_is_what_its_parts_take_on_a_quiet_machine() -> None:
    machine = Machine()
    sentinel = watching(machine, parts=2)
    sentinel.look()
    assert sentinel.readings == [pytest.approx(2e-3)]


def test_readings_are_as_far_apart_as_the_protocol_says() -> None:
    machine = Machine()
    sentinel = watching(machine)
    for _ in range(100):
        machine.now += 0.1
        sentinel.look()
    assert 8 <= len(sentinel.readings) <= 10


def test_a_slow_sentinel_is_read_less_often() -> None:
    machine = Machine(seconds=0.1)
    sentinel = watching(machine)
    for _ in range(100_000):
        machine.now += 0.01
        sentinel.look()
    spent = machine.passes / (UNCOUNTED + PASSES) * 22 * 0.1
    assert len(sentinel.readings) > 5
    assert spent / machine.now < 1.2 * SHARE < 0.03


def test_the_reference_is_the_fast_quartile() -> None:
    slow_start = [2.0] * 5 + [1.0] * 3 + [0.5]
    assert reference_of(slow_start) == 1.0
    assert reference_of([3.0]) == 3.0


@pytest.mark.parametrize(
    ("ratios", "drift"),
    [
        ([], False),
        ([1.0, 1.05, 0.95], False),
        ([1.0, 1.5, 1.0, 1.5], False),
        ([1.0, 1.2, 1.3, 1.0], True),
        ([1.0, 0.8, 0.85], True),
        ([1.2], True),
        ([1.2, 1.0], False),
    ],
)
def test_a_drift_is_what_two_readings_in_a_row_say(ratios: Sequence[float], drift: bool) -> None:
    assert drifted(ratios, 0.1) is drift


def after(*seconds: float) -> Sentinel:
    """A sentinel that has read a machine as fast as that, one reading after the other."""
    machine = Machine()
    sentinel = watching(machine)
    for reading in seconds:
        machine.now += 10_000
        machine.seconds = reading
        sentinel.look()
    return sentinel


UNITS = {"latency": "s", "bytes": "byte", "none": "s"}


def test_a_drift_tags_the_times_taken_meanwhile_and_deletes_none() -> None:
    found: dict[str, Measurement | Unsupported] = {
        "latency": Measurement([1.0, 2.0], {"clock": "host", "tags": ["mine"]}),
        "bytes": Measurement([3]),
        "none": Unsupported("no such thing"),
    }
    sentinel = after(1.0, 1.0, 1.0, 1.3, 1.4)
    told = sentinel.witnessed(found, UNITS, since=2)
    assert told["bytes"] is found["bytes"]
    assert told["none"] is found["none"]
    latency = told["latency"]
    assert isinstance(latency, Measurement)
    assert latency.values == [1.0, 2.0]
    assert latency.detail["clock"] == "host"
    assert latency.detail["tags"] == ["mine", "drift"]
    assert latency.detail["sentinel"]["reference"] == pytest.approx(1.0)
    assert latency.detail["sentinel"]["ratios"] == [1.0, 1.3, 1.4]


def test_what_was_sampled_before_or_after_a_drift_is_not_tagged() -> None:
    sentinel = after(1.0, 1.3, 1.4, 1.0, 1.0, 1.0, 1.0, 1.0)
    told = sentinel.witnessed({"latency": Measurement([1.0])}, UNITS, since=3)
    assert isinstance(told["latency"], Measurement)
    assert told["latency"].detail["tags"] == []


def test_a_case_that_begins_now_begins_with_the_latest_reading() -> None:
    assert after().last() == 0
    assert after(1.0, 1.0, 1.0).last() == 2


def test_on_meta_there_is_nothing_to_read() -> None:
    sentinel = sentinel_of("meta", PROTOCOL)
    sentinel.look()
    told = sentinel.witnessed({"latency": Measurement([1.0])}, UNITS, since=0)
    assert isinstance(told["latency"], Measurement)
    assert told["latency"].detail == {"tags": []}


def test_here_a_reading_takes_milliseconds() -> None:
    sentinel = sentinel_of("cpu", Protocol())
    sentinel.look()
    assert 1e-5 < sentinel.readings[0] < 0.1
