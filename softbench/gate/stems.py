"""Stems and benches as the driver holds them: started, asked, ended; bench.py is what they run."""

from __future__ import annotations

import contextlib
import json
import os
import selectors
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import softbench
from softbench.gate.sides import Side

START_SECONDS = 180.0  # torch alone takes 4 s to import on an idle machine
SCRIPT = Path(__file__).with_name("bench.py")
FAULTS = "stderr"


class BenchDied(Exception):  # noqa: N818 - a finding about a side, not an error of ours
    """A bench ended, or did not answer in time; the message says how."""


class Stem:
    """One interpreter that has torch loaded and forks benches."""

    def __init__(self, python: str, threads: int) -> None:
        self._folder = tempfile.TemporaryDirectory(prefix="softbench-gate-")
        self._listener = socket.socket(socket.AF_UNIX)
        self._address = str(Path(self._folder.name) / "socket")
        self._listener.bind(self._address)
        self._listener.listen()
        self._faults = (Path(self._folder.name) / FAULTS).open("w+b")
        self._python, self._threads = python, threads
        self._process = subprocess.Popen(
            # -P: a random.py in the folder where softbench is called is not the bench's.
            [python, "-P", str(SCRIPT)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._faults,
            start_new_session=True,
            env=_settings(threads),
        )
        try:
            self.versions: dict[str, str] = self._answer()["versions"]
        except BaseException:
            self.stop()
            raise

    def bench(self, side: Side) -> Bench:
        """A fresh process of `side`."""
        own = str(Path(softbench.__file__).parents[1]) if self._python == sys.executable else None
        told = {"socket": self._address, "root": side.root, "otherwise": own}
        self._tell(told | {"plugins": side.plugins, "threads": self._threads})
        pid = self._answer()["pid"]
        self._listener.settimeout(START_SECONDS)
        try:
            link, _ = self._listener.accept()
        except TimeoutError:
            raise BenchDied(f"did not start in {START_SECONDS:g} s") from None
        return Bench(link, lambda: self._end_of(pid))

    def stop(self) -> None:
        """End the stem and all its benches; safe to call twice."""
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()
        for pipe in (self._process.stdin, self._process.stdout, self._faults, self._listener):
            assert pipe is not None  # because of PIPE
            with contextlib.suppress(BrokenPipeError):
                pipe.close()
        self._folder.cleanup()

    def _end_of(self, pid: int) -> str:
        """How a bench ended, in words."""
        self._tell({"ended": pid})
        code = self._answer()["code"]
        how = f"killed by {signal.Signals(-code).name}" if code < 0 else f"ended with code {code}"
        words = self._last_words()
        return f"{how}; its last words: {words}" if words else how

    def _tell(self, message: Mapping[str, Any]) -> None:
        assert self._process.stdin is not None  # because of PIPE
        self._process.stdin.write(json.dumps(message).encode() + b"\n")
        self._process.stdin.flush()

    def _answer(self) -> dict[str, Any]:
        assert self._process.stdout is not None  # because of PIPE
        line = self._process.stdout.readline()
        if not line:
            words = self._last_words() or "without a word"
            raise BenchDied(f"{self._python} could not start: {words}")
        answer: dict[str, Any] = json.loads(line)
        return answer

    def _last_words(self) -> str:
        self._faults.seek(max(0, self._faults.seek(0, os.SEEK_END) - 4096))
        lines = self._faults.read().decode(errors="replace").strip().splitlines()
        return lines[-1].strip() if lines else ""


class Bench:
    """A process of one side that times calls; the driver sleeps while it does."""

    def __init__(self, link: socket.socket, end_of: Any) -> None:
        self._link, self._end_of = link, end_of
        self._buffer = b""
        self._selector = selectors.DefaultSelector()
        self._selector.register(link, selectors.EVENT_READ)

    def begin(self, message: Mapping[str, Any]) -> None:
        """Ask, and do not wait."""
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            self._link.sendall(json.dumps(message).encode() + b"\n")

    def finish(self, patience: float) -> dict[str, Any]:
        """The answer to what it was asked. Raises BenchDied."""
        deadline = time.monotonic() + patience
        while b"\n" not in self._buffer:
            if not self._selector.select(max(0.0, deadline - time.monotonic())):
                raise BenchDied(f"no answer for {patience:g} s")
            chunk = _received(self._link)
            if not chunk:
                raise BenchDied(self._end_of())
            self._buffer += chunk
        line, _, self._buffer = self._buffer.partition(b"\n")
        answer: dict[str, Any] = json.loads(line)
        return answer

    def close(self) -> None:
        """Let it end."""
        self._selector.close()
        self._link.close()


def _received(link: socket.socket) -> bytes:
    try:
        return link.recv(1 << 16)
    except ConnectionResetError:
        return b""


def _settings(threads: int) -> dict[str, str]:
    names = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")
    # Which softbench is timed is the bench's to say, not the caller's PYTHONPATH's.
    paths = os.environ.get("PYTHONPATH", "").split(os.pathsep)
    others = [path for path in paths if path and not (Path(path) / "softbench").is_dir()]
    own = {**os.environ, "PYTHONPATH": os.pathsep.join(others)}
    return own | {name: str(threads) for name in names} | {"KINETO_LOG_LEVEL": "99"}
