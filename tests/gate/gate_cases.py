"""Cases, entries and counts that the gate's tests share."""

from __future__ import annotations

from typing import Any

from softbench.case import Case, Shape
from softbench.gate.baseline import Entry


def case(attention: str = "softmax", **others: Any) -> Case:
    """A small case; every field may be given."""
    shape = {"num_heads": 1, "head_dim": 8, "seq_len": 16, **others.pop("shape", {})}
    fields: dict[str, Any] = {
        "level": "operator",
        "attention": attention,
        "params": {},
        "backend": "eager",
        "shape": Shape(**shape),
        "inputs": "normal",
        "dtype": "float32",
        "device": "cpu",
        "mode": "forward",
        "compile": False,
        "seed": 0,
    }
    return Case(**(fields | others))


def entry(attention: str = "softmax", **others: Any) -> Entry:
    """Counts of a case; `counts` is put over those that are there."""
    counts = {
        "dispatched_flops": 1000,
        "predicted_peak_memory": 4096,
        "operators": 3,
        "parameters": 0,
    } | others.pop("counts", {})
    fields = {"ran": "eager", "by_operator": {"aten.mm": 2, "aten.exp": 1}, **others}
    given = fields.pop("case", None)
    return Entry(case=given or case(attention), counts=counts, **fields)
