"""Latency against known sleeps, a device that only works when waited for, and its stopping rules.

Mutants that turned a test here red: synchronisation before the clock stops removed; the one before
it starts removed; gradients not cleared; garbage collector left off, or on inside; the division by
the calls left out; the flush moved inside the events; sampling stopped after a fixed count; the
budget or the warm-up's cap ignored; the yields removed; host and device time not compared.
"""

from __future__ import annotations

import contextlib
import gc
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, cast

import pytest
import torch
from metric_cases import drain, make, standing_in
from torch import Tensor, nn

from softbench.case import Case, Measurement, Unsupported
from softbench.metrics import latency
from softbench.metrics._clock import Stretch, collector_off, cuda_stretch
from softbench.metrics._median_interval import enclosing_rank, relative_width
from softbench.protocol import Protocol
from softbench.workload import Workload, build

QUICK = Protocol(warmup_seconds=0.02, sample_seconds=0.05)
X = torch.zeros(4)


def measured(workload: Workload, protocol: Protocol = QUICK) -> Measurement:
    return drain(latency.measure(workload, protocol))[1]["latency"]


def sleeping(seconds: float) -> tuple[list[float], Callable[[Tensor], Tensor]]:
    slept: list[float] = []

    def step(x: Tensor) -> Tensor:
        start = time.perf_counter()
        time.sleep(seconds)
        slept.append(time.perf_counter() - start)
        return x

    return slept, step


@pytest.mark.parametrize("seconds", [5e-4, 5e-3])
def test_a_known_sleep_is_measured_as_long_as_it_is(seconds: float) -> None:
    slept, step = sleeping(seconds)
    found = measured(standing_in(step, X))
    calls = found.detail["calls_per_stretch"]
    # A busy machine sleeps longer than asked: what counts is how long the timed calls did sleep.
    truth = sum(slept[-calls * len(found.values) :])
    assert min(found.values) >= seconds
    assert truth <= calls * sum(found.values) < 1.5 * truth


@dataclass
class LazyDevice:
    """A device that does nothing until it is waited for, as CUDA may seem to."""

    case: Case = field(default_factory=make)
    asked: int = 0
    slow_start: float = 0.0
    module: nn.Module = field(default_factory=nn.Identity)
    inputs: tuple[Tensor, ...] = ()
    looked_at: bool = False

    def step(self) -> Tensor:
        assert not gc.isenabled() or not self.looked_at
        self.looked_at = True
        self.asked += 1
        return X

    def synchronize(self) -> None:
        time.sleep(self.slow_start + min(self.asked * 1e-3, 0.05))
        self.asked, self.slow_start = 0, 0.0

    def clear_gradients(self) -> None:
        pass


def test_work_that_ends_on_synchronisation_is_in_the_clock() -> None:
    assert min(measured(cast(Workload, LazyDevice())).values) >= 1e-3


def test_work_asked_for_before_is_not_in_the_clock() -> None:
    lazy = LazyDevice(slow_start=0.2)
    detail = measured(cast(Workload, lazy), Protocol(warmup_seconds=0.15)).detail
    # Had the old work been timed, the first warm-up stretch alone would have spent the cap.
    assert detail["warmup_stretches"] > 1


def test_gradients_do_not_add_up() -> None:
    case = make("soft", mode="forward_backward", level="layer", seq_len=49)
    once, timed = build(case), build(case)
    once.step()
    expected = once.inputs[0].grad
    assert expected is not None
    seen: list[bool] = []
    timed.inputs[0].register_post_accumulate_grad_hook(  # type: ignore[no-untyped-call]
        lambda tensor: seen.append(tensor.grad is not None and torch.equal(tensor.grad, expected))
    )
    generator = latency.measure(timed, Protocol(sample_seconds=60, target_width=1e-9))
    for _ in range(3):
        next(generator)
    assert len(seen) > 3
    assert all(seen)


