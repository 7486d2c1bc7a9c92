"""Whoever a worker leaves behind is ended, however the worker ended.

Real processes, without torch. Mutants seen red: no guard, a guard that does not look whether the
worker was gone before it listened, one that holds the worker's pipes open.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="the kernel of Linux tells")

WORKER = """
import os, subprocess, sys, time
from softbench.worker import parting
{before}
parting.leave_nobody()
left = subprocess.Popen(["sleep", "600"], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
print(left.pid, flush=True)
{after}
"""


def start(after: str, before: str = "", *, own_group: bool = True) -> subprocess.Popen[str]:
    program = WORKER.format(before=before, after=after)
    return subprocess.Popen(
        [sys.executable, "-c", program], stdout=subprocess.PIPE, text=True,
        start_new_session=own_group, cwd=Path(__file__).parents[2],
    )  # fmt: skip


def child_of(worker: subprocess.Popen[str]) -> int:
    assert worker.stdout is not None
    return int(worker.stdout.readline())


def runs(pid: int) -> bool:
    return psutil.pid_exists(pid) and psutil.Process(pid).status() != psutil.STATUS_ZOMBIE


def ends(pid: int, seconds: float = 10.0) -> bool:
    ends_at = time.monotonic() + seconds
    while runs(pid) and time.monotonic() < ends_at:
        time.sleep(0.01)
    return not runs(pid)


@pytest.mark.parametrize("after", ["", "os._exit(3)", "os.abort()"])
def test_what_an_ended_worker_had_started_is_ended(after: str) -> None:
    worker = start(after)
    assert ends(child_of(worker))
    worker.communicate(timeout=10)


def test_what_a_killed_worker_had_started_is_ended() -> None:
    worker = start("time.sleep(600)")
    child = child_of(worker)
    worker.send_signal(signal.SIGKILL)
    assert worker.wait(10) == -signal.SIGKILL
    assert ends(child)


def test_a_worker_that_is_gone_at_once_leaves_nobody_either() -> None:
    slow = "fork = os.fork\nos.fork = lambda: fork() or time.sleep(0.5) or 0"
    worker = start("os._exit(0)", before=slow)
    assert ends(child_of(worker))
    worker.communicate(timeout=10)


def test_the_guard_has_none_of_the_workers_pipes() -> None:
    """Who waits for them to close waits for the worker alone."""
    worker = start("time.sleep(600)")
    child = child_of(worker)
    (guard,) = (one.pid for one in psutil.Process(worker.pid).children() if one.pid != child)
    opened, ends_at = Path(f"/proc/{guard}/fd"), time.monotonic() + 10
    while list(opened.iterdir()) and time.monotonic() < ends_at:
        time.sleep(0.01)
    assert list(opened.iterdir()) == []
    worker.kill()
    worker.communicate(timeout=10)
    assert ends(child)


def test_a_worker_in_a_group_of_others_leaves_them_alone() -> None:
    worker = start("", own_group=False)
    child = child_of(worker)
    worker.communicate(timeout=10)
    assert worker.returncode == 0
    try:
        assert not ends(child, seconds=0.3)
    finally:
        os.kill(child, signal.SIGKILL)
