"""An outcome as Markdown: the summary of a pull request and of a workflow's step.

Names and reasons may come from a stranger's fork: they are shown as they are written and can
neither break the table, nor link, nor mention anybody.
"""

from __future__ import annotations

from collections.abc import Sequence

from softbench.gate import words
from softbench.gate.outcome import Change, Counted, Outcome, Timed, TimedCell, Trouble

LIMIT = 60_000  # a comment on GitHub ends at 65,536 characters
SIGNS = {"pass": "✅", "regression": "❌", "inconclusive": "❔", "error": "⚠️"}
SPECIAL = "&<>|`*_[]()#!~\\@:"
HEAD = "| | cell | base | change | interval | of 10th pct. | of medians | could have seen |"
RULE = "|---|---|---:|---:|---:|---:|---:|---:|"


def markdown(outcome: Outcome, limit: int = LIMIT) -> str:
    """The summary, at most `limit` characters: rows that have no room are counted instead."""
    left = limit - 2_000  # for what is no row
    parts = [f"## {SIGNS[outcome.verdict]} softbench gate: {code(outcome.suite)}", ""]
    parts += [escape(words.headline(outcome)), ""]
    for heading, rows in _tables(outcome):
        shown, left = _fitting(rows, left)
        parts += [*heading, *shown]
        if len(shown) < len(rows):
            parts += ["", f"… and {len(rows) - len(shown)} more."]
        parts += ["", "</details>", ""] if "<details>" in heading[0] else [""]
    parts += [f"<sub>{line}</sub>" for line in _compared(outcome)]
    return "\n".join(parts) + "\n"


def _tables(outcome: Outcome) -> list[tuple[list[str], list[str]]]:
    """Headings and rows, the most telling first."""
    tables = []
    if outcome.troubles:
        heading = ["### Not compared", "", "| | cell | why | what helps |", "|---|---|---|---|"]
        tables.append((heading, [_trouble(trouble) for trouble in outcome.troubles]))
    if outcome.timed:
        tables += _timed(outcome.timed)
    if outcome.counted and outcome.counted.changes:
        heading = [
            "### Counts",
            "",
            "| | case | count | change | operators |",
            "|---|---|---|---|---|",
        ]
        tables.append((heading, [_change(change) for change in outcome.counted.changes]))
    return tables


def _timed(timed: Timed) -> list[tuple[list[str], list[str]]]:
    cells = words.worst_first(timed)
    passed = [_cell(cell) for cell in cells if cell.verdict == "pass"]
    others = [_cell(cell) for cell in cells if cell.verdict != "pass"]
    folded = f"<details><summary>{words.counted(len(passed), 'cell')} not slower</summary>"
    return [
        *([(["### Timing", "", HEAD, RULE], others)] if others else []),
        *([([folded, "", HEAD, RULE], passed)] if passed else []),
    ]


def _cell(cell: TimedCell) -> str:
    return _row(
        f"{SIGNS[cell.verdict]} {cell.verdict}",
        code(cell.name),
        words.seconds(cell.base_seconds),
        f"**{words.percent(cell.ratio)}**",
        words.interval(cell),
        words.percent(cell.tenth_ratio),
        words.percent(cell.median_ratio),
        words.percent(cell.detectable),
    )


def _change(change: Change) -> str:
    sign = SIGNS[change.verdict]
    which = words.operators(change)
    operators = code(which) if which else ""
    return _row(
        sign, code(change.name), escape(change.quantity), code(words.from_to(change)), operators
    )


def _trouble(trouble: Trouble) -> str:
    name = code(trouble.name) if trouble.name else ""
    remedy = escape(trouble.remedy)
    return _row(f"{SIGNS['error']} {trouble.kind}", name, code(trouble.reason), remedy)


def _row(*cells: str) -> str:
    return f"| {' | '.join(cells)} |"


def _fitting(rows: Sequence[str], left: int) -> tuple[list[str], int]:
    """As many rows as there is room for, and the room that is left."""
    shown: list[str] = []
    for row in rows:
        if len(row) + 1 > left:
            return shown, 0
        shown.append(row)
        left -= len(row) + 1
    return shown, left


def _compared(outcome: Outcome) -> list[str]:
    said = []
    if outcome.timed:
        said.append(f"Timing: {escape(words.compared(outcome.timed))}.")
    if outcome.counted:
        said.append(_counts(outcome.counted))
    if outcome.commit:
        said.append(f"Judged at commit {code(outcome.commit[:12])}.")
    return [f"{line}<br>" for line in said]


def _counts(counted: Counted) -> str:
    cases = words.counted(counted.cases, "case")
    return f"Counts: {cases} against {code(counted.baseline)}, torch {escape(counted.torch)}."


def code(text: str) -> str:
    """`text` as code, in which nobody is mentioned and nothing is linked."""
    return f"<code>{escape(text)}</code>"


def escape(text: str) -> str:
    """`text` on one line, every sign that means something written as what it is."""
    return "".join(
        f"&#{ord(letter)};" if letter in SPECIAL else letter if letter.isprintable() else " "
        for letter in text
    )
