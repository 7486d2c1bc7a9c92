"""What is shown of a run: a plain log, a bar, the lines at its end.

Mutants seen red: a failure not told at once, the bar's title read as a template.
"""

from __future__ import annotations

import io
from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest
from rich.console import Console

from softbench.case import Case, Record, Shape
from softbench.cli import display
from softbench.run import Progress

CASE = Case(
    level="operator", attention="softmax", params={}, backend="eager", shape=Shape(seq_len=16),
    inputs="normal", dtype="float32", device="cpu", mode="forward", compile=False, seed=0,
)  # fmt: skip


def record(status: Any, reason: str | None = "why") -> Record:
    ok = status == "ok"
    return Record(
        case=CASE, metric="flops", unit="FLOP", better="lower", repeat=0, values=[1] if ok else [],
        status=status, reason=None if ok else reason, detail={}, environment="e", protocol="p",
        invocation="i",
    )  # fmt: skip


def events() -> Iterator[Progress]:
    """Three cells: one without time left, one timeout, one ok."""
    statuses: Counter[str] = Counter()
    yield Progress("flops of it", 0, 3, statuses, None, None)
    statuses["timeout"] += 1
    yield Progress("flops of it", 1, 3, statuses, 125.4, record("timeout", "did not move"))
    statuses["ok"] += 1
    yield Progress("latency of it", 2, 3, statuses, 0.2, record("ok"))


def test_the_log_says_what_runs_how_far_it_is_and_what_failed(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(display, "LOG_SECONDS", 0.0)
    display.display(events(), "suite")
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.splitlines() == [
        "softbench: suite: 0 of 3, time left unknown; flops of it",
        "softbench: timeout: softmax/eager N=16 forward: did not move",
        "softbench: suite: 1 of 3, 2:05 left, 1 timeout; flops of it",
        "softbench: suite: 2 of 3, 0:00 left, 1 timeout; latency of it",
    ]


def test_failures_are_told_before_the_time_left_is_known() -> None:
    now = Progress("", 1, 3, Counter(timeout=1, ok=2), None, None)
    assert display._left(now) == "time left unknown, 1 timeout"


def test_the_log_is_not_flooded(capsys: pytest.CaptureFixture[str]) -> None:
    display.display(events(), "suite")
    assert len(capsys.readouterr().err.splitlines()) == 2


@pytest.mark.parametrize("title", ["suite", "a{b}", "a[bold]b"])
def test_the_bar_says_the_same(monkeypatch: pytest.MonkeyPatch, title: str) -> None:
    said = io.StringIO()
    console = Console(file=said, force_terminal=True, width=120, color_system=None)
    monkeypatch.setattr(display, "Console", lambda stderr: console)
    display.display(events(), title)
    for part in (title, "0/3", "1/3", "2/3", "time left unknown", "2:05 left, 1 timeout"):
        assert part in said.getvalue()
    assert "latency of it" in said.getvalue()
    assert "timeout: softmax/eager N=16 forward: did not move\n" in said.getvalue()
