"""What a run shows while it runs: a live bar on a terminal, a plain log elsewhere."""

from __future__ import annotations

import sys
import time
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn
from rich.progress import Progress as Bar

from softbench.case import Record
from softbench.cli.folder import draw, selection
from softbench.run import Progress

LOG_SECONDS = 10.0
QUIET = ("ok", "unsupported")  # said once, at the end


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
    """Draw the reports, say what came out and where it lies; the exit code."""
    shown, _ = selection(folder)
    cells = Counter(record.status for record in shown)
    for line in _by_reason(shown):
        print(line)
    print("records: " + (", ".join(f"{count} {name}" for name, count in cells.items()) or "none"))
    for path in draw(folder):
        print(path)
    print(folder / "records.jsonl")
    return 4 if cells["error"] else 0


def _bar(events: Iterable[Progress], title: str, console: Console) -> None:
    columns = (
        TextColumn(title),
        BarColumn(bar_width=24),
        MofNCompleteColumn(),
        TextColumn("{task.fields[left]}"),
        TextColumn("{task.description}"),
    )
    with Bar(*columns, console=console, auto_refresh=False, transient=True) as bar:
        task = bar.add_task("starting", total=None, left="")
        for now in events:
            bar.update(task, total=now.total, completed=now.done, description=now.doing)
            bar.update(task, left=_left(now), refresh=True)
            if now.record is not None and now.record.status not in QUIET:
                console.print(_line(now.record), highlight=False, markup=False)


def _log(events: Iterable[Progress], title: str) -> None:
    last = -LOG_SECONDS
    for now in events:
        if now.record is not None and now.record.status not in QUIET:
            note(_line(now.record))
        if time.monotonic() - last >= LOG_SECONDS:
            note(f"{title}: {now.done} of {now.total}, {_left(now)}; {now.doing}")
            last = time.monotonic()


def _left(now: Progress) -> str:
    failed = {name: count for name, count in now.statuses.items() if name not in QUIET}
    failures = "".join(f", {count} {name}" for name, count in failures_last(failed))
    if now.seconds_left is None:
        return f"estimating{failures}"
    minutes, seconds = divmod(round(now.seconds_left), 60)
    return f"{minutes}:{seconds:02d} left{failures}"


def failures_last(counts: dict[str, int]) -> list[tuple[str, int]]:
    """Counts with errors at the end, where the eye rests."""
    return sorted(counts.items(), key=lambda item: (item[0] == "error", item[0]))


def _line(record: Record) -> str:
    return f"{record.status}: {record.metric} of {record.case.label}: {record.reason}"


def _by_reason(records: Iterable[Record]) -> list[str]:
    """One line for each (status, mechanism, backend, mode, reason without numbers) not ok."""
    lines: Counter[str] = Counter()
    for record in records:
        if record.status != "ok" and record.repeat == 0:
            lines[_line(record)] += 1
    return sorted(lines)
