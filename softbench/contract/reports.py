"""What every report must satisfy: render(records, folder) writes files and says which."""

from __future__ import annotations

import inspect
import tempfile
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

from softbench.case import Record, Shape
from softbench.contract.attention import case

UNITS = {
    "latency": "s",
    "peak_memory": "byte",
    "flops": "FLOP",
    "approximation_error": "1",
    "inverse_residual": "1",
    "accuracy": "1",
}
ACCURACY = 0.75
# What a worker says of every time that it takes.
TIMED = {
    "flops": 10**9,
    "roofline": {
        "gemm": 1e11,
        "stream": 1e10,
        "exponential": 1e9,
        "bound": "gemm",
        "least_seconds": 1e-2,
        "compulsory_bytes": 10**7,
        "fraction": 0.1,
        "gemm_fraction": 0.1,
    },
    "tags": [],
}


def _signature(name: str, module: ModuleType) -> Iterator[str]:
    given = list(inspect.signature(module.render).parameters)
    if given != ["records", "folder"]:
        yield f"render takes ({', '.join(given)}), not (records, folder)"


def _renders(name: str, module: ModuleType) -> Iterator[str]:
    """Made-up records of a sweep, one cell skipped, become files in the folder."""
    with tempfile.TemporaryDirectory(prefix="softbench-") as place:
        folder = Path(place) / "results"
        folder.mkdir()
        files = module.render(_sweep(), folder)
        for file in files:
            if not (isinstance(file, Path) and file.is_file() and folder in file.parents):
                yield f"render returns {str(file)!r}, which is no file in the folder"
        if not files:
            yield "render returns no file for a sweep of latency, memory, FLOPs and errors"


def _sweep() -> list[Record]:
    lengths = (196, 400, 784, 1600, 3136)
    return [
        _record(attention, backend, seq_len, metric)
        for attention, backend in (("soft", "eager"), ("softmax", "eager"), ("softmax", "sdpa"))
        for seq_len in lengths
        for metric in UNITS
    ]


def _record(attention: str, backend: str, seq_len: int, metric: str) -> Record:
    measured = seq_len < 3136 or metric == "flops"
    return Record(
        case=case(attention, backend=backend, shape=Shape(seq_len=seq_len), dtype="float32"),
        metric=metric,
        unit=UNITS[metric],
        better="higher" if metric == "accuracy" else "lower",
        repeat=0,
        values=[_value(metric, seq_len)] if measured else [],
        status="ok" if measured else "skipped",
        reason=None if measured else "over the budget",
        detail=TIMED if measured and metric == "latency" else {},
        environment="e",
        protocol="p",
        invocation="i",
    ).sealed()


def _value(metric: str, seq_len: int) -> int | float:
    return ACCURACY if metric == "accuracy" else seq_len * 1000


CHECKS = (_signature, _renders)
