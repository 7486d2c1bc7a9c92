"""What kept a side from being timed, as values."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class Failure:
    """A side could not build, warm up or time a cell; `cell` is its index, -1 if it is about all.

    kind: `unsupported`, the side says itself that the cell has no meaning there; `unknown`, it has
    no such mechanism, backend or parameter; `elsewhere`, what ran is not what was meant, or not of
    the other's versions; else `failed`.
    """

    side: str
    cell: int
    reason: str
    kind: Literal["unsupported", "unknown", "elsewhere", "failed"] = "failed"


class CellsFailed(Exception):  # noqa: N818 - findings about the sides
    """What failed, on every side; nothing of this pair was timed."""

    def __init__(self, failures: Sequence[Failure]) -> None:
        super().__init__("; ".join(f"{one.side}: {one.reason}" for one in failures))
        self.failures = failures
