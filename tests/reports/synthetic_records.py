"""Made-up records: the shape of a suite's results, without measuring anything."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from softbench.case import Better, Case, Mode, Record, Shape, Status

LENGTHS = (196, 400, 784, 1600, 3136, 6400, 12544, 25600, 50176)
UNITS = {
    "latency": "s",
    "peak_memory": "byte",
    "predicted_peak_memory": "byte",
    "flops": "FLOP",
    "macs": "MAC",
    "macs_with_newton": "MAC",
    "parameters": "count",
}
MODES: tuple[Mode, ...] = ("forward", "forward_backward")
SPREAD = (0.97, 1.0, 1.04)


def case(attention: str = "soft", seq_len: int = 784, **changes: Any) -> Case:
    shape = {"seq_len": seq_len, **changes.pop("shape", {})}
    fields: dict[str, Any] = {
        "level": "operator",
        "attention": attention,
        "params": {},
        "backend": "eager",
        "shape": Shape.model_validate(shape),
        "inputs": "normal",
        "dtype": "float32",
        "device": "cpu",
        "mode": "forward",
        "compile": False,
        "seed": 0,
        **changes,
    }
    return Case(**fields)


def record(
    of: Case,
    metric: str = "latency",
    values: Sequence[int | float] = (0.001, 0.0011, 0.0012),
    *,
    repeat: int = 0,
    status: Status = "ok",
    reason: str | None = None,
    better: Better = "lower",
    environment: str = "e0",
    **detail: Any,
) -> Record:
    return Record(
        case=of,
        metric=metric,
        unit=UNITS.get(metric, "1"),
        better=better,
        repeat=repeat,
        values=list(values) if status == "ok" else [],
        status=status,
        reason=reason,
        detail=detail,
        environment=environment,
        protocol="p0",
        invocation="i0",
    ).sealed()


def timed(
    of: Case, seconds: float, *, spread: Sequence[float] = SPREAD, **further: Any
) -> list[Record]:
    """One latency record a process: three calls each, the processes `spread` apart."""
    return [
        record(of, "latency", [seconds * f * c for c in (0.99, 1.0, 1.03)], repeat=i, **further)
        for i, f in enumerate(spread)
    ]


def counted(of: Case, metric: str, value: int, **further: Any) -> list[Record]:
    return [record(of, metric, [value], **further)]


RATES = {"gemm": 1e11, "stream": 1e10, "exponential": 1e9}


def reached(flops: float, seconds: float, moved: float, bound: str = "gemm") -> dict[str, Any]:
    """The detail of a latency record: what was reached of the machine's rates."""
    least = {"gemm": flops / 1e11, "stream": moved / 1e10, "exponential": flops / 5e10}[bound]
    roofline = {
        **RATES,
        "bound": bound,
        "compulsory_bytes": moved,
        "least_seconds": least,
        "fraction": least / seconds,
        "gemm_fraction": flops / seconds / 1e11,
    }
    return {"flops": flops, "roofline": roofline}


def suite(
    mechanisms: Sequence[tuple[str, str]] = (
        ("softmax", "eager"),
        ("softmax", "sdpa"),
        ("soft", "eager"),
    ),
    lengths: Sequence[int] = LENGTHS,
    **changes: Any,
) -> list[Record]:
    """A whole sweep; unfused softmax runs out of its budget at the greatest lengths."""
    return [
        made
        for attention, backend in mechanisms
        for mode in MODES
        for n in lengths
        for made in _cell(case(attention, n, backend=backend, mode=mode, **changes))
    ]


def _cell(of: Case) -> list[Record]:
    n, work = of.shape.seq_len, 1 if of.mode == "forward" else 3
    quadratic = of.attention == "softmax"
    flops = work * (4 * 8 * n * n * 64 if quadratic else 8 * (4 * n * 49 * 64 + 98_000_000))
    memory = work * 4 * 8 * (2 * n * n if of.backend == "eager" and quadratic else n * 200)
    seconds = 4e-5 + flops / 4e10
    made = counted(of, "flops", flops) + counted(of, "macs", flops // 2)
    if quadratic and n > 12544:
        return made + _lost(of, seconds, memory)
    return made + counted(of, "peak_memory", memory) + timed(of, seconds)


def _lost(of: Case, seconds: float, memory: int) -> list[Record]:
    status: Status = "skipped" if of.backend == "eager" else "timeout"
    return [
        record(of, "latency", status=status, reason="over the budget", predicted=seconds),
        record(of, "peak_memory", status=status, reason="over the budget", predicted=memory),
    ]


def each(values: Sequence[float], make: Callable[[float], Record]) -> list[Record]:
    return [make(value) for value in values]
