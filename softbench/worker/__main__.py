"""A process that measures blocks of cases and says which case it is in before it starts it.

Started by an executor as `python -m softbench.worker --doing FILE`. It reads JSON lines from its
standard input and answers in JSON lines on its standard output:

    {"protocol": …, "plugins": [[path, hash], …]}           → {"event": "hello", "environment": …}
    {"cases": …, "metrics": …, "repeat": …, "budget": …,
     "seen": {family: [[FLOPs, seconds], …]}}               → {"event": "measured", …} …
                                                              {"event": "done"}

When its standard input closes (the driver is gone, however it went) it exits; on Linux also while a
C call keeps every Python thread from running.
"""

from __future__ import annotations

import ctypes
import json
import os
import queue
import signal
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from softbench import environment
from softbench.case import Case
from softbench.protocol import Protocol
from softbench.worker.doing import Doing
from softbench.worker.preparing import prepare

PR_SET_PDEATHSIG = 1  # from the kernel's prctl.h


def main() -> None:
    """Serve until standard input closes."""
    _die_with_driver()
    doing = Doing(Path(sys.argv[sys.argv.index("--doing") + 1]))
    answers = _claim_stdout()
    tasks = _tasks()
    greeting = next(tasks)
    protocol = Protocol.model_validate(greeting["protocol"])
    prepare(protocol, greeting["plugins"])
    machine = environment.read(protocol.threads).model_dump(mode="json")
    _answer(answers, {"event": "hello", "environment": machine})
    from softbench.worker.machine import gemm_rate
    from softbench.worker.measuring import Task, measure_block

    gemm: dict[str, float] = {}
    for given in tasks:
        cases = [Case.model_validate_json(json.dumps(case)) for case in given.pop("cases")]
        device = cases[0].device
        if device not in gemm:
            gemm[device] = gemm_rate(device)
        task = Task(cases=cases, protocol=protocol, gemm=gemm[device], **given)
        for measured in measure_block(task, doing.enter):
            _answer(answers, {"event": "measured", **measured})
        _answer(answers, {"event": "done"})


def _die_with_driver() -> None:
    """On Linux the kernel sees to it, even while a C call holds the interpreter's lock."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


def _claim_stdout() -> int:
    """Keep standard output for answers; what libraries print goes to standard error."""
    answers = os.dup(1)
    os.dup2(2, 1)
    return answers


def _tasks() -> Iterator[dict[str, Any]]:
    """Messages from the driver; a thread reads them, so that its end is noticed mid-measurement."""
    waiting: queue.SimpleQueue[str] = queue.SimpleQueue()

    def read() -> None:
        for line in sys.stdin:
            waiting.put(line)
        os._exit(0)

    threading.Thread(target=read, daemon=True).start()
    while True:
        yield json.loads(waiting.get())


def _answer(answers: int, event: dict[str, Any]) -> None:
    line = json.dumps(event, allow_nan=False).encode() + b"\n"
    while line:
        line = line[os.write(answers, line) :]


if __name__ == "__main__":
    main()
