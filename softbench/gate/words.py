"""The words and numbers that every page of an outcome is made of, in plain text."""

from __future__ import annotations

from softbench.gate.outcome import Change, Outcome, Timed, TimedCell, Verdict

ORDER = ("regression", "error", "inconclusive", "pass")  # the worst first
FAR = 100.0  # bounds are told up to this factor
TITLES: dict[Verdict, str] = {
    "pass": "Pass",
    "regression": "Regression",
    "inconclusive": "Inconclusive",
    "error": "Not compared",
}


def headline(outcome: Outcome) -> str:
    """The verdict in a sentence, what it is about, and what to do next."""
    return f"{TITLES[outcome.verdict]}: {_about(outcome)}"


def _about(outcome: Outcome) -> str:
    found = [*_findings(outcome)]
    if outcome.verdict == "pass":
        return "; ".join(_passed(outcome)) + "."
    told = "; ".join(found) if found else "nothing was compared"
    return f"{told}. {NEXT[outcome.verdict]}{_policy(outcome)}"


def _policy(outcome: Outcome) -> str:
    tolerated = outcome.verdict == "inconclusive" and outcome.inconclusive != "fail"
    return (
        " Inconclusive cells are let pass here; that is the policy, no finding."
        if tolerated
        else ""
    )


NEXT: dict[Verdict, str] = {
    "pass": "",
    "regression": "Mend it, or take it into the base knowingly (counts: --update-baseline).",
    "error": "This is no pass: see what could not be compared.",
    "inconclusive": "This is no pass: a slowdown may hide here. Time more pairs, on a quieter "
    "machine.",
}


def _findings(outcome: Outcome) -> list[str]:
    """What is not a pass, each kind in a few words."""
    cells = outcome.timed.cells if outcome.timed else []
    changes = outcome.counted.changes if outcome.counted else []
    slower = sum(cell.verdict == "regression" for cell in cells)
    untold = sum(cell.verdict == "inconclusive" for cell in cells)
    more = sum(change.verdict == "regression" for change in changes)
    fewer = len(changes) - more
    return [
        *([f"{slower} of {counted(len(cells), 'cell')} slower"] if slower else []),
        *([f"{counted(more, 'count')} not as in the baseline"] if more else []),
        *([f"{counted(len(outcome.troubles), 'problem')}"] if outcome.troubles else []),
        *([f"{counted(fewer, 'count')} lower than the baseline says"] if fewer else []),
        *([f"{untold} of {counted(len(cells), 'cell')} not to be told"] if untold else []),
    ]


def _passed(outcome: Outcome) -> list[str]:
    said = []
    if outcome.timed:
        cells = counted(len(outcome.timed.cells), "cell")
        slower = f"{100 * (outcome.timed.detect - 1):.3g} %"
        said.append(f"none of {cells} is slower by {slower}")
    if outcome.counted:
        cases = counted(outcome.counted.cases, "case")
        said.append(f"{cases} with the counts of the baseline")
    return said


def counted(number: int, noun: str) -> str:
    """1 cell, 2 cells."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def percent(ratio: float) -> str:
    """A ratio as a change: +3.1 %, or a factor where it is far."""
    if ratio >= FAR * 0.999:
        return f"×{FAR:.0f} or more"
    if ratio >= 3:
        return f"×{ratio:.3g}"
    change = 100 * (ratio - 1)
    digits = 0 if abs(change) >= 99.5 else 1
    told = f"{change:+.{digits}f}"
    return f"{'0.0' if float(told) == 0 else told} %"


def interval(cell: TimedCell) -> str:
    """Both bounds of a cell's ratio."""
    return f"{percent(cell.low)} to {percent(cell.high)}"


def seconds(value: float) -> str:
    """A time in the unit that keeps it readable."""
    for size, unit in ((1.0, "s"), (1e-3, "ms"), (1e-6, "µs")):
        if value >= size:
            return f"{value / size:.3g} {unit}"
    return f"{value / 1e-9:.3g} ns"


def worst_first(timed: Timed) -> list[TimedCell]:
    """The cells, those that do not pass first, then by how much slower they may be."""
    return sorted(timed.cells, key=lambda cell: (ORDER.index(cell.verdict), -cell.high))


def from_to(change: Change) -> str:
    """What a count was and is."""
    if isinstance(change.before, int) and isinstance(change.after, int):
        unit = "" if change.unit == "count" else f" {change.unit}"
        growth = change.after - change.before
        share = f", {percent(change.after / change.before)}" if change.before else ""
        return f"{change.before:,} → {change.after:,}{unit} ({growth:+,}{share})"
    return f"{change.before} → {change.after}"


def operators(change: Change) -> str:
    """The operators that are not as many as before; empty where none are."""
    return ", ".join(
        f"{name} {before} → {after}" for name, (before, after) in change.operators.items()
    )


def compared(timed: Timed) -> str:
    """What was timed against what, by which rules."""
    load = " ".join(f"{load:g}" for load in timed.load)
    return (
        f"{timed.head} against {timed.base}: {counted(timed.pairs, 'pair')} of processes in "
        f"{timed.seconds:.0f} s, load {load}; a regression is more than "
        f"{100 * (timed.margin - 1):.3g} % slower, a pass is not {100 * (timed.detect - 1):.3g} % "
        f"slower; each is wrong anywhere in the suite with a chance of {100 * timed.alpha:g} %"
    )
