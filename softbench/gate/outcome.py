"""What a gate found, as values: the one thing that every page, annotation and exit code is made of.

Ratios are head over base: 1.1 is ten per cent slower. Times are seconds of one call.
"""

from __future__ import annotations

from typing import Literal

from softbench.case import Case, Value

Verdict = Literal["pass", "regression", "inconclusive", "error"]
Policy = Literal["fail", "pass", "warn"]
Kind = Literal[
    "missing", "renamed", "new", "failed", "environment", "protocol", "stale", "loosened"
]

FINE, REGRESSION, USAGE, INCONCLUSIVE, ERROR = 0, 1, 2, 3, 4


class Change(Value):
    """A count of a case that is not what the baseline says.

    before, after: a number in `unit`, or text (the backend that ran). budget: the share by which
    the number may grow or shrink; what is within it is no Change. operators: those that changed,
    by name, from how many to how many.
    """

    case: Case
    name: str
    quantity: str
    unit: str
    before: int | str
    after: int | str
    budget: float = 0.0
    operators: dict[str, tuple[int, int]] = {}

    @property
    def verdict(self) -> Verdict:
        """More of anything, or anything else than before, is a regression; fewer is not.

        But with fewer the baseline no longer says what is: "error" until it is written anew.
        """
        if not (isinstance(self.before, int) and isinstance(self.after, int)):
            return "regression"
        other = any(after > before for before, after in self.operators.values())
        return "regression" if self.after > self.before or other else "error"


class Trouble(Value):
    """Why something could not be compared: `name` of the cell, None if it is not about one."""

    kind: Kind
    name: str | None
    reason: str
    remedy: str = ""


class Counted(Value):
    """The deterministic layer: every case of the suite against the baseline of this torch."""

    baseline: str
    torch: str
    cases: int
    quantities: list[str]
    changes: list[Change]


class TimedCell(Value):
    """One cell of the timing layer.

    ratio: slot by slot, the pairs' robust centre; low, high: its interval, jointly over all cells,
    each end at what the last look spends of the gate's alpha; tenth_ratio, median_ratio: the same
    centre of the ratios of the processes' 10th percentiles and medians. detectable: the smallest
    ratio that this gate, with this noise and so many pairs, would have called a regression four
    times in five.
    """

    case: Case
    name: str
    verdict: Verdict
    base_seconds: float
    ratio: float
    low: float
    high: float
    tenth_ratio: float
    median_ratio: float
    detectable: float


class Timed(Value):
    """The timing layer. margin: a ratio up to which nothing is a regression; detect: the ratio that
    a pass has excluded; alpha: the chance of a false alarm anywhere in the suite."""

    base: str
    head: str
    cells: list[TimedCell]
    pairs: int
    margin: float
    detect: float
    alpha: float
    seconds: float
    timing: str
    environment: str
    load: list[float]


class Outcome(Value):
    """All of it; a layer that was not asked for is None."""

    version: Literal[1] = 1
    suite: str
    command: str
    commit: str | None
    inconclusive: Policy
    counted: Counted | None
    timed: Timed | None
    troubles: list[Trouble]

    @property
    def verdict(self) -> Verdict:
        """The worst: a regression, then what could not be compared, then what could not be told."""
        found = [cell.verdict for cell in self.timed.cells] if self.timed else []
        found += [change.verdict for change in self.counted.changes] if self.counted else []
        found += ["error"] if self.troubles or not self._anything else []
        for worst in ("regression", "error", "inconclusive"):
            if worst in found:
                return worst
        return "pass"

    @property
    def code(self) -> int:
        """The exit code; only a pass is 0, and what is inconclusive where the policy allows it."""
        codes = {"pass": FINE, "regression": REGRESSION, "error": ERROR}
        tolerated = FINE if self.inconclusive in ("pass", "warn") else INCONCLUSIVE
        return codes.get(self.verdict, tolerated)

    @property
    def _anything(self) -> bool:
        """Whether anything was compared at all: a gate that looked at nothing has not passed."""
        counted = self.counted is not None and self.counted.cases > 0
        return counted or (self.timed is not None and bool(self.timed.cells))