def test_no_gradient_waits_for_the_next_turn() -> None:
    workload = build(make("soft", mode="forward_backward", level="layer", seq_len=49))
    next(latency.measure(workload, QUICK))
    tensors = (*workload.inputs, *workload.module.parameters())
    assert all(tensor.grad is None for tensor in tensors)


@pytest.mark.parametrize("was_on", [True, False])
def test_garbage_collector_is_off_inside_and_as_before_afterwards(was_on: bool) -> None:
    before = gc.isenabled()
    (gc.enable if was_on else gc.disable)()
    try:
        with contextlib.suppress(KeyError), collector_off():
            assert not gc.isenabled()
            raise KeyError
        assert gc.isenabled() is was_on
    finally:
        (gc.enable if before else gc.disable)()


def test_a_stretch_is_never_shorter_than_asked_and_values_are_per_call() -> None:
    stretches: list[Stretch] = []

    def clock(calls: int) -> Stretch:
        stretches.append(Stretch(1e-4, 1e-4, calls * 1e-4))
        return stretches[-1]

    _, warm_up = drain(latency.warm(clock, Protocol()))
    drain(latency.sample(clock, warm_up.calls, Protocol()))
    assert stretches[0].elapsed == 1e-4
    assert all(stretch.elapsed >= Protocol().stretch_seconds for stretch in stretches[1:])


def counting(seconds: Callable[[int], float]) -> tuple[list[int], Callable[[int], Stretch]]:
    calls_made: list[int] = []

    def clock(calls: int) -> Stretch:
        calls_made.append(calls)
        each = seconds(len(calls_made))
        return Stretch(each, each, calls * each)

    return calls_made, clock


def test_warm_up_ends_when_two_stretches_agree() -> None:
    calls_made, clock = counting(lambda n: {1: 0.03, 2: 0.02}.get(n, 0.01))
    yields, warm_up = drain(latency.warm(clock, Protocol()))
    assert (len(calls_made), warm_up.stretches, warm_up.agreed) == (4, 4, True)
    assert yields == 4


def test_warm_up_ends_at_its_cap() -> None:
    _, clock = counting(lambda n: 0.1 * n)
    _, warm_up = drain(latency.warm(clock, Protocol(warmup_seconds=0.5)))
    assert (warm_up.stretches, warm_up.agreed) == (3, False)


def test_a_call_longer_than_the_cap_warms_up_once_and_is_timed_once() -> None:
    calls_made, clock = counting(lambda n: 9.0)
    _, warm_up = drain(latency.warm(clock, Protocol()))
    _, (stretches, stopped_by) = drain(latency.sample(clock, warm_up.calls, Protocol()))
    assert calls_made == [1, 1]
    assert (len(stretches), stopped_by) == (1, "budget")


def test_sampling_stops_on_the_width() -> None:
    _, clock = counting(lambda n: 1e-3)
    yields, (stretches, stopped_by) = drain(latency.sample(clock, 2, Protocol()))
    assert (len(stretches), stopped_by, yields) == (10, "width", 9)


def test_sampling_stops_on_the_budget() -> None:
    _, clock = counting(lambda n: 1e-2 * (1 + n % 2))
    _, (stretches, stopped_by) = drain(latency.sample(clock, 1, Protocol(sample_seconds=0.3)))
    assert stopped_by == "budget"
    assert 0.3 <= sum(stretch.elapsed for stretch in stretches) <= 0.32


@pytest.mark.parametrize(("call_seconds", "stretches"), [(0.2, 3), (0.9, 3), (1.2, 2), (2.0, 1)])
def test_a_slow_case_reaches_three_stretches_where_it_can_afford_them(
    call_seconds: float, stretches: int
) -> None:
    _, clock = counting(lambda n: call_seconds * (1 + n % 2 / 9))
    _, (taken, _) = drain(latency.sample(clock, 1, Protocol(slow_seconds=3.0)))
    assert len(taken) == stretches


