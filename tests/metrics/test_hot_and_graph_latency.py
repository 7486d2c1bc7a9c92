"""The hot figure and the graph's replay, on a CUDA device that is none.

Mutants seen red: a flush before hot calls, a number printed twice on the CPU or without a flush, a
graph timed where the device is the slower one, the plain step timed in place of the replay, a
refused capture that fails, a replay with another output that passes.
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
SLOW, QUICK = 50.0, 1e-6  # ms on the device, above and below what the host needs for a call


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


def test_hot_calls_have_no_flush_before_them(monkeypatch: pytest.MonkeyPatch) -> None:
    cuda = FakeCuda(SLOW)
    in_place_of_cuda(cuda, monkeypatch)
    found = measured(hot_latency, cuda)
    assert cuda.now < 1000  # a flush takes that long
    assert found.values == pytest.approx([SLOW / 1e3] * len(found.values))
    assert found.detail["clock"] == "cuda events, hot L2"


class Graph:
    """A graph of the fake device; what it replays takes a tenth of the step."""

    def __init__(self, cuda: FakeCuda) -> None:
        self.cuda, self.replays = cuda, 0

    def replay(self) -> None:
        self.replays += 1
        self.cuda.now += self.cuda.device_ms / 10


def test_where_the_device_is_the_slower_one_no_graph_is_timed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    cuda = FakeCuda(SLOW)
    in_place_of_cuda(cuda, monkeypatch)
    with pytest.raises(Unsupported, match="not launch-bound"):
        measured(graph_latency, cuda)


def test_the_replay_is_timed_and_not_the_step(monkeypatch: pytest.MonkeyPatch) -> None:
    cuda = FakeCuda(QUICK)
    in_place_of_cuda(cuda, monkeypatch)
    graph = Graph(cuda)
    replay = graph_latency.Replay(cast(Workload, cuda), cast(Any, graph))
    monkeypatch.setattr(graph_latency, "captured", lambda workload: replay)
    found = measured(graph_latency, cuda)
    assert graph.replays >= len(found.values)
    assert max(found.values) < 0.5 * QUICK / 1e3
    assert found.detail["clock"] == "cuda events, cold L2, graph replay"


class Stream:
    """A stream that nothing waits for."""

    def wait_stream(self, other: Stream) -> None:
        """At once."""


def capturing(cuda: FakeCuda, monkeypatch: pytest.MonkeyPatch) -> Graph:
    """What capturing asks of torch."""
    graph = Graph(cuda)

    @contextmanager
    def capture(_: Graph) -> Iterator[None]:
        yield

    for name, stand_in in {
        "device": lambda _: nullcontext(),
        "Stream": Stream,
        "current_stream": Stream,
        "stream": lambda _: nullcontext(),
        "CUDAGraph": lambda: graph,
        "graph": capture,
    }.items():
        monkeypatch.setattr(torch.cuda, name, stand_in)
    return graph


def test_a_step_is_captured_after_a_few_aside_and_replayed_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    cuda = FakeCuda(1.0)
    graph = capturing(cuda, monkeypatch)
    replay = graph_latency.captured(cast(Workload, cuda))
    assert graph.replays == 1
    assert cuda.now == pytest.approx(graph_latency.STEPS_BEFORE_CAPTURE + 1 + 0.1)
    replay.step()
    assert graph.replays == 2


def test_a_capture_that_cuda_refuses_is_unsupported_in_its_words(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    cuda = FakeCuda(1.0)
    capturing(cuda, monkeypatch)
    steps: list[int] = []

    def step() -> Tensor:
        steps.append(1)
        if len(steps) > graph_latency.STEPS_BEFORE_CAPTURE:
            raise RuntimeError("operation not permitted when stream is capturing\nand more")
        return torch.zeros(4)

    monkeypatch.setattr(cuda, "step", step)
    with pytest.raises(Unsupported, match=r"CUDA graph: operation not permitted .* capturing$"):
        graph_latency.captured(cast(Workload, cuda))


def test_a_replay_that_gives_something_else_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    cuda = FakeCuda(1.0)
    capturing(cuda, monkeypatch)
    outputs = iter([torch.zeros(4)] * graph_latency.STEPS_BEFORE_CAPTURE + [torch.ones(4)])
    monkeypatch.setattr(cuda, "step", lambda: next(outputs))
    with pytest.raises(RuntimeError, match="the replayed graph gives another output"):
        graph_latency.captured(cast(Workload, cuda))
