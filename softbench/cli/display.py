"""What a run shows while it runs: a live bar on a terminal, a plain log elsewhere."""

from __future__ import annotations

import sys
import time
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn
from rich.progress import Progress as Bar

from softbench import records
from softbench.case import Record
from softbench.cli.folder import draw, selection
from softbench.run import Progress

LOG_SECONDS = 10.0
EXPECTED = ("ok", "unsupported", "skipped")  # said at the end; the rest at once too


def display(events: Iterable[Progress], title: str) -> None:
    """Follow a run to its end."""
    console = Console(stderr=True)
    if console.is_terminal:
        _bar(events, title, console)
    else:
        _log(events, title)


def note(text: str) -> None:
    """One line about the run that is no measurement."""
    print(f"softbench: {text}", file=sys.stderr)


def conclude(folder: Path) -> int:
    """Say what came out, draw the reports, say where they lie; the exit code."""
    shown, _ = selection(folder)
    for line in _without_value(shown):
        print(line)
    counts = Counter(record.status for record in shown)
    print(", ".join(f"{count} {status}" for status, count in counts.most_common()))
    try:
        for path in draw(folder, note):
            print(path)
    except records.RecordsError as nothing_to_draw:
        note(str(nothing_to_draw))
    print(folder / records.FILE)
    return 4 if counts["error"] else 0


def _bar(events: Iterable[Progress], title: str, console: Console) -> None:
    columns = (
        TextColumn("{task.fields[title]}", markup=False),  # a file's name may hold any sign
        BarColumn(bar_width=24),
        MofNCompleteColumn(),
        TextColumn("{task.fields[left]}"),
        TextColumn("{task.description}", markup=False),
    )
    with Bar(*columns, console=console, auto_refresh=False, transient=True) as bar:
        task = bar.add_task("starting", total=None, title=title, left="")
        for now in events:
            bar.update(task, total=now.total, completed=now.done, description=now.doing)
            bar.update(task, left=_left(now), refresh=True)
            if now.record is not None and now.record.status not in EXPECTED:
                console.print(_line(now.record), highlight=False, markup=False)


def _log(events: Iterable[Progress], title: str) -> None:
    last = -LOG_SECONDS
    for now in events:
        if now.record is not None and now.record.status not in EXPECTED:
            note(_line(now.record))
        if time.monotonic() - last >= LOG_SECONDS:
            note(f"{title}: {now.done} of {now.total}, {_left(now)}; {now.doing}")
            last = time.monotonic()


def _left(now: Progress) -> str:
    failures = [
        f", {count} {status}" for status, count in now.statuses.items() if status not in EXPECTED
    ]
    if now.seconds_left is None:
        return "time left unknown" + "".join(failures)
    minutes, seconds = divmod(round(now.seconds_left), 60)
    return f"{minutes}:{seconds:02d} left" + "".join(failures)


def _line(record: Record) -> str:
    return f"{record.status}: {record.case.label}: {record.reason}"


def _without_value(shown: Sequence[Record]) -> list[str]:
    """One line for every case and reason, and one for all that the suite's time did not reach."""
    late = {record.case.id for record in shown if record.detail.get("budget") == "suite_seconds"}
    lines = {
        _line(record): None
        for record in shown
        if record.status != "ok" and record.detail.get("budget") != "suite_seconds"
    }
    reached = (
        f"skipped: {len(late)} cases in part or whole, the suite's time budget was spent; "
        "--set budget.suite_seconds=SECONDS with more goes on"
    )
    return [*lines, *([reached] if late else [])]
