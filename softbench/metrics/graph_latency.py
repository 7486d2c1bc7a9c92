"""Seconds of one call replayed as a CUDA graph, where the host is what limits `latency`.

A step that the host issues more slowly than the device runs it is captured once and replayed: what
is left is the device's own time, with the host's taken away. Where the device is the slower one a
graph has nothing to win, and there is no number. L2 is cold, as in `latency`.
A replay that gives another output than the step is an error: it does not run what it should.
It has not run on a GPU yet.
"""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass

import torch
from torch import Tensor

from softbench.case import Measurement, Unsupported
from softbench.metrics._clock import clock_of
from softbench.metrics._kernels import recorded_first_call
from softbench.metrics._timing import timed, warm
from softbench.protocol import Protocol
from softbench.workload import Workload

QUANTITIES = {"graph_latency": ("s", "lower")}
REPEATED = True
STEPS_BEFORE_CAPTURE = 3  # on a stream of their own, as torch's notes on CUDA graphs ask for
TOLERANCE = 1e-3


@dataclass(frozen=True)
class Replay:
    """A captured step of a workload. Gradients stay where the graph writes them."""

    workload: Workload
    graph: torch.cuda.CUDAGraph

    def step(self) -> None:
        """One replay."""
        self.graph.replay()

    def synchronize(self) -> None:
        """Wait until the device has finished what was asked of it."""
        self.workload.synchronize()

    def clear_gradients(self) -> None:
        """Nothing: the next replay overwrites them in place."""


def measure(
    workload: Workload, protocol: Protocol
) -> Generator[None, None, dict[str, Measurement]]:
    """Seconds per replay, a value per stretch; yields where another case may run in between.

    Raises Unsupported off CUDA, where the case is not launch-bound and where it cannot be captured;
    NonFiniteError; RuntimeError if the replay gives another output.
    """
    device = workload.case.device
    if not device.startswith("cuda"):
        raise Unsupported(f"there are no CUDA graphs on {device}")
    first = recorded_first_call(workload)
    _, clock = clock_of(workload, device, flush_l2=protocol.flush_l2)
    warm_up = yield from warm(clock, protocol)
    if not warm_up.launch_bound:
        raise Unsupported("not launch-bound: the device takes longer to run a call than the host")
    replay = captured(workload)
    name, clock = clock_of(replay, device, flush_l2=protocol.flush_l2)
    found = yield from timed(workload, protocol, f"{name}, graph replay", clock, first)
    workload.clear_gradients()
    return {"graph_latency": found}


def captured(workload: Workload) -> Replay:
    """The step of `workload` as a graph. Raises Unsupported if CUDA refuses to capture it."""
    with torch.cuda.device(workload.case.device):
        expected = _steps_aside(workload)
        graph = torch.cuda.CUDAGraph()
        try:
            with torch.cuda.graph(graph):
                output = workload.step()
        except RuntimeError as refusal:
            said = (str(refusal).splitlines() or ["no message"])[0]
            raise Unsupported(f"its step cannot be captured as a CUDA graph: {said}") from None
        graph.replay()
        workload.synchronize()
    if not torch.allclose(output, expected, rtol=TOLERANCE, atol=TOLERANCE):
        raise RuntimeError(f"{workload.case.label}: the replayed graph gives another output")
    return Replay(workload, graph)


def _steps_aside(workload: Workload) -> Tensor:
    """The output of the last of a few steps on another stream."""
    aside = torch.cuda.Stream()  # type: ignore[no-untyped-call]
    aside.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(aside):
        for _ in range(STEPS_BEFORE_CAPTURE):
            output = workload.step()
    torch.cuda.current_stream().wait_stream(aside)
    return output
