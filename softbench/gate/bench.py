"""A stem that has torch loaded, and the benches it forks: processes that time calls when asked.

Run as a file by the interpreter of the side that is to be timed, never imported with softbench: a
bench imports softbench from its own side's tree, whatever version that is, and of it only what
turns a case into a step. So both sides are timed by one and the same loop.

Benches that one stem forks have torch's code at the same addresses: what an address does to a time
is common to both sides, and a fork takes milliseconds where importing torch takes seconds.

    stem, standard input:   {"socket": path, "root": tree or null, "otherwise": where softbench is
                             if neither the tree nor the interpreter has it, or null,
                             "plugins": […], "threads": n}
                                                          → {"pid": …} on its standard output
                            {"ended": pid}                → {"code": …}, negative for a signal
    bench, on the socket:   {"cases": […]}                → {"softbench": its folder,
                                                             "ready": [fastest call's seconds or
                                                             null, …],
                                                             "files": [the mechanism's file or null,
                                                             …],
                                                             "failed": [[index, words, kind], …]}
                            {"core": n}                   → {}: runs on that core alone from now on
                            {"slot": [index, calls, per]} → {"seconds": …} of all calls, by `per`
"""

from __future__ import annotations

import gc
import json
import os
import socket
import sys
from contextlib import suppress
from pathlib import Path
from time import perf_counter
from typing import Any, NoReturn

WARM_SECONDS = 0.005  # of calls before a case is said to be ready
WORDS = 500  # of an error that are passed on
# Classes are told by name: they are those of whatever softbench the side has.
KINDS = {"Unsupported": "unsupported", "UnknownNameError": "unknown", "ValidationError": "unknown"}


def main() -> None:
    """Load what every bench needs, then fork one for each line of standard input."""
    import numpy  # noqa: F401
    import pydantic
    import torch
    import torch.fx.experimental.symbolic_shapes  # else the first backward imports it

    pydantic.create_model("First", field=(int, 0))  # else half of it waits for a first model

    torch.set_num_threads(int(os.environ["OMP_NUM_THREADS"]))
    answers = os.dup(1)
    os.dup2(2, 1)
    _say(answers, {"versions": {"python": sys.version.split()[0], "torch": torch.__version__}})
    for line in sys.stdin:
        told = json.loads(line)
        if "ended" in told:
            code = os.waitstatus_to_exitcode(os.waitpid(told["ended"], 0)[1])
            _say(answers, {"code": code})
            continue
        pid = os.fork()
        if pid == 0:
            _bench(told)
        _say(answers, {"pid": pid})


def _say(answers: int, message: dict[str, Any]) -> None:
    os.write(answers, json.dumps(message).encode() + b"\n")


def _bench(told: dict[str, Any]) -> NoReturn:
    """Serve the driver until it closes the socket."""
    link = socket.socket(socket.AF_UNIX)
    link.connect(told["socket"])
    if told["root"] is not None:
        sys.path.insert(0, told["root"])
    if told["otherwise"] is not None:
        sys.path.append(told["otherwise"])
    lines = link.makefile("rw", encoding="utf-8")
    workloads: list[Any] = []
    with suppress(BrokenPipeError, ConnectionResetError):
        for line in lines:
            asked = json.loads(line)
            answer: dict[str, Any]
            if "slot" in asked:
                index, calls, per = asked["slot"]
                answer = {"seconds": _timed(workloads[index], calls) / per}
            elif "core" in asked:
                os.sched_setaffinity(0, {asked["core"]})
                answer = {}
            else:
                answer = _made_ready(asked["cases"], told, workloads)
            lines.write(json.dumps(answer) + "\n")
            lines.flush()
    os._exit(0)


def _made_ready(
    cases: list[dict[str, Any]], told: dict[str, Any], workloads: list[Any]
) -> dict[str, Any]:
    """Build every case and warm it up: seconds of its fastest call, or what went wrong in it.

    What is wrong with all of them has the index -1.
    """
    ready: list[float | None] = [None] * len(cases)
    files: list[str | None] = [None] * len(cases)
    failed = []
    try:
        _prepare(told)
        from softbench.case import Case
        from softbench.workload import build
    except BaseException as error:  # whatever it is, it is an answer about this side
        failed = [_failure(-1, error)]
        return {"softbench": None, "ready": ready, "files": files, "failed": failed}
    workloads[:] = [None] * len(cases)
    for index, case in enumerate(cases):
        try:
            workloads[index] = build(Case.model_validate(case))
            ready[index] = _warmed(workloads[index])
            files[index] = _file_of(case["attention"])
        except BaseException as error:  # the same, about this case
            failed.append(_failure(index, error))
    return {"softbench": _where(), "ready": ready, "files": files, "failed": failed}


def _failure(index: int, error: BaseException) -> tuple[int, str, str]:
    name = type(error).__name__
    words = f"{name}: {' '.join(str(error).split())}"
    return index, words[:WORDS], KINDS.get(name, "failed")


def _prepare(told: dict[str, Any]) -> None:
    """The numerics of softbench's protocol, and the side's plug-in files."""
    import torch

    torch.set_num_threads(told["threads"])
    torch.set_float32_matmul_precision("highest")
    torch.backends.cudnn.allow_tf32 = False
    from softbench import plugins

    for path in told["plugins"]:
        plugins.adopt(Path(path))


def _where() -> str:
    import softbench

    return str(Path(str(softbench.__file__)).resolve().parent.parent)


def _file_of(mechanism: str) -> str | None:
    from softbench import plugins

    file = plugins.load("attention", mechanism).__file__
    return None if file is None else str(Path(file).resolve())


def _warmed(workload: Any) -> float:
    """Seconds of the fastest of the calls that warm the case up, at least three."""
    fastest, spent, calls = float("inf"), 0.0, 0
    while spent < WARM_SECONDS or calls < 3:
        once = _timed(workload, 1, warm=0)
        fastest, spent, calls = min(fastest, once), spent + once, calls + 1
    return fastest


def _timed(workload: Any, calls: int, warm: int = 1) -> float:
    """Seconds of `calls` steps, after one that brings back what the other side's turn threw out."""
    for _ in range(warm):
        workload.step()
    gc.collect(0)
    gc.disable()
    workload.synchronize()
    start = perf_counter()
    for _ in range(calls):
        workload.step()
    workload.synchronize()
    elapsed = perf_counter() - start
    gc.enable()
    workload.clear_gradients()
    return elapsed


if __name__ == "__main__":
    main()
