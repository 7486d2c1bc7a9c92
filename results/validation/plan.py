"""A plan's estimate against the run that followed, and predicted against measured latency.

Run as `python results/validation/plan.py [SUITE …]` (smoke, num_landmarks and seq_len unless named)
on a machine that does nothing else; writes plan.md beside itself. Each suite is planned, then run
as a command of its own into an empty folder that is thrown away; the duration is that of the
command. Ends with code 1 where a plan is off by more than a factor of 2.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median, quantiles

from softbench import records
from softbench.cli.choosing import choose
from softbench.cli.planning import Plan, plan_of

SUITES = ("smoke", "num_landmarks", "seq_len")
FACTOR = 2.0


@dataclass(frozen=True)
class Trial:
    """One suite planned and run: seconds of both, and predicted over measured latency by case."""

    plan: Plan
    planned: float
    took: float
    ratios: dict[str, float]
    load: float


def trial(suite: str, folder: Path) -> Trial:
    """Plan the suite, run it, read what came out."""
    load = os.getloadavg()[0]
    plan = plan_of(choose(suite, (), (), ()), folder)
    assert plan.estimate is not None  # every device of these suites is here
    softbench = [sys.executable, "-c", "from softbench.cli import main; main()"]
    began = time.monotonic()
    subprocess.run([*softbench, "run", suite, "--out", str(folder)], check=True)
    took = time.monotonic() - began
    return Trial(plan, plan.estimate.total, took, ratios(plan, folder), load)


def ratios(plan: Plan, folder: Path) -> dict[str, float]:
    """Predicted over measured seconds of a call, by the case's label."""
    values: dict[str, list[float]] = defaultdict(list)
    for file in folder.rglob(records.FILE):
        for record in records.read(file.parent):
            if record.metric == "latency" and record.status == "ok":
                values[record.case.id].append(median(record.values))
    return {
        f"{row.case.label} {rank(row.case.params)}".strip(): row.latency
        / median(values[row.case.id])
        for row in plan.rows
        if row.latency is not None and row.case.id in values
    }


def rank(params: dict[str, object]) -> str:
    """What tells cases of one label apart."""
    named = ("inverse", "num_landmarks", "projection_length", "num_features")
    return " ".join(str(params[name]) for name in named if params.get(name) is not None)


def durations(trials: dict[str, Trial]) -> str:
    """A table: a line a suite."""
    lines = [
        "| Suite | Cases | Load before | Planned (s) | Took (s) | Planned / took |",
        "| :--- | ---: | ---: | ---: | ---: | ---: |",
    ]
    for name, one in trials.items():
        cells = (len(one.plan.rows), f"{one.load:.1f}", f"{one.planned:.0f}", f"{one.took:.0f}")
        told = " | ".join(str(cell) for cell in (*cells, f"{one.planned / one.took:.2f}"))
        lines.append(f"| {name} | {told} |")
    return "\n".join(lines)


def spread(trials: dict[str, Trial]) -> str:
    """A table: how predicted over measured latency is distributed over each suite's cases."""
    lines = [
        "| Suite | Cells | Lowest | 10 % | Median | 90 % | Highest | Within a factor of 2 |",
        "| :--- | ---: | ---: | ---: | ---: | ---: | ---: | ---: |",
    ]
    for name, one in trials.items():
        found = sorted(one.ratios.values())
        tenths = quantiles(found, n=10, method="inclusive")
        points = (found[0], tenths[0], median(found), tenths[-1], found[-1])
        within = sum(1 / FACTOR <= ratio <= FACTOR for ratio in found) / len(found)
        told = " | ".join(f"{point:.2f}" for point in points)
        lines.append(f"| {name} | {len(found)} | {told} | {100 * within:.0f} % |")
    return "\n".join(lines)


def outside(trials: dict[str, Trial]) -> str:
    """The cells that are not within the factor, by suite."""
    lines = [
        f"- {name}: {label} {ratio:.2f}"
        for name, one in trials.items()
        for label, ratio in one.ratios.items()
        if not 1 / FACTOR <= ratio <= FACTOR
    ]
    return "\n".join(lines or ["- none"])


def main(suites: Sequence[str]) -> int:
    """Write the tables; 1 if a plan is off by more than the factor."""
    trials = {}
    for suite in suites:
        with tempfile.TemporaryDirectory() as folder:
            trials[suite] = trial(suite, Path(folder))
    text = (
        "# Plans against runs\n\nMade by `python results/validation/plan.py`. Predicted before "
        "anything of the suite was measured.\n\n"
        f"{durations(trials)}\n\n## Latency of a call, predicted over measured\n\n{spread(trials)}"
        f"\n\nCells outside a factor of {FACTOR:g}:\n\n{outside(trials)}\n"
    )
    Path(__file__).with_suffix(".md").write_text(text, encoding="utf-8")
    print(text)
    return int(any(not 1 / FACTOR <= one.planned / one.took <= FACTOR for one in trials.values()))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:] or SUITES))
