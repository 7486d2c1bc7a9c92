"""The timing layer: base against head, until something can be told or the pairs are used up.

More pairs are timed only while a cell is inconclusive and none is a regression, and each look at
the data spends its own part of alpha (suite/gating.py): looking again is paid for in advance.
"""

from __future__ import annotations

import random
import time
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from dataclasses import asdict, dataclass
from itertools import islice

from softbench.case import Case
from softbench.environment import Environment
from softbench.gate.failures import CellsFailed, Failure
from softbench.gate.judging import Judged, judge
from softbench.gate.outcome import Kind, Timed, TimedCell, Trouble
from softbench.gate.pairs import Samples, timed_pairs
from softbench.gate.rules import Timing
from softbench.gate.sides import Side
from softbench.gate.words import counted
from softbench.suite import Suite

Tell = Callable[[str], None]


@dataclass(frozen=True)
class Comparison:
    """What is compared: two sides, called base and head, on the cases of a suite by their names.

    words: how base and head were given, for people.
    """

    base: Side
    head: Side
    cases: Sequence[Case]
    suite: Suite
    named: Mapping[str, str]
    words: tuple[str, str]
    environment: Environment


def compare(asked: Comparison, tell: Tell) -> tuple[Timed | None, list[Trouble]]:
    """What timing says of the cells that both sides can run, and why not of the others."""
    import psutil

    rules = Timing.of(asked.suite)
    began = time.monotonic()
    cases, troubles = list(asked.cases), []
    while cases:
        try:
            pairs, judged = _looked(asked, cases, rules, tell)
        except CellsFailed as failed:
            troubles += _troubles(failed.failures, cases, asked.named)
            gone = {failure.cell for failure in failed.failures}
            cases = [] if -1 in gone else [c for i, c in enumerate(cases) if i not in gone]
            continue
        gate = asked.suite.gate
        return Timed(
            base=asked.words[0],
            head=asked.words[1],
            cells=[
                TimedCell(case=case, name=asked.named[case.id], **asdict(one))
                for case, one in zip(cases, judged, strict=True)
            ],
            pairs=pairs,
            margin=1 + gate.margin,
            detect=1 + gate.detect,
            alpha=gate.alpha,
            seconds=round(time.monotonic() - began, 1),
            timing=rules.id,
            environment=asked.environment.id,
            load=[round(load, 2) for load in psutil.getloadavg()],
        ), troubles
    nothing = Trouble(kind="failed", name=None, reason="no cell could be timed on both sides")
    return None, [*troubles, nothing]


def _looked(
    asked: Comparison, cases: Sequence[Case], rules: Timing, tell: Tell
) -> tuple[int, list[Judged]]:
    """Pairs timed, and what the last look found. Raises CellsFailed."""
    samples: list[Samples] = []
    judged: list[Judged] = []
    sides = (asked.base, asked.head)
    with closing(timed_pairs(sides, cases, rules, random.Random())) as more:
        for pairs, alpha in asked.suite.gate.looks.items():
            tell(f"timing {counted(len(cases), 'cell')}, pairs {len(samples) + 1} to {pairs}")
            samples += islice(more, pairs - len(samples))
            judged = judge(samples, asked.base.name, asked.head.name, asked.suite.gate, alpha)
            verdicts = {one.verdict for one in judged}
            if "regression" in verdicts or "inconclusive" not in verdicts:
                break
    return len(samples), judged


def _troubles(
    failures: Sequence[Failure], cases: Sequence[Case], named: Mapping[str, str]
) -> list[Trouble]:
    """One for each cell that failed; none for a cell that both sides call unsupported."""
    by_cell: dict[int, list[Failure]] = defaultdict(list)
    for failure in failures:
        by_cell[failure.cell].append(failure)
    return [
        _trouble(found, named[cases[cell].id] if cell >= 0 else None)
        for cell, found in by_cell.items()
        if not (len(found) > 1 and all(failure.kind == "unsupported" for failure in found))
    ]


def _trouble(found: Sequence[Failure], name: str | None) -> Trouble:
    reason = "; ".join(f"{failure.side}: {failure.reason}" for failure in found)
    on_base_alone = {failure.side for failure in found} == {"base"}
    if on_base_alone and name is not None and found[0].kind == "unknown":
        remedy = "if the head brings this cell, --allow-new lets it pass untimed"
        return Trouble(kind="new", name=name, reason=reason, remedy=remedy)
    kind: Kind = "environment" if found[0].kind == "elsewhere" else "failed"
    return Trouble(kind=kind, name=name, reason=reason)
