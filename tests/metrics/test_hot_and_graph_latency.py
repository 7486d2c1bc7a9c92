"""The hot figure and the graph's replay, on a CUDA device that is none.

Mutants seen red: a flush before hot calls, a number printed twice on the CPU or without a flush, a
hot call whose host is held against its events alone, no graph timed where the device is the slower
one, the step's own remark left out, the plain step timed in place of the replay, a refused capture
that fails or leaves its stream the current one, a capture on a stream of torch's choice, one out of
memory that counts as refused, a replay with another output that passes.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from types import ModuleType
from typing import Any, cast

import pytest
import torch
from fake_cuda import FakeCuda, in_place_of_cuda
from metric_cases import drain, make
from torch import Tensor

from softbench.case import Measurement, Unsupported
from softbench.metrics import graph_latency, hot_latency
from softbench.protocol import Protocol
from softbench.workload import Workload, build

BRIEF = Protocol(stretch_seconds=1e-5, sample_seconds=1e-3, warmup_seconds=1e-3)
HOST = 0.05  # ms for a call
SLOW, QUICK = 50.0, 0.01  # ms on the device, above and below what the host needs


def measured(metric: ModuleType, cuda: FakeCuda, protocol: Protocol = BRIEF) -> Measurement:
    [found] = drain(metric.measure(cast(Workload, cuda), protocol))[1].values()
    return cast(Measurement, found)


@pytest.mark.parametrize("metric", [hot_latency, graph_latency], ids=lambda metric: metric.__name__)
@pytest.mark.parametrize("device", ["cpu", "meta"])
def test_they_are_of_cuda_alone(metric: ModuleType, device: str) -> None:
    with pytest.raises(Unsupported):
        next(metric.measure(build(make(device=device)), BRIEF))


def test_no_number_is_printed_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(Unsupported, match="latency on the CPU is hot already"):
        next(hot_latency.measure(build(make()), BRIEF))
    cuda = FakeCuda(SLOW)
    in_place_of_cuda(cuda, monkeypatch)
    with pytest.raises(Unsupported, match="flushes no L2"):
        measured(hot_latency, cuda, Protocol(flush_l2=False))


@pytest.mark.parametrize(("device_ms", "launch_bound"), [(SLOW, False), (QUICK, True)])
def test_hot_calls_have_no_flush_before_them(
    monkeypatch: pytest.MonkeyPatch, device_ms: float, launch_bound: bool
) -> None:
    cuda = FakeCuda(device_ms, HOST)
    in_place_of_cuda(cuda, monkeypatch)
    found = measured(hot_latency, cuda)
    assert cuda.flushes == 0
    assert found.values == pytest.approx([max(device_ms, HOST) / 1e3] * len(found.values), rel=0.1)
    assert found.detail["clock"] == "cuda events, hot L2"
    assert found.detail["launch_bound"] is launch_bound


class Graph:
    """A graph of the fake device; what it replays takes a tenth of the step, for both."""

    def __init__(self, cuda: FakeCuda) -> None:
        self.cuda, self.replays = cuda, 0

    def replay(self) -> None:
        self.replays += 1
        self.cuda.issue(self.cuda.host_ms / 10, self.cuda.device_ms / 10)


@pytest.mark.parametrize(
    ("device_ms", "launch_bound"),
    [(SLOW, False), (1.01 * HOST, False), (0.99 * HOST, True), (QUICK, True)],
)
def test_the_replay_is_timed_and_not_the_step(
    monkeypatch: pytest.MonkeyPatch, device_ms: float, launch_bound: bool
) -> None:
    """Whatever limits the step, so that no process is without a number; the record says what."""
    cuda = FakeCuda(device_ms, HOST)
    in_place_of_cuda(cuda, monkeypatch)
    graph = Graph(cuda)
    replay = graph_latency.Replay(cast(Workload, cuda), cast(Any, graph))
    monkeypatch.setattr(graph_latency, "captured", lambda workload: replay)
    found = measured(graph_latency, cuda)
    assert graph.replays >= len(found.values)
    assert found.values == pytest.approx([device_ms / 1e4] * len(found.values))
    assert found.detail["clock"] == "cuda events, cold L2, graph replay"
    assert found.detail["step"] == {
        "host_seconds": [pytest.approx(HOST / 1e3)],
        "kernel_seconds": device_ms / 1e3,
        "launch_bound": launch_bound,
    }
    assert found.detail["host_seconds"] == pytest.approx([HOST / 1e4] * len(found.values))


class Stream:
    """A stream that nothing waits for."""

    def wait_stream(self, other: Stream) -> None:
        """At once."""


class Streams:
    """Which one is current. A capture that fails leaves its own so, as torch's does."""

    def __init__(self) -> None:
        self.first = self.current = Stream()

    @contextmanager
    def stream(self, stream: Stream) -> Iterator[None]:
        before, self.current = self.current, stream
        try:
            yield
        finally:
            self.current = before

    @contextmanager
    def graph(self, graph: Graph, stream: Stream) -> Iterator[None]:
        before, self.current = self.current, stream
        yield
        self.current = before


def capturing(cuda: FakeCuda, monkeypatch: pytest.MonkeyPatch) -> tuple[Graph, Streams]:
    """What capturing asks of torch."""
    graph, streams = Graph(cuda), Streams()
    for name, stand_in in {
        "device": lambda _: nullcontext(),
        "Stream": Stream,
        "current_stream": lambda: streams.current,
        "stream": streams.stream,
        "CUDAGraph": lambda: graph,
        "graph": streams.graph,
    }.items():
        monkeypatch.setattr(torch.cuda, name, stand_in)
    return graph, streams


def test_a_step_is_captured_after_a_few_aside_and_replayed_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    cuda = FakeCuda(1.0)
    graph, streams = capturing(cuda, monkeypatch)
    replay = graph_latency.captured(cast(Workload, cuda))
    assert graph.replays == 1
    assert cuda.idle_from == pytest.approx(graph_latency.STEPS_BEFORE_CAPTURE + 1 + 0.1, rel=0.01)
    assert streams.current is streams.first
    replay.step()
    assert graph.replays == 2


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (
            RuntimeError("operation not permitted when stream is capturing\nand more"),
            pytest.raises(Unsupported, match=r"CUDA graph: operation not permitted .* capturing$"),
        ),
        (torch.OutOfMemoryError("CUDA out of memory"), pytest.raises(torch.OutOfMemoryError)),
    ],
    ids=["refused", "out of memory"],
)
def test_a_capture_that_cuda_refuses_is_unsupported_in_its_words(
    monkeypatch: pytest.MonkeyPatch, error: Exception, told: Any
) -> None:
    cuda = FakeCuda(1.0)
    _, streams = capturing(cuda, monkeypatch)
    steps: list[int] = []

    def step() -> Tensor:
        steps.append(1)
        if len(steps) > graph_latency.STEPS_BEFORE_CAPTURE:
            raise error
        return torch.zeros(4)

    monkeypatch.setattr(cuda, "step", step)
    with told:
        graph_latency.captured(cast(Workload, cuda))
    assert streams.current is streams.first


def test_a_replay_that_gives_something_else_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    cuda = FakeCuda(1.0)
    capturing(cuda, monkeypatch)
    outputs = iter([torch.zeros(4)] * graph_latency.STEPS_BEFORE_CAPTURE + [torch.ones(4)])
    monkeypatch.setattr(cuda, "step", lambda: next(outputs))
    with pytest.raises(RuntimeError, match="the replayed graph gives another output"):
        graph_latency.captured(cast(Workload, cuda))
