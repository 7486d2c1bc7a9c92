"""What really ran: the kernels of one call, as the profiler saw them.

The profiled call is the case's first, which is looked at anyway and never timed, so a slow case
pays nothing for it; a compiled case is compiled by a call before.
CUDA: the names of the kernels, and the seconds that they ran. CPU: the outermost operators that
torch has an implementation of, since a CPU kernel has no name of its own: what only puts others
together gives their names (softmax gives _softmax), what an operator calls for its own purposes is
part of it, and views and allocations are no kernels.
The CUDA path is exercised with stand-in events only and has not run on a GPU yet.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from time import perf_counter
from typing import Any

import torch
from torch._C._autograd import DeviceType
from torch.autograd.profiler import profile

from softbench.metrics._finite import first_call, refuse_non_finite_step
from softbench.workload import Workload

MOST_NAMES = 40
NO_KERNELS = frozenset(
    name
    for group in (
        ("empty", "empty_like", "empty_strided", "new_empty", "new_empty_strided"),
        ("resize_", "as_strided_", "_unsafe_view", "lift_fresh"),
    )
    for name in group
)
# They choose who computes, and what they choose is the news.
CHOOSERS = frozenset(("convolution", "_convolution"))


@dataclass(frozen=True)
class Span:
    """An event of the profiler: nanoseconds from start to end, of one thread."""

    name: str
    start: int
    end: int
    thread: int


@dataclass(frozen=True)
class FirstCall:
    """What a case's first call took, with compilation, and the kernels that ran in it.

    kernel_seconds: how long they ran on CUDA, gaps left out; None on a CPU, or if none was seen.
    """

    seconds: float
    kernels: list[str]
    kernel_seconds: float | None = None


def recorded_first_call(workload: Workload) -> FirstCall:
    """One call, never timed, whose output and gradients must be finite. Raises NonFiniteError.

    Leaves no gradient behind.
    """
    start = perf_counter()
    if workload.case.compile:
        first_call(workload)
    device = workload.case.device
    on_cuda = device.startswith("cuda")
    with profile(use_device="cuda" if on_cuda else None) as profiler:
        output = workload.step()
        workload.synchronize()
    refuse_non_finite_step(workload, output)
    assert profiler.kineto_results is not None  # the profiler has been entered and left
    events = profiler.kineto_results.events()
    kernels, ran = cuda_kernels(events) if on_cuda else (cpu_kernels(_spans(events)), None)
    return FirstCall(perf_counter() - start, kernels, ran)


def cuda_kernels(events: Iterable[Any]) -> tuple[list[str], float | None]:
    """Names of what ran on the device, each once, the earliest first, and the seconds of all.

    A stretch that a program has named is no kernel. None for the seconds if nothing was seen.
    """
    ran = [e for e in events if e.device_type() == DeviceType.CUDA and not e.is_user_annotation()]
    names = _each_once(e.name() for e in sorted(ran, key=lambda event: event.start_ns()))
    return names, sum(event.duration_ns() for event in ran) / 1e9 if ran else None


def cpu_kernels(spans: Iterable[Span]) -> list[str]:
    """Names of the outermost operators that are kernels, each once, the earliest first."""
    ordered = sorted(spans, key=lambda span: (span.start, -span.end))
    kernels = {name for name in {span.name for span in ordered} if is_kernel(name)}
    names: list[str] = []
    busy_until: dict[int, int] = {}
    for span in ordered:
        if span.name in kernels and span.start >= busy_until.get(span.thread, 0):
            busy_until[span.thread] = span.end
            names.append(span.name)
    return _each_once(names)


def is_kernel(name: str) -> bool:
    """Whether the operator computes or moves something itself: no view, allocation or mere rule."""
    library, _, short = name.partition("::")
    if not short or library in ("autograd", "torch", "prim") or short in NO_KERNELS | CHOOSERS:
        return False
    packet = getattr(getattr(torch.ops, library), short, None)
    overloads = [getattr(packet, overload) for overload in packet.overloads()] if packet else []
    return not overloads or any(map(_is_implemented, overloads))


def _is_implemented(overload: torch._ops.OpOverload) -> bool:
    """Whether torch has code for it that is more than a view or a rule; rules have it for `out`."""
    name: str = overload.name()  # type: ignore[no-untyped-call]
    has = torch._C._dispatch_has_kernel_for_dispatch_key
    if overload.is_view or name.endswith("out") or not torch._C._dispatch_has_kernel(name):
        return False
    return not has(name, "CompositeImplicitAutograd")


def _spans(events: Iterable[Any]) -> Iterator[Span]:
    for event in events:
        start = event.start_ns()
        yield Span(event.name(), start, start + event.duration_ns(), event.start_thread_id())


def _each_once(names: Iterable[str]) -> list[str]:
    return list(dict.fromkeys(names))[:MOST_NAMES]
