"""Latency against known sleeps, a device that only works when waited for, and its stopping rules.

Mutants that turned a test here red: synchronisation before the clock stops removed; the one before
it starts removed; gradients not cleared; garbage collector left off, or on inside; the division by
the calls left out; the flush moved inside the events; sampling stopped after a fixed count; the
budget or the warm-up's cap ignored; the yields removed; no first call; its seconds left out of the
warm-up; a stretch far out dropped; the mean in place of the values; an input drawn inside the
clock; events on the current device's stream in place of the case's; the host held against events
alone, or against the kernels of the first call alone; the mean of the host's seconds.
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
from fake_cuda import FakeCuda, in_place_of_cuda
from metric_cases import drain, make, standing_in
from torch import Tensor, nn

from softbench.case import Case, Measurement, Unsupported
from softbench.metrics import _timing, latency
from softbench.metrics._clock import Stretch, collector_off, cuda_stretch
from softbench.metrics._kernels import FirstCall
from softbench.metrics._median_interval import enclosing_rank, relative_width
from softbench.protocol import Protocol
from softbench.workload import Workload, build, inputs

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
    several = Protocol(stretch_seconds=0.05, sample_seconds=60, target_width=1e-9)
    generator = latency.measure(timed, several)
    for _ in range(2):
        next(generator)
    assert len(seen) > 2
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

    _, warm_up = drain(_timing.warm(clock, Protocol()))
    drain(_timing.sample(clock, warm_up.calls, Protocol()))
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
    yields, warm_up = drain(_timing.warm(clock, Protocol()))
    assert (len(calls_made), warm_up.stretches, warm_up.agreed) == (4, 4, True)
    assert yields == 4


def test_warm_up_ends_at_its_cap() -> None:
    _, clock = counting(lambda n: 0.1 * n)
    _, warm_up = drain(_timing.warm(clock, Protocol(warmup_seconds=0.5)))
    assert (warm_up.stretches, warm_up.agreed) == (3, False)


def test_a_call_longer_than_the_cap_warms_up_once_and_is_timed_once() -> None:
    calls_made, clock = counting(lambda n: 9.0)
    _, warm_up = drain(_timing.warm(clock, Protocol()))
    _, (stretches, stopped_by) = drain(_timing.sample(clock, warm_up.calls, Protocol()))
    assert calls_made == [1, 1]
    assert (len(stretches), stopped_by) == (1, "budget")


def test_sampling_stops_on_the_width() -> None:
    _, clock = counting(lambda n: 1e-3)
    yields, (stretches, stopped_by) = drain(_timing.sample(clock, 2, Protocol()))
    assert (len(stretches), stopped_by, yields) == (10, "width", 9)


def test_sampling_stops_on_the_budget() -> None:
    _, clock = counting(lambda n: 1e-2 * (1 + n % 2))
    _, (stretches, stopped_by) = drain(_timing.sample(clock, 1, Protocol(sample_seconds=0.3)))
    assert stopped_by == "budget"
    assert 0.3 <= sum(stretch.elapsed for stretch in stretches) <= 0.32


@pytest.mark.parametrize(("call_seconds", "stretches"), [(0.2, 3), (0.9, 3), (1.2, 2), (2.0, 1)])
def test_a_slow_case_reaches_three_stretches_where_it_can_afford_them(
    call_seconds: float, stretches: int
) -> None:
    _, clock = counting(lambda n: call_seconds * (1 + n % 2 / 9))
    _, (taken, _) = drain(_timing.sample(clock, 1, Protocol(slow_seconds=3.0)))
    assert len(taken) == stretches


def test_cases_can_run_in_between_and_detail_says_how_it_was_taken() -> None:
    yields, found = drain(latency.measure(standing_in(sleeping(1e-5)[1], X), QUICK))
    detail = found["latency"].detail
    assert yields == detail["warmup_stretches"] + len(found["latency"].values) - 1
    assert detail["clock"] == "host, hot caches"
    assert detail["stopped_by"] in ("width", "budget")
    assert detail["calls_per_stretch"] >= 2


def test_what_only_the_first_call_needs_is_in_no_sample() -> None:
    calls: list[float] = []

    def tuned_at_first(x: Tensor) -> Tensor:
        calls.append(0.0)
        time.sleep(0.2 if len(calls) == 1 else 1e-3)
        return x

    found = measured(standing_in(tuned_at_first, X))
    assert max(found.values) < 0.1
    assert found.detail["warmup_seconds"] >= 0.2


def test_every_stretch_is_a_value_however_far_out() -> None:
    calls_made, clock = counting(lambda n: 1e-2 if n != 5 else 1.0)
    _, (stretches, _) = drain(_timing.sample(clock, 1, Protocol(sample_seconds=2.0)))
    assert len(stretches) == len(calls_made)
    assert [stretch.seconds for stretch in stretches].count(1.0) == 1


def test_the_values_are_raw(monkeypatch: pytest.MonkeyPatch) -> None:
    told = iter([1e-2, 1e-2, 1.0, 2.0, 4.0])
    clock = ("host", lambda calls: Stretch(value := next(told), value, value))
    monkeypatch.setattr(latency, "clock_of", lambda *_, **__: clock)
    found = measured(standing_in(lambda x: x, X), Protocol(sample_seconds=6.9, slow_seconds=7.0))
    assert found.values == [1.0, 2.0, 4.0]


def test_warm_up_counts_the_first_call_and_the_stretches(monkeypatch: pytest.MonkeyPatch) -> None:
    _, clock = counting(lambda n: 0.03 if n == 1 else 0.02)
    monkeypatch.setattr(latency, "clock_of", lambda *_, **__: ("host", clock))
    monkeypatch.setattr(latency, "recorded_first_call", lambda workload: FirstCall(5.0, []))
    detail = measured(standing_in(lambda x: x, X), Protocol()).detail
    assert detail["warmup_stretches"] == 3
    assert detail["warmup_seconds"] == pytest.approx(5.0 + 0.03 + 0.02 + 0.02)


@pytest.mark.parametrize("level", ["operator", "layer"])
def test_nothing_is_drawn_inside_the_clock(monkeypatch: pytest.MonkeyPatch, level: str) -> None:
    drawn: list[str] = []

    def counted(case: Case, role: str, **options: Any) -> Tensor:
        drawn.append(role)
        return inputs.draw(case, role, **options)

    monkeypatch.setattr("softbench.workload.draw", counted)
    workload = build(make("softmax", level=level, mode="forward_backward", seq_len=16))
    before, places = list(drawn), [tensor.data_ptr() for tensor in workload.inputs]
    state = torch.get_rng_state()
    measured(workload)
    assert before
    assert drawn == before
    assert [tensor.data_ptr() for tensor in workload.inputs] == places
    assert torch.equal(torch.get_rng_state(), state)


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


@pytest.mark.parametrize("device", ["cuda", "cuda:1"])
@pytest.mark.parametrize("with_flush", [True, False])
def test_cuda_events_time_the_calls_and_not_the_flush(
    monkeypatch: pytest.MonkeyPatch, with_flush: bool, device: str
) -> None:
    cuda = FakeCuda(device_ms=5, device=device)
    in_place_of_cuda(cuda, monkeypatch)
    flush = cast(Tensor, cuda) if with_flush else None
    stretch = cuda_stretch(cuda, 7, device, flush)
    assert stretch.seconds == pytest.approx(5e-3, rel=1e-3)
    assert stretch.host_seconds == pytest.approx(5e-5)
    assert cuda.flushes == (7 if with_flush else 0)
    assert (cuda.waits, cuda.cleared) == (2, 1)


@pytest.mark.parametrize("flush_l2", [True, False])
@pytest.mark.parametrize(
    ("device_ms", "launch_bound"), [(50.0, False), (0.06, False), (0.04, True), (1e-3, True)]
)
def test_a_host_slower_than_its_device_is_marked(
    monkeypatch: pytest.MonkeyPatch, device_ms: float, launch_bound: bool, flush_l2: bool
) -> None:
    cuda = FakeCuda(device_ms, host_ms=0.05)
    in_place_of_cuda(cuda, monkeypatch)
    protocol = Protocol(
        stretch_seconds=1e-5, sample_seconds=1e-3, warmup_seconds=1e-3, flush_l2=flush_l2
    )
    found = measured(cast(Workload, cuda), protocol)
    assert found.detail["launch_bound"] is launch_bound
    assert found.detail["clock"] == f"cuda events, {'cold' if flush_l2 else 'hot'} L2"
    assert found.detail["kernels"] == ["gemm_kernel"]
    assert found.detail["kernel_seconds"] == device_ms / 1e3
    assert found.detail["host_seconds"] == pytest.approx([5e-5] * len(found.values))


@pytest.mark.parametrize(
    ("host", "events", "kernels", "launch_bound"),
    [
        ([5.0], [6.0], 1.0, True),  # the device idles: its events hold the host's time
        ([5.0], [6.0], 5.5, False),
        ([5.0], [2.0], 9.0, True),  # the first call tried several kernels
        ([5.0], [2.0], None, True),  # nobody saw them
        ([1.0, 1.0, 90.0], [2.0, 2.0, 2.0], 2.0, False),  # the host was interrupted once
    ],
)
def test_the_host_is_held_against_the_least_that_the_device_took(
    host: list[float], events: list[float], kernels: float | None, launch_bound: bool
) -> None:
    stretches = [Stretch(on, off, 10.0) for on, off in zip(events, host, strict=True)]
    told = _timing.against_host(stretches, FirstCall(9.0, [], kernels))
    assert told == {"host_seconds": host, "kernel_seconds": kernels, "launch_bound": launch_bound}
