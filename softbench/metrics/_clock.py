"""One timed stretch: several calls between two readings of a clock, on the host or on CUDA.

The garbage collector is off inside a stretch and put back as it was. The device is synchronised
before the clock starts and before it stops, so nothing asked before is in and nothing asked within
is left out. On a CPU calls follow one another and find in its caches what fits there.
CUDA: device time comes from a pair of events around each call; with `flush` a buffer of the size of
the device's own L2 is overwritten before each call, outside its events, so that no call finds its
inputs in cache. Events are of the stream that is current on the case's own device, whichever device
is the current one. Host time is what the host needed to issue the calls. Where it issues them more
slowly than the device runs them, the device idles between kernels, and events hold that too: with
nothing queued before it a call then takes, by its events, as long as it takes to issue.
The CUDA path is exercised with stand-in events only and has not run on a GPU yet.
"""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from time import perf_counter
from typing import Protocol as Interface

import torch
from torch import Tensor


@dataclass(frozen=True)
class Stretch:
    """Seconds per call by the case's clock, seconds per call on the host, and all it lasted."""

    seconds: float
    host_seconds: float
    elapsed: float


Clock = Callable[[int], Stretch]


class Steps(Interface):
    """What a clock times: a workload, or its step captured as a graph."""

    def step(self) -> object:
        """One call."""

    def synchronize(self) -> None:
        """Wait until the device has finished what was asked of it."""

    def clear_gradients(self) -> None:
        """Leave no gradient behind."""


def clock_of(steps: Steps, device: str, *, flush_l2: bool) -> tuple[str, Clock]:
    """The name of the clock that the device needs, and the clock of these steps."""
    if not device.startswith("cuda"):
        return "host, hot caches", lambda calls: host_stretch(steps, calls)
    flush = l2_buffer(device) if flush_l2 else None
    name = "cuda events, cold L2" if flush_l2 else "cuda events, hot L2"
    return name, lambda calls: cuda_stretch(steps, calls, device, flush)


def host_stretch(steps: Steps, calls: int) -> Stretch:
    """`calls` steps between two readings of the host's clock, the device idle at both."""
    with collector_off():
        steps.synchronize()
        start = perf_counter()
        for _ in range(calls):
            steps.step()
        steps.synchronize()
        elapsed = perf_counter() - start
    steps.clear_gradients()  # the next case may need the memory
    return Stretch(elapsed / calls, elapsed / calls, elapsed)


def cuda_stretch(steps: Steps, calls: int, device: str, flush: Tensor | None) -> Stretch:
    """`calls` steps, each between two events on the device; `flush` is overwritten in between."""
    events = [(_event(), _event()) for _ in range(calls)]
    stream = torch.cuda.current_stream(device)
    host_seconds = 0.0
    with collector_off():
        steps.synchronize()
        start = perf_counter()
        for before, after in events:
            if flush is not None:
                flush.zero_()
            before.record(stream)
            issued = perf_counter()
            steps.step()
            host_seconds += perf_counter() - issued
            after.record(stream)
        steps.synchronize()
        elapsed = perf_counter() - start
    steps.clear_gradients()  # the next case may need the memory
    milliseconds = sum(before.elapsed_time(after) for before, after in events)
    return Stretch(milliseconds / 1e3 / calls, host_seconds / calls, elapsed)


def l2_buffer(device: str) -> Tensor:
    """A buffer as large as the device's L2 cache."""
    size = torch.cuda.get_device_properties(device).L2_cache_size
    return torch.empty(size, dtype=torch.int8, device=device)


@contextmanager
def collector_off() -> Iterator[None]:
    """No garbage collection inside; afterwards it is on or off as it was before."""
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()


def _event() -> torch.cuda.Event:
    return torch.cuda.Event(enable_timing=True)  # type: ignore[no-untyped-call]
