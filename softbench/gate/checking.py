"""The deterministic layer's verdict: counts against the baseline; and the baseline made anew."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from softbench.gate import baseline as files
from softbench.gate.baseline import Baseline, BaselineError, Entry
from softbench.gate.differing import changes, troubles
from softbench.gate.outcome import Counted, Trouble
from softbench.suite import Suite


@dataclass(frozen=True)
class Counts:
    """What was counted here: the entries of the suite's cases under this version of torch.

    failed: the names of those that could not be counted. remedy: the command that writes the
    baseline anew.
    """

    suite: Suite
    torch: str
    entries: Mapping[str, Entry]
    failed: frozenset[str]
    remedy: str


def check(counts: Counts, path: Path) -> tuple[Counted | None, list[Trouble]]:
    """What differs from the baseline in `path`; None where there is nothing to compare with."""
    try:
        known = files.read(path)
    except BaselineError as error:
        return None, [_unusable("protocol", str(error), counts)]
    if known.suite != counts.suite.name:
        reason = f"{path} is of the suite {known.suite!r}, this one is {counts.suite.name!r}"
        return None, [_unusable("protocol", reason, counts)]
    if counts.torch not in known.torch:
        held = ", ".join(sorted(known.torch))
        reason = f"{path} has counts under torch {held}; torch {counts.torch} is installed"
        return None, [_unusable("environment", reason, counts)]
    before = {n: e for n, e in known.torch[counts.torch].items() if n not in counts.failed}
    found = Counted(
        baseline=str(path),
        torch=counts.torch,
        cases=len(counts.entries.keys() & before.keys()),
        quantities=[*files.QUANTITIES, "backend_ran"],
        changes=changes(counts.entries, before, counts.suite.gate.budgets.model_dump()),
    )
    remedy = f"if that is meant: {counts.remedy}"
    differing = troubles(counts.entries, before)
    return found, [one.model_copy(update={"remedy": remedy}) for one in differing]


def _unusable(kind: str, reason: str, counts: Counts) -> Trouble:
    return Trouble.model_validate(
        {"kind": kind, "name": None, "reason": reason, "remedy": f"make it: {counts.remedy}"}
    )


def updated(counts: Counts, path: Path) -> str:
    """The text of the baseline with these counts; those under other versions of torch are kept.

    Raises BaselineError if what is there is no baseline of this suite.
    """
    others: dict[str, dict[str, Entry]] = {}
    if path.exists():
        known = files.read(path)
        if known.suite != counts.suite.name:
            raise BaselineError(f"{path} is of the suite {known.suite!r}; give another --baseline")
        others = known.torch
    whole = others | {counts.torch: dict(counts.entries)}
    return files.written(Baseline(schema=1, suite=counts.suite.name, torch=whole))
