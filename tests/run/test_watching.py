"""What a run says while it runs, and that watching costs next to nothing.

Mutants seen red: a driver that looks without sleeping. The bar's and the log's mutants are in
tests/cli/test_display.py.
"""

from __future__ import annotations

import os
import pty
import re
import selectors

import psutil
import pytest

from run.commands import Bench, Command, wait_until

TROUBLED = {
    "attention": {"troubled": {"trouble": ["sleeps", "raises"]}},
    "shape": {"batch_size": 1, "num_heads": 1, "seq_len": [16, 17, 18], "head_dim": 8},
    "metrics": ["turns"],
    "repeats": 2,
}


def test_the_driver_sleeps_while_a_worker_measures(bench: Bench) -> None:
    bench.suite(metrics=["burns"])
    command = bench.start(plugins=("burns",))
    wait_until(lambda: "burns of softmax" in command.err)
    driver = psutil.Process(command.pid)
    used = [sum(driver.cpu_times()[:2])]

    def ended() -> bool:
        if command.running():
            used.append(sum(driver.cpu_times()[:2]))
        return bool((bench.results / "records.jsonl").stat().st_size)

    wait_until(ended)
    (record,) = bench.records()
    seconds = (record.values[1] - record.values[0]) / 1e9
    assert seconds >= 3
    assert used[-1] - used[0] < 0.2 * seconds


def test_without_a_terminal_the_log_is_plain(bench: Bench) -> None:
    bench.suite(**TROUBLED)
    command = bench.run(plugins=("turns", "troubled"))
    assert "\x1b" not in command.err + command.out
    assert "\r" not in command.err
    log = (
        r"bench: \d+ of 12, (time left unknown|\d+:\d\d left)(, \d error)?; turns of troubled/eager"
    )
    assert re.search(log, command.err)
    assert re.search(r"\d+:\d\d left, \d error;", command.err)
    assert command.err.count("error: troubled/eager N=17 forward: ValueError: two and two\n") == 2
    assert "6 error, 6 ok" in command.out


def test_on_a_terminal_a_bar_shows_how_far_it_is(bench: Bench) -> None:
    bench.suite(**TROUBLED)
    master, slave = pty.openpty()
    command = bench.start(plugins=("turns", "troubled"), err=os.ttyname(slave))
    shown = _read(master, command)
    os.close(slave)
    assert "\x1b[" in shown
    assert "turns of troubled/eager N=17 forward" in shown
    assert "11/12" in shown
    assert ", 6 error" in shown
    assert " left" in shown.replace("time left unknown", "")
    assert shown.count("error: troubled/eager N=17 forward: ValueError: two and two") == 2


def _read(master: int, command: Command) -> str:
    """All that a command writes to a terminal until it ends."""
    said = b""
    with selectors.DefaultSelector() as selector:
        selector.register(master, selectors.EVENT_READ)
        while command.running() or selector.select(0.1):
            if selector.select(0.1):
                said += os.read(master, 1 << 16)
    os.close(master)
    return said.decode()


@pytest.mark.parametrize("signs", ["a[bold]b", "a{b}", "a:smile:"])
def test_a_suite_may_be_called_anything(bench: Bench, signs: str) -> None:
    bench.suite()
    (bench.folder / "bench.yaml").rename(bench.folder / f"{signs}.yaml")
    master, slave = pty.openpty()
    command = bench.start(err=os.ttyname(slave), suite=f"{signs}.yaml")
    shown = _read(master, command)
    os.close(slave)
    assert command.code == 0
    assert signs in shown
