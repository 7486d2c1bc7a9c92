"""Two complete runs of a suite, interleaved A B A B …: do their intervals tell them apart?

Run as `python results/validation/repeatability.py [SUITE [REPEATS [FOLDER]]]` (seq_len, 3); writes
repeatability.md beside itself. Each run has a results folder of its own, kept where FOLDER is
given. By turns, in an order drawn anew each time, each measures one more repeat in a fresh worker,
so that both meet the same neighbours on a shared machine. The runs are of the same code: of the
cells' ratios about 5 % should lie outside their 95 % interval, and no more. Ends with 1 where more
do, or where no cell has an interval. Wide intervals hold anything: how wide they are is said.
"""

from __future__ import annotations

import math
import os
import random
import subprocess
import sys
import tempfile
from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import median

from softbench import records
from softbench.case import Case
from softbench.statistics.comparison import Ratio, ratio
from softbench.statistics.interval import estimate

OUTSIDE = 0.05  # the most that may lie outside
WIDE = 0.1  # half an interval that says little
COMMAND = [str(Path(sys.executable).with_name("softbench")), "run"]
Values = dict[str, list[list[int | float]]]


def measured_by_turns(suite: str, repeats: int, folders: Sequence[Path]) -> list[str]:
    """Run one repeat more in each folder until there are `repeats`; a line for each turn."""
    drawn, told = random.Random(0), []
    for count in range(1, repeats + 1):
        for folder in drawn.sample(folders, len(folders)):
            load = os.getloadavg()[0]
            arguments = [suite, "--out", str(folder), "--set", f"repeats={count}"]
            subprocess.run([*COMMAND, *arguments], check=True, stdout=subprocess.DEVNULL)
            told.append(f"{folder.name} repeat {count}, load {load:.2f} at start")
            print(told[-1], flush=True)
    return told


def latencies(folder: Path) -> tuple[dict[str, Case], Values]:
    """Every case that was timed, and the raw values of each of its processes."""
    cases, values = {}, defaultdict(list)
    for found in folder.rglob(records.FILE):
        for record in records.latest(records.read(found.parent)):
            if record.metric == "latency" and record.status == "ok":
                cases[record.case.id] = record.case
                values[record.case.id].append(record.values)
    return cases, values


def ratios(one: Values, other: Values, repeats: int) -> dict[str, Ratio]:
    """A over B for each case that both runs timed in every repeat."""
    both = [id for id in one if len(one[id]) == len(other.get(id, ())) == repeats]
    return {id: ratio(estimate(one[id]), estimate(other[id])) for id in both}


def judged(found: Mapping[str, Ratio]) -> dict[str, tuple[float, float, float]]:
    """Ratio and interval of the cells that have one."""
    return {
        id: (one.centre, one.low, one.high)
        for id, one in found.items()
        if one.centre is not None and one.low is not None and one.high is not None
    }


def outside(found: Mapping[str, Ratio]) -> list[str]:
    """The cells whose interval does not hold one."""
    return [id for id, (_, low, high) in judged(found).items() if not low <= 1 <= high]


def kept(found: Mapping[str, Ratio]) -> bool:
    """Whether there are cells to judge and no more of them differ than may."""
    told = judged(found)
    return bool(told) and len(outside(found)) <= OUTSIDE * len(told)


def summary(found: Mapping[str, Ratio]) -> str:
    """How many cells differ, and how much an interval that does not is worth."""
    told, lost = judged(found), len(found) - len(judged(found))
    if not told:
        return f"**No cell has an interval: nothing is shown.** {lost} cells without."
    differ, shifts = len(outside(found)), [abs(centre - 1) for centre, _, _ in told.values()]
    half = median(math.sqrt(high / low) - 1 for _, low, high in told.values())
    wide = (
        f" **That is wide: a difference below {half:.0%} would mostly not have been seen.**"
        if half > WIDE
        else ""
    )
    return (
        f"**{differ} of {len(told)} cells ({differ / len(told):.1%}) lie outside the 95 % interval "
        f"of their difference; median difference {median(shifts):.1%}.** Half an interval is "
        f"±{half:.1%} of the ratio (median).{wide} {lost} cells without interval."
    )


def report(
    found: Mapping[str, Ratio], cases: Mapping[str, Case], suite: str, turns: Sequence[str]
) -> str:
    """The table of all cells, what it comes to, the load of every turn."""
    lines = [
        "# Two complete runs, interleaved\n",
        f"Made by `python results/validation/repeatability.py {suite}`: latency of A over that of "
        "B, 95 % Welch interval on the log medians of fresh processes.\n",
        f"{summary(found)}\n",
        "Turns: " + "; ".join(turns) + ".\n",
        "| Cell | A / B | 95 % interval | |\n| :--- | ---: | :--- | :--- |",
    ]
    apart = outside(found)
    for id, (centre, low, high) in judged(found).items():
        mark = "outside" if id in apart else ""
        lines.append(f"| {cases[id].label} | {centre:.3f} | [{low:.3f}, {high:.3f}] | {mark} |")
    return "\n".join(lines) + "\n"


def main() -> int:
    """Measure by turns and write the table; 1 where too many cells differ, or none can."""
    given = sys.argv[1:]
    suite, repeats = (given[0] if given else "seq_len"), int(given[1] if given[1:] else 3)
    with tempfile.TemporaryDirectory() as passing:
        home = Path(given[2]) if given[2:] else Path(passing)
        folders = [home / name for name in "AB"]
        turns = measured_by_turns(suite, repeats, folders)
        (cases, one), (_, other) = map(latencies, folders)
    found = ratios(one, other, repeats)
    text = report(found, cases, suite, turns)
    Path(__file__).with_suffix(".md").write_text(text, encoding="utf-8")
    print(summary(found))
    return 0 if kept(found) else 1


if __name__ == "__main__":
    sys.exit(main())
