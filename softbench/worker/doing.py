"""The small file that says what a worker is in, so that its death can be laid at the right door."""

from __future__ import annotations

import json
import os
from pathlib import Path


class Doing:
    """The small file that says which case and metric this worker is in."""

    def __init__(self, path: Path) -> None:
        self._fd = os.open(path, os.O_WRONLY)
        self._count = 0

    def enter(self, case_id: str, metric: str) -> None:
        """Say it before starting it: one write of a fixed length, no syscall of the reader."""
        self._count += 1
        said = json.dumps({"count": self._count, "case": case_id, "metric": metric})
        os.pwrite(self._fd, said.ljust(160).encode(), 0)
