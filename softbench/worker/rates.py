"""The rates of this machine, measured once per device and dtype in this process."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import asdict
from typing import Any

from softbench.metrics._roofline import Rates, measure_rates

# On the meta device nothing runs, so nothing takes time.
UNLIMITED = Rates(gemm=math.inf, stream=math.inf, exponential=math.inf)


class Rating:
    """Asked for rates; says every one that it had to measure to `tell`, as an event."""

    def __init__(self, tell: Callable[[dict[str, Any]], None]) -> None:
        self._tell = tell
        self._known: dict[tuple[str, str], Rates] = {}

    def of(self, device: str, dtype: str) -> Rates:
        """The rates of `device` for `dtype`, measured at the first time, about a second."""
        if device == "meta":
            return UNLIMITED
        if (device, dtype) not in self._known:
            rates = self._known[device, dtype] = measure_rates(device, dtype)
            event = {"event": "rates", "device": device, "dtype": dtype, "rates": asdict(rates)}
            self._tell(event)
        return self._known[device, dtype]
