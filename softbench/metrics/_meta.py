"""The meta twin of a case: the same program on tensors that have shapes and no values."""

from __future__ import annotations

from dataclasses import replace

from softbench.case import Case
from softbench.workload import Workload, build, resolved


def meta_workload(case: Case) -> Workload:
    """The workload of `case` on the meta device, eager: a compiled program dispatches nothing."""
    twin = build(resolved(case).model_copy(update={"device": "meta", "compile": False}))
    return replace(twin, twin_of=case)
