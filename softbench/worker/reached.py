"""How near a case came to what its machine can do: part of every record that is a time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from statistics import median
from typing import Any

from softbench.metrics._roofline import Rates, least_seconds
from softbench.metrics._work import Work


def reached(work: Work, rates: Rates, values: Sequence[float]) -> dict[str, Any]:
    """The rates, which of them binds, the least seconds by it, and the fractions reached.

    values: seconds of a call. `gemm_fraction` is of the matrix-product rate alone, whatever binds;
    both fractions are None if a clock too coarse says that a call took no time.
    """
    seconds = median(values)
    least, bound = least_seconds(work.flops, work.compulsory_bytes, work.exponentials, rates)
    return asdict(rates) | {
        "compulsory_bytes": work.compulsory_bytes,
        "bound": bound,
        "least_seconds": least,
        "fraction": least / seconds if seconds > 0 else None,
        "gemm_fraction": work.flops / rates.gemm / seconds if seconds > 0 else None,
    }
