"""What this machine has to give: the memory that is free."""

from __future__ import annotations

import math
from pathlib import Path

import psutil
import torch


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
