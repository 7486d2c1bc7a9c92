"""`softbench` commands as the tests start, watch, signal and read them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil

from softbench import records
from softbench.case import Record

HERE = Path(__file__).parent
SECONDS = 60.0  # more than any of it takes on a busy machine


class Zygote:
    """The client of zygote.py."""

    def __enter__(self) -> Zygote:
        self._process = subprocess.Popen(
            [sys.executable, str(HERE / "zygote.py")],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, "OMP_NUM_THREADS": "1", "TERM": "xterm", "COLUMNS": "120"},
        )
        return self

    def __exit__(self, *failure: object) -> None:
        self._process.communicate(timeout=SECONDS)

    def ask(self, **request: Any) -> Any:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        print(json.dumps(request), file=self._process.stdin, flush=True)
        return json.loads(self._process.stdout.readline())


class Command:
    """One started command."""

    def __init__(self, zygote: Zygote, pid: int, out: Path, err: Path) -> None:
        self._zygote, self.pid, self._out, self._err = zygote, pid, out, err
        self.code: int | None = None

    def wait(self) -> int:
        """Its exit code."""
        wait_until(lambda: not self.running())
        assert self.code is not None
        return self.code

    def running(self) -> bool:
        if self.code is None:
            self.code = self._zygote.ask(poll=self.pid)
        return self.code is None

    def kill(self, signal: int) -> None:
        if self.running():
            os.kill(self.pid, signal)

    def workers(self) -> list[psutil.Process]:
        return psutil.Process(self.pid).children(recursive=True) if self.running() else []

    @property
    def out(self) -> str:
        return self._out.read_text()

    @property
    def err(self) -> str:
        return self._err.read_text()


class Bench:
    """A folder, a suite in it, and the commands started there."""

    def __init__(self, zygote: Zygote, folder: Path) -> None:
        self._zygote, self.folder = zygote, folder
        self._commands: list[Command] = []

    def suite(self, **keys: Any) -> None:
        """Write the suite; JSON is YAML."""
        plain = {
            "shape": {"batch_size": 1, "num_heads": 1, "seq_len": 16, "head_dim": 8},
            "attention": {"softmax": {}}, "repeats": 1, "device": "cpu", "metrics": ["flops"],
        }  # fmt: skip
        (self.folder / "bench.yaml").write_text(json.dumps({**plain, **keys}))

    def start(
        self,
        *options: str,
        plugins: tuple[str, ...] = (),
        patience: float = 30,
        err: str = "",
        suite: str = "bench.yaml",
        verb: str = "run",
    ) -> Command:
        """`softbench run SUITE` in the folder, with plug-in files of this one."""
        files = [part for name in plugins for part in ("--plugin", str(HERE / f"{name}.py"))]
        number = len(self._commands)
        out, errors = self.folder / f"{number}.out", Path(err or self.folder / f"{number}.err")
        out.touch()
        errors.touch()
        pid = self._zygote.ask(
            arguments=[verb, suite, *files, *options],
            folder=str(self.folder), out=str(out), err=str(errors), patience=patience,
        )  # fmt: skip
        self._commands.append(Command(self._zygote, pid, out, errors))
        return self._commands[-1]

    def run(self, *options: str, plugins: tuple[str, ...] = (), patience: float = 30) -> Command:
        """The same to its end."""
        command = self.start(*options, plugins=plugins, patience=patience)
        command.wait()
        return command

    def plan(self, *options: str, plugins: tuple[str, ...] = ()) -> Command:
        """`softbench plan SUITE` to its end."""
        command = self.start(*options, plugins=plugins, verb="plan")
        command.wait()
        return command

    @property
    def results(self) -> Path:
        """Where the records lie. There is one environment only."""
        (file,) = self.folder.rglob(records.FILE)
        return file.parent

    def records(self) -> list[Record]:
        """All of them, oldest first; fails on a damaged line."""
        return records.read(self.results)

    def __enter__(self) -> Bench:
        return self

    def __exit__(self, *failure: object) -> None:
        for command in self._commands:
            command.kill(9)


def wait_until(happened: Callable[[], object], seconds: float = SECONDS) -> None:
    """Return as soon as `happened()`; fail if it does not."""
    ends_at = time.monotonic() + seconds
    while not happened():
        assert time.monotonic() < ends_at, f"did not happen within {seconds:g} s"
        time.sleep(0.01)


def gone(processes: list[psutil.Process]) -> bool:
    """Whether none of them runs; one that only waits to be reaped runs no more."""
    return not any(
        process.is_running() and process.status() != psutil.STATUS_ZOMBIE for process in processes
    )
