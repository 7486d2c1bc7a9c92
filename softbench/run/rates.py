"""What the run's workers measured of their machine, kept beside its environment.

`rates.json` is {device: {dtype: {"gemm": FLOP/s, "stream": byte/s, "exponential": 1/s}}}, the
medians over the workers of the run that measured last there.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from statistics import median
from typing import Any

from softbench.records import Store

FILE = "rates.json"


class RatesBook:
    """Takes in what workers tell of rates; the file is whole whenever the run is stopped."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._told: dict[tuple[str, str], list[Mapping[str, float]]] = defaultdict(list)

    def note(self, event: Mapping[str, Any]) -> None:
        """Take one event "rates" in, and write the medians down."""
        device, dtype = event["device"], event["dtype"]
        self._told[device, dtype].append(event["rates"])
        told = self._told[device, dtype]
        medians = {name: median(rates[name] for rates in told) for name in told[0]}
        kept = self._store.kept(FILE)
        kept[device] = {**kept.get(device, {}), dtype: medians}
        self._store.keep(FILE, kept)
