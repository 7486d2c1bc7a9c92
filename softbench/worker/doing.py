"""The small file that says what a worker is in, so that its death can be laid at the right door."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path

# Longer than anything it says: each time all of it is written over.
LENGTH = 320


class Doing:
    """Says which case and metric this worker is in, and what was known of it before."""

    def __init__(self, path: Path) -> None:
        self._fd = os.open(path, os.O_WRONLY)
        self._count = 0
        self._known: dict[str, str] = {}

    def know(self, case_id: str, facts: Mapping[str, float]) -> None:
        """What is to be said of the case whenever it is entered: what it was predicted to take."""
        self._known[case_id] = json.dumps(dict(facts))

    def enter(self, case_id: str, metric: str) -> None:
        """Say it before starting it: one write of a fixed length, no syscall of the reader."""
        self._count += 1
        said = json.dumps({"count": self._count, "case": case_id, "metric": metric})
        said = f'{said[:-1]}, "known": {self._known.get(case_id, "{}")}}}'
        os.pwrite(self._fd, said.ljust(LENGTH).encode(), 0)
