"""GitHub's workflow commands: what is shown beside a run, an error or warning a finding.

Escaped as the runner unescapes them (actions/toolkit, command.ts).
"""

from __future__ import annotations

from collections.abc import Iterator

from softbench.gate import words
from softbench.gate.outcome import Outcome, Policy

SHOWN = 10  # of a level in a step; GitHub shows no more
LEVELS: dict[Policy, str] = {"fail": "error", "warn": "warning", "pass": "notice"}


def commands(outcome: Outcome) -> Iterator[str]:
    """The commands, one a line; the last of a level stands for those that have no room."""
    found: dict[str, list[tuple[str, str]]] = {"error": [], "warning": [], "notice": []}
    for level, title, text in _findings(outcome):
        found[level].append((title, text))
    for level, findings in found.items():
        room = SHOWN if len(findings) <= SHOWN else SHOWN - 1
        for title, text in findings[:room]:
            yield _command(level, title, text)
        if findings[room:]:
            yield _command(level, "softbench gate", f"and {len(findings) - room} more findings")
    if outcome.verdict == "error" and not found["error"]:
        yield _command("error", "softbench gate", words.headline(outcome))


def _findings(outcome: Outcome) -> Iterator[tuple[str, str, str]]:
    """(level, title, text) of what is not a pass."""
    for cell in words.worst_first(outcome.timed) if outcome.timed else ():
        told = (
            f"{cell.name}: {words.percent(cell.ratio)} ({words.interval(cell)}); this gate could "
            f"have seen {words.percent(cell.detectable)}"
        )
        if cell.verdict == "regression":
            yield "error", "Slower", told
        elif cell.verdict == "inconclusive":
            yield LEVELS[outcome.inconclusive], "Inconclusive, not a pass", told
    for change in outcome.counted.changes if outcome.counted else ():
        title = "Count changed" if change.verdict == "regression" else "Baseline out of date"
        yield "error", title, f"{change.name}: {change.quantity} {words.from_to(change)}"
    for trouble in outcome.troubles:
        about = f"{trouble.name}: " if trouble.name else ""
        remedy = f"; {trouble.remedy}" if trouble.remedy else ""
        yield "error", f"Not compared: {trouble.kind}", f"{about}{trouble.reason}{remedy}"


def _command(level: str, title: str, text: str) -> str:
    return f"::{level} title={_property(title)}::{_data(text)}"


def _data(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _data(text).replace(":", "%3A").replace(",", "%2C")
