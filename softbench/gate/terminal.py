"""An outcome in plain text for a terminal and a log: the worst first, the verdict last."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from softbench.gate import words
from softbench.gate.outcome import Counted, Outcome, Timed, Trouble

HEADS = ("", "cell", "base", "change", "interval", "of 10th pct.", "of medians", "could have seen")


def lines(outcome: Outcome) -> Iterator[str]:
    """The lines, without ends."""
    if outcome.timed:
        yield from _timed(outcome.timed)
    if outcome.counted:
        yield from _counted(outcome.counted)
    for trouble in outcome.troubles:
        yield _trouble(trouble)
    yield f"{plain(outcome.suite)}: {words.headline(outcome)}"


def _timed(timed: Timed) -> Iterator[str]:
    yield f"timing: {plain(words.compared(timed))}"
    rows = [
        (
            cell.verdict,
            plain(cell.name),
            words.seconds(cell.base_seconds),
            words.percent(cell.ratio),
            words.interval(cell),
            words.percent(cell.tenth_ratio),
            words.percent(cell.median_ratio),
            words.percent(cell.detectable),
        )
        for cell in words.worst_first(timed)
    ]
    yield from _aligned([HEADS, *rows])


def _aligned(rows: Sequence[Sequence[str]]) -> Iterator[str]:
    """Columns, the first two to the left and the others to the right."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        padded = [
            cell.ljust(width) if column < 2 else cell.rjust(width)
            for column, (cell, width) in enumerate(zip(row, widths, strict=True))
        ]
        yield f"  {'  '.join(padded)}".rstrip()


def _counted(counted: Counted) -> Iterator[str]:
    cases = words.counted(counted.cases, "case")
    same = "all as they were" if not counted.changes else f"{len(counted.changes)} changed"
    yield (
        f"counts: {cases} against {plain(counted.baseline)}, torch {counted.torch} "
        f"({', '.join(counted.quantities)}): {same}"
    )
    for change in counted.changes:
        which = words.operators(change)
        budget = f", beyond the budget of {100 * change.budget:g} %" if change.budget else ""
        verdict = "regression" if change.verdict == "regression" else "baseline out of date"
        yield (
            f"  {verdict}  {plain(change.name)}: {change.quantity} "
            f"{plain(words.from_to(change))}{budget}{f': {plain(which)}' if which else ''}"
        )


def _trouble(trouble: Trouble) -> str:
    about = f" {plain(trouble.name)}" if trouble.name else ""
    remedy = f" ({plain(trouble.remedy)})" if trouble.remedy else ""
    return f"{trouble.kind}{about}: {plain(trouble.reason)}{remedy}"


def plain(text: str) -> str:
    """On one line and without what a terminal would obey: names may come from strangers."""
    return "".join(letter if letter.isprintable() else " " for letter in text)
