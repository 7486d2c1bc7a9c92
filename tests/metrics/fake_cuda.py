"""A CUDA device that is none: events, steps, flushes and graphs on a clock of their own."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from metric_cases import make
from torch import Tensor, nn

from softbench.metrics._kernels import FirstCall

X = torch.zeros(4)


class FakeCuda:
    """A workload whose clock only what runs on the fake device advances, in milliseconds."""

    def __init__(self, device_ms: float) -> None:
        self.case = make(device="cuda")
        self.module, self.inputs = nn.Identity(), ()
        self.now, self.device_ms = 0.0, device_ms
        self.waits = 0
        self.cleared = 0

    def clear_gradients(self) -> None:
        self.cleared += 1

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
        """A flush."""
        self.now += 1000

    def synchronize(self) -> None:
        self.waits += 1


def in_place_of_cuda(cuda: FakeCuda, monkeypatch: pytest.MonkeyPatch) -> None:
    """What the clock and the timed metrics ask of CUDA comes from `cuda`."""
    monkeypatch.setattr("softbench.metrics._clock._event", cuda.event)
    monkeypatch.setattr("softbench.metrics._clock.l2_buffer", lambda device: cuda)
    for metric in ("latency", "hot_latency", "graph_latency"):
        monkeypatch.setattr(
            f"softbench.metrics.{metric}.recorded_first_call",
            lambda workload: FirstCall(0.5, ["gemm_kernel"]),
        )