def test_cases_can_run_in_between_and_detail_says_how_it_was_taken() -> None:
    yields, found = drain(latency.measure(standing_in(sleeping(1e-3)[1], X), QUICK))
    detail = found["latency"].detail
    assert yields == detail["warmup_stretches"] + len(found["latency"].values) - 1
    assert detail["clock"] == "host"
    assert detail["stopped_by"] in ("width", "budget")
    assert detail["calls_per_stretch"] >= 2


def test_meta_is_unsupported() -> None:
    with pytest.raises(Unsupported, match="meta device"):
        next(latency.measure(build(make(device="meta")), QUICK))


@pytest.mark.parametrize(("count", "rank"), [(5, 0), (6, 1), (10, 2), (20, 6), (50, 18), (100, 40)])
def test_ranks_are_those_of_the_tables(count: int, rank: int) -> None:
    assert enclosing_rank(count) == rank


def test_relative_width() -> None:
    assert relative_width([1.0] * 5) == float("inf")
    assert relative_width([]) == float("inf")
    assert relative_width([2.0] * 10) == 0
    assert relative_width([6, 1, 2, 3, 4, 5]) == pytest.approx(5 / 3.5)


class FakeCuda:
    """Events, steps and flushes on a clock that only what runs on the fake device advances."""

    def __init__(self, device_ms: float) -> None:
        self.now, self.device_ms = 0.0, device_ms
        self.waits = 0

    def clear_gradients(self) -> None:
        assert self.waits >= 2

    def event(self) -> Any:
        cuda = self

        class Event:
            at = 0.0

            def record(self) -> None:
                self.at = cuda.now

            def elapsed_time(self, after: Event) -> float:
                assert cuda.waits >= 2
                return after.at - self.at

        return Event()

    def step(self) -> Tensor:
        self.now += self.device_ms
        return X

    def zero_(self) -> None:
        self.now += 1000

    def synchronize(self) -> None:
        self.waits += 1


@pytest.mark.parametrize("with_flush", [True, False])
def test_cuda_events_time_the_calls_and_not_the_flush(
    monkeypatch: pytest.MonkeyPatch, with_flush: bool
) -> None:
    cuda = FakeCuda(device_ms=5)
    monkeypatch.setattr("softbench.metrics._clock._event", cuda.event)
    flush = cast(Tensor, cuda) if with_flush else None
    stretch = cuda_stretch(cast(Workload, cuda), 7, flush)
    assert stretch.seconds == pytest.approx(5e-3)
    assert cuda.now == 7 * 5 + (7 * 1000 if with_flush else 0)
    assert cuda.waits == 2


@pytest.mark.parametrize(("device_ms", "launch_bound"), [(50.0, False), (1e-6, True)])
def test_a_host_slower_than_its_device_is_marked(
    monkeypatch: pytest.MonkeyPatch, device_ms: float, launch_bound: bool
) -> None:
    cuda = FakeCuda(device_ms)
    monkeypatch.setattr("softbench.metrics._clock._event", cuda.event)
    monkeypatch.setattr("softbench.metrics._clock.l2_buffer", lambda device: cuda)
    monkeypatch.setattr(FakeCuda, "case", make(device="cuda"), raising=False)
    monkeypatch.setattr(FakeCuda, "clear_gradients", lambda self: None, raising=False)
    monkeypatch.setattr(FakeCuda, "module", nn.Identity(), raising=False)
    monkeypatch.setattr(FakeCuda, "inputs", (), raising=False)
    protocol = Protocol(stretch_seconds=1e-5, sample_seconds=1e-3, warmup_seconds=1e-3)
    found = measured(cast(Workload, cuda), protocol)
    assert found.detail["launch_bound"] is launch_bound
    assert found.detail["clock"] == "cuda events, cold L2"
    assert len(found.detail["host_seconds"]) == len(found.values)
