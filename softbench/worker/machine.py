"""What this machine has to give: its rate for matrix products, and the memory that is free."""

from __future__ import annotations

import math
import time
from pathlib import Path

import psutil
import torch


def gemm_rate(device: str) -> float:
    """Seconds per FLOP of a large float32 matrix product on `device`, best of five."""
    size = 4096 if device.startswith("cuda") else 1024
    square = torch.full((size, size), 0.5, device=device)
    best = math.inf
    for _ in range(5):
        start = time.perf_counter()
        square @ square
        if device.startswith("cuda"):
            torch.cuda.synchronize(device)
        best = min(best, time.perf_counter() - start)
    return best / (2 * size**3)


def free_memory(device: str) -> float:
    """Bytes that can be allocated on `device` now; on the CPU within the control group's limit."""
    if device.startswith("cuda"):
        cached = torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
        return float(torch.cuda.mem_get_info(device)[0] + cached)
    if device != "cpu":
        return math.inf
    return min(float(psutil.virtual_memory().available), _left_of_group())


def _left_of_group(group: Path = Path("/sys/fs/cgroup")) -> float:
    """What the control group that this process is in (version 2) may still use."""
    try:
        limit = (group / "memory.max").read_text().strip()
        used = int((group / "memory.current").read_text())
    except (OSError, ValueError):
        return math.inf
    return math.inf if limit == "max" else float(int(limit) - used)
