"""Joules that a GPU took, by NVML's own counter (Volta and later); nothing on a CPU.

The counter is of the whole device: what others ran there meanwhile is in it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch

Counter = Callable[[], float]


class Energy:
    """Started when made; `told` says what was taken since, or why that is not known."""

    def __init__(self, device: str) -> None:
        """Look for a counter of `device`."""
        self._why, self._counter = "", None
        try:
            self._counter = _counter(device)
            self._start = self._counter()
        except _NoCounterError as reason:
            self._why = str(reason)

    def told(self) -> dict[str, Any]:
        """{"joules": …, "instrument": …}, or joules None and the reason."""
        if self._counter is None:
            return {"joules": None, "reason": self._why}
        return {"joules": self._counter() - self._start, "instrument": "NVML, whole device"}


class _NoCounterError(Exception):
    """Why there is none."""


def _counter(device: str) -> Counter:
    """Reads the joules of `device` since its driver was loaded."""
    if not device.startswith("cuda"):
        raise _NoCounterError("no counter of energy on this device")
    try:
        import pynvml
    except ImportError:
        raise _NoCounterError("pynvml (nvidia-ml-py) is not installed") from None
    try:
        pynvml.nvmlInit()
        uuid = torch.cuda.get_device_properties(device).uuid
        handle = pynvml.nvmlDeviceGetHandleByUUID(f"GPU-{uuid}".encode())
        pynvml.nvmlDeviceGetTotalEnergyConsumption(handle)
    except pynvml.NVMLError as error:
        raise _NoCounterError(f"NVML: {error}") from None
    return lambda: pynvml.nvmlDeviceGetTotalEnergyConsumption(handle) / 1e3
