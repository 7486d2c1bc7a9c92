"""What the base's own suite file held that the head's does not: cells dropped, rules loosened.

A change that deletes the cell it makes slower, or widens the margin that it breaks, is seen here.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from softbench.case import Case
from softbench.gate.baseline import Entry
from softbench.gate.differing import troubles
from softbench.gate.naming import names
from softbench.gate.outcome import Trouble
from softbench.suite import Suite, SuiteError, expand, parse, read
from softbench.suite.gating import Budgets

HOLDER = "the base's suite"
# Less of these holds a change to more; the others change what is found either way.
STRICTER_IF_LESS = {"margin", "detect", *(f"budgets.{name}" for name in Budgets.model_fields)}


def of_the_base(path: Path, suite: Suite, cases: Sequence[Case], auto_device: str) -> list[Trouble]:
    """Cells of the base's suite file, in `path`, that `suite` has not, and rules that are looser.

    cases: those of `suite`. A cell that is there under another name is not lost.
    """
    try:
        before = parse(read(path), suite.name, str(path))
        earlier = expand(before, auto_device)
    except (SuiteError, LookupError, ValueError) as error:
        reason = f"{HOLDER} cannot be read here: {' '.join(str(error).split())}"
        return [Trouble(kind="protocol", name=None, reason=reason)]
    named, kept = names(earlier), {case.id for case in cases}
    gone = {named[case.id] for case in earlier if case.id not in kept}
    lost = troubles(_entries(cases), _entries(earlier), HOLDER)
    return [*(one for one in lost if one.name in gone), *_rules(before, suite)]


def _entries(cases: Sequence[Case]) -> dict[str, Entry]:
    named = names(cases)
    return {named[case.id]: Entry(case=case) for case in cases}


def _rules(before: Suite, after: Suite) -> list[Trouble]:
    """Each rule of the gate that the change itself loosens."""
    old, new = (_flat(suite) for suite in (before, after))
    remedy = "if that is meant, --allow-rules lets it pass"
    return [
        Trouble(
            kind="loosened",
            name=None,
            reason=f"{key} is {old[key]} in {HOLDER}, {new[key]} here",
            remedy=remedy,
        )
        for key in new
        if old[key] != new[key] and not (key in STRICTER_IF_LESS and new[key] < old[key])
    ]


def _flat(suite: Suite) -> dict[str, float]:
    gate = suite.gate.model_dump(exclude={"budgets"})
    budgets = suite.gate.budgets.model_dump()
    return {"threads": suite.threads, **gate, **{f"budgets.{k}": v for k, v in budgets.items()}}
