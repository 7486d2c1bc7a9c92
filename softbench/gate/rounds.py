"""Rounds of a calibration: what identical and slowed heads did on this machine, kept as measured.

A round times the base, an identical head and heads slowed by 5, 10 and 20 %, in processes of its
own. Base and head are two fresh copies of one tree, as they are two trees when it matters: what
a file's place in memory does to a time is drawn anew each round. Rounds are lines of
`rounds.jsonl`, appended and never rewritten.
"""

from __future__ import annotations

import fcntl
import random
import shutil
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field

import softbench
from softbench.case import Case, Value
from softbench.environment import Invocation
from softbench.gate.pairs import Samples, timed_pairs
from softbench.gate.rules import Timing
from softbench.gate.sides import Side

FILE = "rounds.jsonl"
EXTRAS = {"head": 0, "head+5%": 1, "head+10%": 2, "head+20%": 4}


class FolderHeldError(ValueError):
    """Another process adds rounds to the folder."""


class Round(Value):
    """One round: nanoseconds of a call by pair, side, cell (in the order of `cells`) and slot."""

    version: Literal[1] = Field(default=1, alias="schema")
    round: Annotated[int, Field(ge=0)]
    timing: Timing
    environment: str
    invocation: Invocation
    seconds: float
    load_after: list[float]
    cells: list[str]
    pairs: list[Samples]


def run_round(
    number: int,
    cases: Sequence[Case],
    rules: Timing,
    environment: str,
    plugins: tuple[str, ...] = (),
) -> Round:
    """Round `number`, which names its dice too. Raises CellsFailed."""
    import psutil

    invocation = Invocation.now(["softbench", "gate", "--calibrate"], {})
    began = time.monotonic()
    dice = random.Random(f"{invocation.id} {number}")
    with _copy() as base, _copy() as other:
        heads = [Side(name, other, plugins=plugins, extra=n) for name, n in EXTRAS.items()]
        sides = [Side("base", base, plugins=plugins), *heads]
        pairs = list(islice(timed_pairs(sides, cases, rules, dice), rules.pairs))
    return Round(
        round=number,
        timing=rules,
        environment=environment,
        invocation=invocation,
        seconds=round(time.monotonic() - began, 1),
        load_after=[round(load, 2) for load in psutil.getloadavg()],
        cells=[case.id for case in cases],
        pairs=pairs,
    )


@contextmanager
def _copy() -> Iterator[str]:
    """A folder with a copy of this softbench."""
    with tempfile.TemporaryDirectory(prefix="softbench-gate-") as folder:
        shutil.copytree(Path(softbench.__file__).parent, Path(folder) / "softbench")
        yield folder


@contextmanager
def held(folder: Path) -> Iterator[None]:
    """The folder for this process alone. Raises FolderHeldError: another calibration adds to it."""
    with (folder / ".lock").open("a") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise FolderHeldError(f"another calibration holds {folder}") from None
        yield


def append(found: Round, folder: Path) -> None:
    """Add the round to the folder's file, in the place of one that was cut off."""
    line = found.model_dump_json(by_alias=True).encode() + b"\n"
    with (folder / FILE).open("ab+") as file:
        file.seek(0)
        file.truncate(file.read().rfind(b"\n") + 1)
        file.write(line)


def read(folder: Path) -> list[Round]:
    """Every round in the folder, as they were made; a last one that was cut off is none."""
    path = folder / FILE
    *lines, _ = path.read_bytes().split(b"\n") if path.exists() else [b""]
    return [Round.model_validate_json(line) for line in lines]
