"""Rounds of a calibration: what identical and slowed heads did on this machine, kept as measured.

A round times the base, an identical head and heads slowed by 5, 10 and 20 %, in processes of its
own. Base and head are two fresh copies of one tree, as they are two trees when it matters: what
a file's place in memory does to a time is drawn anew each round. Rounds are lines of
`rounds.jsonl`, appended and never rewritten.
"""

from __future__ import annotations

import json
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


def append(found: Round, folder: Path) -> None:
    """Add the round to the folder's file, whole or not at all."""
    line = found.model_dump_json(by_alias=True) + "\n"
    with (folder / FILE).open("a", encoding="utf-8") as file:
        file.write(line)
        file.flush()


def read(folder: Path) -> list[Round]:
    """Every round in the folder, as they were made."""
    path = folder / FILE
    lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
    return [Round.model_validate(json.loads(line)) for line in lines]
