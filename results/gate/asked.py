"""What the gate was asked to reach on gate_check, and whether its calibration here did.

Run as `python results/gate/asked.py results/gate/gate_check/ENVIRONMENT`; writes asked.md beside
itself. The rounds and the rule are those of `softbench gate gate_check --calibrate`: the first 20
rounds say which cells can be judged, the later ones how often a slowdown is found in those.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from softbench.gate import rounds as kept
from softbench.gate.calibrating import FOUND, TRIED, Calibration, calibrated
from softbench.gate.naming import names
from softbench.statistics.rate import clopper_pearson
from softbench.suite import Suite, expand, find, parse, read

ROUNDS, SECONDS, ALARMS = 60, 120, 6
POWER = {"head+10%": 0.80, "head+20%": 0.95}


def rows(found: Calibration) -> Iterator[tuple[str, str, str, bool]]:
    """What is told, what was asked, what was found, and whether that is enough."""
    rounds = len(found.alarms)
    yield "rounds on fresh processes", f"at least {ROUNDS}", str(rounds), rounds >= ROUNDS
    longest = max(found.seconds)
    yield "longest round", f"at most {SECONDS} s", f"{longest:.0f} s", longest <= SECONDS
    alarms = sum(found.alarms)
    told = f"{alarms} of {rounds} ({_interval(alarms, rounds)})"
    yield "rounds with a false alarm", f"at most {ALARMS}", told, alarms <= ALARMS
    for head, asked in POWER.items():
        cells_RC = found.found[head][TRIED:, found.judged]
        seen, trials = int(cells_RC.sum()), cells_RC.size
        told = f"{seen} of {trials}, {100 * seen / trials:.1f} % ({_interval(seen, trials)})"
        what = f"{head.removeprefix('head')} found, in later rounds and cells that can be judged"
        yield what, f"at least {100 * asked:.0f} %", told, seen >= asked * trials


def _interval(found: int, trials: int) -> str:
    low, high = clopper_pearson(found, trials)
    return f"95 % interval {100 * low:.1f} to {100 * high:.1f} %"


def page(found: Calibration, named: Sequence[str], folder: str) -> str:
    """The page; `named`: the cells' names in their order."""
    lines = [
        "# What was asked of the gate, and what it did",
        "",
        f"Made by `python results/gate/asked.py {folder}`.",
        "",
        "| | asked | found | reached |",
        "| :--- | :--- | :--- | :--- |",
    ]
    for what, asked, told, enough in rows(found):
        lines.append(f"| {what} | {asked} | {told} | {'yes' if enough else '**no**'} |")
    others = ", ".join(name for cell, name in enumerate(named) if cell not in found.judged)
    lines += [
        "",
        f"{len(found.judged)} of {len(named)} cells can be judged: 10 % was found in "
        f"{100 * FOUND:.0f} % of the first {TRIED} rounds. The others: {others or 'none'}.",
    ]
    return "\n".join(lines) + "\n"


def main() -> None:
    """Write the page of the rounds in the folder given."""
    suite: Suite = parse(read(find("gate_check")), "gate_check", "gate_check")
    cases = expand(suite, "cpu")
    found = calibrated(kept.read(Path(sys.argv[1])), suite.gate)
    text = page(found, [names(cases)[case.id] for case in cases], sys.argv[1].rstrip("/"))
    Path(__file__).with_suffix(".md").write_text(text, encoding="utf-8")
    print(text)


if __name__ == "__main__":
    main()
