"""The most memory that a case may take, enforced while it runs.

On a CPU under Linux the system enforces it: the soft limit on the process's data segment
(RLIMIT_DATA, setrlimit(2)), which counts private writable memory as it is asked for, touched or
not. What goes beyond fails where it is asked for: PyTorch's allocator, new and malloc say so, and
the case ends as out of memory while its worker goes on. Code that does not look whether it got what
it asked for dies of it, and its worker with it.
On CUDA the caching allocator enforces it, by the fraction of the device that this process may use.
That path is exercised with stand-ins only and has not run on a GPU yet.
Other systems know no such limit: there a case is refused by its prediction alone, and nothing holds
it while it runs.
"""

from __future__ import annotations

import math
import os
import sys
from collections.abc import Callable
from types import TracebackType
from typing import Any

import torch

from softbench.worker.shortage import is_shortage

Restore = Callable[[], None]


class Cap:
    """A ceiling: what this process holds on `device` now, and `limit` bytes more.

    Entered around every call into a case, some microseconds each time. It does not move in between,
    so that cases that take turns have it together: what one holds while others run counts.
    """

    def __init__(self, device: str, limit: float) -> None:
        self.limit = limit
        taken, hold = _means(device)
        self._taken, self._hold = taken, hold
        self._ceiling = taken() + limit
        self._restore: Restore = _nothing

    def __enter__(self) -> Cap:
        self._restore = self._hold(self._ceiling)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None
    ) -> None:
        """Lift the ceiling; an error for want of memory is told what was left, as `detail`."""
        self._restore()
        if isinstance(error, Exception) and is_shortage(error) and math.isfinite(self.limit):
            # Its frames still hold what the case held.
            left = max(0.0, self._ceiling - self._taken())
            vars(error)["detail"] = {"free": int(left), "cap": int(self.limit)}


def _means(device: str) -> tuple[Callable[[], float], Callable[[float], Restore]]:
    """How to tell what is taken on `device`, and to hold it below a ceiling until restored."""
    if device.startswith("cuda"):
        index = _index(device)
        return (
            lambda: float(torch.cuda.memory_allocated(index)),
            lambda ceiling: _hold_allocator(index, ceiling),
        )
    if device == "cpu" and sys.platform == "linux":
        return _data_bytes, _hold_data
    return lambda: 0.0, lambda ceiling: _nothing


def _data_bytes() -> float:
    """Private writable memory of this process, as the limit counts it, and its stack."""
    statm = os.open("/proc/self/statm", os.O_RDONLY)
    try:
        return float(int(os.read(statm, 256).split()[5]) * os.sysconf("SC_PAGE_SIZE"))
    finally:
        os.close(statm)


def _hold_data(ceiling: float) -> Restore:
    import resource

    before = resource.getrlimit(resource.RLIMIT_DATA)
    allowed = [int(ceiling), *(limit for limit in before if limit != resource.RLIM_INFINITY)]
    resource.setrlimit(resource.RLIMIT_DATA, (min(allowed), before[1]))
    return lambda: resource.setrlimit(resource.RLIMIT_DATA, before)


def _index(device: str) -> int:
    """The number of a CUDA device: plain "cuda" is not one that a fraction can be asked of."""
    told: int | None = torch.device(device).index
    return torch.cuda.current_device() if told is None else told


def _hold_allocator(index: int, ceiling: float) -> Restore:
    before = torch.cuda.get_per_process_memory_fraction(index)
    total = torch.cuda.get_device_properties(index).total_memory
    torch.cuda.set_per_process_memory_fraction(min(before, ceiling / total), index)
    return lambda: torch.cuda.set_per_process_memory_fraction(before, index)


def _nothing(*_: Any) -> None:
    return None
