"""Workers as child processes of this machine, spoken to over pipes in JSON lines.

An executor has `start(threads) -> worker`; a worker has `send`, `receive`, `doing`, `last_words`
and `stop`. A worker writes the case it is in to a small file before it starts it: the driver
reads that file only when it wonders, and sleeps otherwise, so that watching disturbs nothing.
"""

from __future__ import annotations

import contextlib
import json
import os
import selectors
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

# What a process says last that dies because it got no memory, in C++ or in Python.
LAST_OF_MEMORY = ("std::bad_alloc", "MemoryError", "annot allocate memory", "DefaultCPUAllocator")


class WorkerDied(Exception):  # noqa: N818 - a finding, not an error of ours
    """The worker ended without being asked to: how, and the status of the case it was in."""

    def __init__(self, how: str, status: str) -> None:
        super().__init__(how)
        self.status = status


class LocalWorker:
    """One `python -m softbench.worker`, in a session of its own so that Ctrl-C is ours alone.

    settings: of its environment, besides those of the threads.
    """

    def __init__(self, threads: int, settings: Mapping[str, str] = MappingProxyType({})) -> None:
        self._folder = tempfile.TemporaryDirectory(prefix="softbench-")
        self._doing = Path(self._folder.name) / "doing"
        self._doing.touch()
        self._kills_before = _kills_for_memory()
        self._stderr = (Path(self._folder.name) / "stderr").open("w+b")
        self._process = subprocess.Popen(
            # -P: a random.py in the folder where softbench is called is not the worker's.
            [sys.executable, "-P", "-m", "softbench.worker", "--doing", str(self._doing)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._stderr,
            bufsize=0,
            start_new_session=True,
            env={**os.environ, **_settings(threads), **settings},
        )
        assert self._process.stdin is not None  # because of PIPE
        assert self._process.stdout is not None
        self._stdin, self._stdout = self._process.stdin, self._process.stdout
        self._buffer = b""
        self._selector = selectors.DefaultSelector()
        self._selector.register(self._stdout, selectors.EVENT_READ)

    @property
    def pid(self) -> int:
        """The process id, for tests and for people."""
        return self._process.pid

    def send(self, message: dict[str, Any]) -> None:
        """Give the worker something to do. Raises WorkerDied."""
        line = memoryview(json.dumps(message).encode() + b"\n")
        try:
            while line:  # a signal may cut a long write short
                line = line[os.write(self._stdin.fileno(), line) :]
        except BrokenPipeError:
            raise self._death() from None

    def receive(self, timeout: float) -> dict[str, Any] | None:
        """The worker's next event, or None after `timeout` seconds. Raises WorkerDied."""
        deadline = time.monotonic() + timeout
        while b"\n" not in self._buffer:
            if not self._selector.select(max(0.0, deadline - time.monotonic())):
                return None
            chunk = os.read(self._stdout.fileno(), 1 << 16)
            if not chunk:
                raise self._death()
            self._buffer += chunk
        line, _, self._buffer = self._buffer.partition(b"\n")
        event: dict[str, Any] = json.loads(line)
        return event

    def doing(self) -> dict[str, Any]:
        """What the worker said it starts: {"count", "case", "metric", "known"}; empty at first."""
        text = self._doing.read_bytes().rstrip(b"\0 \n")
        try:
            said: dict[str, Any] = json.loads(text) if text else {}
        except ValueError:  # read in the middle of a write
            return {}
        return said

    def last_words(self) -> str:
        """The last line that the worker, or a library in it, wrote to its error output."""
        self._stderr.seek(max(0, self._stderr.seek(0, os.SEEK_END) - 4096))
        lines = self._stderr.read().decode(errors="replace").strip().splitlines()
        return lines[-1].strip() if lines else ""

    def stop(self) -> None:
        """End the worker and everything it started; safe to call twice."""
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()
        self._selector.close()
        for pipe in (self._stdin, self._stdout, self._stderr):
            pipe.close()
        self._folder.cleanup()

    def _death(self) -> WorkerDied:
        code = self._process.wait()
        words = self.last_words()
        said = f"; its last words: {words}" if words else ""
        status = "out_of_memory" if any(sign in words for sign in LAST_OF_MEMORY) else "error"
        if code >= 0:
            return WorkerDied(f"the worker exited with code {code}{said}", status)
        how = f"the worker was killed by {signal.Signals(-code).name}"
        if code == -signal.SIGKILL and _kills_for_memory() > self._kills_before:
            return WorkerDied(f"{how}, the system being out of memory{said}", "out_of_memory")
        return WorkerDied(f"{how}{said}", status)


def start(threads: int) -> LocalWorker:
    """A new worker whose libraries use at most `threads` threads."""
    return LocalWorker(threads)


def _kills_for_memory(counters: Path = Path("/proc/vmstat")) -> int:
    """How many processes the system has killed for want of memory; 0 where it does not count."""
    lines = counters.read_text().splitlines() if counters.exists() else []
    return sum(int(line.split()[1]) for line in lines if line.startswith("oom_kill "))


def _settings(threads: int) -> dict[str, str]:
    """What libraries read when they load: their threads, and no profiler's complaint of no GPU."""
    names = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")
    return {name: str(threads) for name in names} | {"KINETO_LOG_LEVEL": "99"}
