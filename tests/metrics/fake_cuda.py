"""A CUDA device that is none: a queue, events, steps, flushes and graphs on a clock of their own.

As on a device, a kernel runs once it has been issued and those before it have ended, an event is
reached likewise, and the host goes on meanwhile: what is issued to an idle device leaves it idle
in between, inside the events too.
"""

from __future__ import annotations

from typing import Any

import pytest
import torch
from metric_cases import make
from torch import Tensor, nn

from softbench.metrics._kernels import FirstCall

X = torch.zeros(4)
KERNELS = 4  # of a step, all alike
FLUSH_MS = 0.02


class FakeCuda:
    """A workload: the host takes `host_ms` to issue a step, the device `device_ms` to run it."""

    def __init__(self, device_ms: float, host_ms: float = 0.05, device: str = "cuda") -> None:
        self.case = make(device=device)
        self.module, self.inputs = nn.Identity(), ()
        self.device_ms, self.host_ms = device_ms, host_ms
        self.now = 0.0  # the host's clock, in milliseconds
        self.idle_from = 0.0  # when the device has done all that was issued so far
        self.waits = self.cleared = self.flushes = 0

    def issue(self, host_ms: float, device_ms: float) -> None:
        """One kernel."""
        self.now += host_ms
        self.idle_from = max(self.idle_from, self.now) + device_ms

    def step(self) -> Tensor:
        for _ in range(KERNELS):
            self.issue(self.host_ms / KERNELS, self.device_ms / KERNELS)
        return X

    def zero_(self) -> None:
        """A flush."""
        self.flushes += 1
        self.issue(0.0, FLUSH_MS)

    def synchronize(self) -> None:
        self.waits += 1
        self.now = max(self.now, self.idle_from)

    def clear_gradients(self) -> None:
        self.cleared += 1

    def seconds(self) -> float:
        """In place of perf_counter."""
        return self.now / 1e3

    def current_stream(self, device: Any = None) -> str:
        """Named after its device, of which there are two; the first is the current one."""
        return f"stream of {torch.device(device or 'cuda').index or 0}"

    def event(self) -> Any:
        cuda = self

        class Event:
            at = 0.0

            def record(self, stream: str | None = None) -> None:
                busy = (stream or cuda.current_stream()) == cuda.current_stream(cuda.case.device)
                self.at = max(cuda.now, cuda.idle_from) if busy else cuda.now

            def elapsed_time(self, after: Event) -> float:
                if max(self.at, after.at) > cuda.now:
                    raise RuntimeError("Both events must be completed")
                return after.at - self.at

        return Event()


def in_place_of_cuda(cuda: FakeCuda, monkeypatch: pytest.MonkeyPatch) -> None:
    """What the clock and the timed metrics ask of CUDA comes from `cuda`."""
    monkeypatch.setattr("softbench.metrics._clock._event", cuda.event)
    monkeypatch.setattr("softbench.metrics._clock.l2_buffer", lambda device: cuda)
    monkeypatch.setattr("softbench.metrics._clock.perf_counter", cuda.seconds)
    monkeypatch.setattr(torch.cuda, "current_stream", cuda.current_stream)
    for metric in ("latency", "hot_latency", "graph_latency"):
        monkeypatch.setattr(
            f"softbench.metrics.{metric}.recorded_first_call",
            lambda workload: FirstCall(0.5, ["gemm_kernel"], cuda.device_ms / 1e3),
        )
