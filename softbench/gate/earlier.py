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

HOLDER = "the base's suite"


def of_the_base(path: Path, suite: Suite, cases: Sequence[Case], auto_device: str) -> list[Trouble]:
    """Cells of the base's suite file, in `path`, that `suite` has not, and rules that are others.

    cases: those of `suite`.
    """
    try:
        before = parse(read(path), suite.name, str(path))
        earlier = expand(before, auto_device)
    except (SuiteError, LookupError, ValueError) as error:
        reason = f"{HOLDER} cannot be read here: {' '.join(str(error).split())}"
        return [Trouble(kind="missing", name=None, reason=reason)]
    lost = troubles(_entries(cases), _entries(earlier), HOLDER)
    return [*(one for one in lost if one.kind != "new"), *_rules(before, suite)]


def _entries(cases: Sequence[Case]) -> dict[str, Entry]:
    named = names(cases)
    return {named[case.id]: Entry(case=case) for case in cases}


def _rules(before: Suite, after: Suite) -> list[Trouble]:
    """Each rule of the gate that the change itself rewrites."""
    old, new = ({"threads": s.threads, **s.gate.model_dump()} for s in (before, after))
    remedy = "take it into the base by a change of its own"
    return [
        Trouble(
            kind="protocol",
            name=None,
            reason=f"{key} is {old[key]} in {HOLDER}, {new[key]} here",
            remedy=remedy,
        )
        for key in new
        if old[key] != new[key]
    ]
