"""A process that measures blocks of cases and says which case it is in before it starts it.

Started by an executor as `python -m softbench.worker --doing FILE`. It reads JSON lines from its
standard input and answers in JSON lines on its standard output:

    {"protocol": …, "plugins": [[path, hash], …]}           → {"event": "hello", "environment": …}
    {"cases": …, "metrics": …, "repeat": …, "budget": …,
     "seen": {family: [[FLOPs, seconds], …]},
     "costs": {case id: …}}                                 → {"event": "rates", …}
                                                              {"event": "predicted", …} …
                                                              {"event": "measured", …} …
                                                              {"event": "done"}
    {"plan": {"here": true}, "cases": …, "metrics": [name, …],
     "budget": …, "seen": …}                                → {"event": "rates", …}
                                                              {"event": "planned", …} …
                                                              {"event": "done"}

Rates are told when they are measured, which is once a device and dtype; a case is predicted where
its cost is not among those given, and that is told too, so that no later worker predicts it again.
When its standard input closes (the driver is gone, however it went) it exits; on Linux also while a
C call keeps every Python thread from running, and with all that it had started.
"""

from __future__ import annotations

import json
import os
import queue
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from softbench import environment
from softbench.protocol import Protocol
from softbench.worker.doing import Doing
from softbench.worker.parting import end_with_driver, leave_nobody
from softbench.worker.preparing import prepare


def main() -> None:
    """Serve until standard input closes."""
    end_with_driver()
    leave_nobody()
    doing = Doing(Path(sys.argv[sys.argv.index("--doing") + 1]))
    answers = _claim_stdout()
    tasks = _tasks()
    greeting = next(tasks)
    protocol = Protocol.model_validate(greeting["protocol"])
    prepare(protocol, greeting["plugins"])
    machine = environment.read(protocol.threads).model_dump(mode="json")
    _answer(answers, {"event": "hello", "environment": machine})
    from softbench.worker.serving import Server

    server = Server(protocol, doing, lambda event: _answer(answers, event))
    for given in tasks:
        server.serve(given)


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
