"""Seconds of one call replayed as a CUDA graph: the device's own time, with the host's taken away.

The step is captured once and replayed, with a cold L2 as in `latency`. Every case that can be
captured is timed, not only those that the host limits: which those are is measured too, anew in
each process, so a case near the border would have a number in some processes and none in others,
and an interval of those that are left. The record says of the step, and of its replay (which the
host issues too), whether the host takes longer than the kernels; where the step is not launch-bound
a graph has little to win.
A replay that gives another output than the step is an error: it does not run what it should.
It has not run on a GPU yet.
"""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from softbench.case import Measurement, Unsupported
from softbench.metrics._clock import clock_of
from softbench.metrics._kernels import recorded_first_call
from softbench.metrics._timing import against_host, timed
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

    Raises Unsupported off CUDA and where the case cannot be captured; NonFiniteError; RuntimeError
    if the replay gives another output.
    """
    device = workload.case.device
    if not device.startswith("cuda"):
        raise Unsupported(f"there are no CUDA graphs on {device}")
    first = recorded_first_call(workload)
    _, clock = clock_of(workload, device, flush_l2=protocol.flush_l2)
    step = against_host([clock(STEPS_BEFORE_CAPTURE)], first)
    replay = captured(workload)
    name, clock = clock_of(replay, device, flush_l2=protocol.flush_l2)
    found = yield from timed(workload, protocol, f"{name}, graph replay", clock, first)
    workload.clear_gradients()
    return {"graph_latency": replace(found, detail=found.detail | {"step": step})}


def captured(workload: Workload) -> Replay:
    """The step of `workload` as a graph. Raises Unsupported if CUDA refuses to capture it."""
    with torch.cuda.device(workload.case.device):
        aside = torch.cuda.Stream()  # type: ignore[no-untyped-call]
        expected = _steps_on(aside, workload)
        graph = torch.cuda.CUDAGraph()
        try:
            # Of torch's own stream for captures there is one, on the device of the first capture.
            # A refused capture leaves its stream the current one: the outer `with` takes it back.
            with torch.cuda.stream(aside), torch.cuda.graph(graph, stream=aside):
                output = workload.step()
        except torch.OutOfMemoryError:
            raise
        except RuntimeError as refusal:
            said = (str(refusal).splitlines() or ["no message"])[0]
            raise Unsupported(f"its step cannot be captured as a CUDA graph: {said}") from None
        graph.replay()
        workload.synchronize()
    if not torch.allclose(output, expected, rtol=TOLERANCE, atol=TOLERANCE):
        raise RuntimeError(f"{workload.case.label}: the replayed graph gives another output")
    return Replay(workload, graph)


def _steps_on(aside: torch.cuda.Stream, workload: Workload) -> Tensor:
    """The output of the last of a few steps on another stream."""
    aside.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(aside):
        for _ in range(STEPS_BEFORE_CAPTURE):
            output = workload.step()
    torch.cuda.current_stream().wait_stream(aside)
    return output
