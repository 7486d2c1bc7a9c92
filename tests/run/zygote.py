"""A process that has torch loaded and forks `softbench` commands: milliseconds, not seconds.

Everything is as in a real run (command line, driver, pipes, workers in sessions of their own,
files, signals), but that driver and workers are forks instead of new interpreters, and that workers
do not measure for a second what their machine can do. Tests of the executor and of a new mechanism
start real ones. JSON lines in and out, one answer a request:

    {"arguments": …, "folder": …, "out": …, "err": …, "patience": …}    → the driver's process id
    {"poll": pid}                                                       → its exit code or null
"""

import json
import os
import subprocess
import sys
import traceback
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any


class Fork:
    """What softbench.executors.local uses of subprocess.Popen, by a fork of this process."""

    def __init__(self, command: list[str], *, stderr: Any, **_: Any) -> None:
        child_in, parent_in = os.pipe()
        parent_out, child_out = os.pipe()
        self.pid = os.fork()
        if not self.pid:
            os.setsid()
            _become(child_in, child_out, stderr.fileno())
            sys.argv = command[command.index("-m") :]
            from softbench.worker.__main__ import main

            _run(main)
        os.close(child_in)
        os.close(child_out)
        self.stdin = os.fdopen(parent_in, "wb", buffering=0)
        self.stdout = os.fdopen(parent_out, "rb", buffering=0)
        self._code: int | None = None

    def wait(self) -> int:
        """The exit code, negative for a signal."""
        if self._code is None:
            self._code = os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])
        return self._code


def serve() -> None:
    """Answer requests until standard input closes."""
    for line in sys.stdin:
        request = json.loads(line)
        print(json.dumps(_poll(request["poll"]) if "poll" in request else _start(**request)))
        sys.stdout.flush()


def _start(
    arguments: list[str], folder: str, out: str, err: str, patience: float | None = None
) -> int:
    pid = os.fork()
    if not pid:
        opened = [os.open(path, os.O_RDWR | os.O_CREAT, 0o644) for path in (os.devnull, out, err)]
        _become(*opened)
        os.chdir(folder)
        _replace(patience)
        sys.argv = ["softbench", *arguments]
        from softbench.cli import main

        _run(main)
    return pid


def _poll(pid: int) -> int | None:
    done, status = os.waitpid(pid, os.WNOHANG)
    return os.waitstatus_to_exitcode(status) if done else None


def _become(*descriptors: int) -> None:
    """These are standard input, output and error; nothing else stays open."""
    for target, descriptor in enumerate(descriptors):
        os.dup2(descriptor, target + 100)
    for target in range(3):
        os.dup2(target + 100, target)
    os.closerange(3, 4096)
    sys.stdin = os.fdopen(0, "r", closefd=False)


def _replace(patience: float | None) -> None:
    from softbench.cli import display
    from softbench.executors import local
    from softbench.metrics._roofline import Rates
    from softbench.run import asking
    from softbench.worker import rates

    vars(local)["subprocess"] = SimpleNamespace(Popen=Fork, PIPE=subprocess.PIPE)
    vars(rates)["measure_rates"] = lambda device, dtype: Rates(1e11, 1e10, 1e9)
    display.LOG_SECONDS = 0.1
    if patience is not None:
        asking.PATIENCE, asking.LEAST_PATIENCE = 0.0, patience


def _run(main: Callable[[], None]) -> None:
    """Call `main` as an interpreter would, and end."""
    code: Any = 0
    try:
        main()
    except SystemExit as end:
        code = end.code
        if isinstance(code, str):
            print(code, file=sys.stderr)
            code = 1
    except BaseException:
        traceback.print_exc()
        code = 1
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code or 0)


def _load() -> None:
    """Import what commands would import one by one, much of it at the first meta tensor."""
    import scipy.stats  # noqa: F401
    import torch

    import softbench.cli.running  # noqa: F401
    from softbench.case import Case, Shape
    from softbench.worker.budget import predict
    from softbench.worker.rates import UNLIMITED

    torch.set_num_threads(1)
    shape = Shape(seq_len=16)
    plain = {"backend": "eager", "inputs": "normal", "dtype": "float32", "mode": "forward"}
    rest = {"device": "cpu", "compile": False, "seed": 0, "params": {}, "shape": shape}
    case = Case.model_validate({"level": "operator", "attention": "softmax", **plain, **rest})
    predict(case, {}, UNLIMITED)


if __name__ == "__main__":
    _load()
    serve()
