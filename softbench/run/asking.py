"""What a worker is asked, and how long it may be silent over it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from softbench.case import Case
from softbench.run.agenda import Todo
from softbench.run.ledger import Ledger
from softbench.suite import Suite

# A case that does not move for this many times its budget hangs. The floors are for machines that
# are busy, and for compilers, which take a minute a shape there.
PATIENCE, LEAST_PATIENCE, COMPILE_PATIENCE = 3.0, 60.0, 600.0
KEPT = "unfinished"  # in the results folder: what a killed training goes on from


def task(
    left: Todo,
    repeat: int,
    cases: Mapping[str, Case],
    suite: Suite,
    ledger: Ledger,
    folder: Path,
) -> dict[str, Any]:
    """What is left of a block in one repeat: the shape of softbench.worker.measuring.Task."""
    lacking = {id: names for id, names in left.items() if names}
    asked = [cases[id] for id in lacking]
    return {
        "cases": [case.model_dump(mode="json") for case in asked],
        "metrics": lacking,
        "repeat": repeat,
        "budget": suite.budget.model_dump(mode="json"),
        "seen": ledger.seen(asked),
        "costs": ledger.costs(asked),
        "place": str((folder / KEPT).resolve()),
    }


def patience(todo: Todo, cases: Mapping[str, Case], suite: Suite) -> float:
    """Seconds after which a worker that does not move is taken to hang."""
    seconds = max(LEAST_PATIENCE, PATIENCE * suite.budget.case_seconds)
    compiles = any(cases[id].compile for id in todo)
    return max(seconds, COMPILE_PATIENCE) if compiles else seconds
