"""The sides of a comparison: which softbench is timed, by which interpreter, with what plug-ins."""

from __future__ import annotations

import sys
from dataclasses import dataclass


@dataclass(frozen=True)
class Side:
    """One build. root: the folder that holds its softbench/, None for the interpreter's own.

    extra: calls that it makes beyond every twenty it is credited with, to calibrate: 2 makes every
    cell of it 10 % slower, by work and not by arithmetic on recorded times.
    """

    name: str
    root: str | None
    python: str = sys.executable
    plugins: tuple[str, ...] = ()
    extra: int = 0
