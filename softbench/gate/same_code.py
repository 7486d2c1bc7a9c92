"""Whether two sides that are meant to differ ran the same code: a side timed against itself passes.

Each side says which softbench it imported and which file each cell's mechanism is. An installed
package, a search path or a plug-in file may lead both sides to one of them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import pairwise, permutations
from pathlib import Path
from typing import Any

from softbench.gate.failures import Failure
from softbench.gate.sides import Side


def the_same_code(told: Mapping[Side, Mapping[str, Any]]) -> list[Failure]:
    """What each side's answers betray; told: its `softbench` and the `files` of its cells.

    Heads that are slowed on purpose are the same code as the head that is not.
    """
    sides = [side for side in told if not side.extra]
    alike = [*_alike(sides, told)]
    return alike or [
        failure for one, other in permutations(sides, 2) for failure in _strayed(one, other, told)
    ]


def _alike(sides: list[Side], told: Mapping[Side, Mapping[str, Any]]) -> Iterator[Failure]:
    for one, other in pairwise(sides):
        if told[one]["softbench"] == told[other]["softbench"] and (
            told[one]["files"] == told[other]["files"]
        ):
            ran = sorted({told[one]["softbench"], *filter(None, told[one]["files"])})
            reason = f"{one.name} and {other.name} ran the same code: {', '.join(ran)}"
            yield Failure(one.name, -1, reason, "elsewhere")


def _strayed(one: Side, other: Side, told: Mapping[Side, Mapping[str, Any]]) -> Iterator[Failure]:
    """Cells whose mechanism `other` has in its own tree, and `one` took from outside of its own."""
    for cell, (mine, its) in enumerate(zip(told[one]["files"], told[other]["files"], strict=True)):
        if mine is None or not _within(its, other) or _within(mine, one):
            continue
        if one.root is not None or mine == its:
            reason = f"it ran {mine}, {other.name} has a file of its own: {its}"
            yield Failure(one.name, cell, reason, "elsewhere")


def _within(file: str | None, side: Side) -> bool:
    if file is None or side.root is None:
        return False
    return Path(file).is_relative_to(Path(side.root).resolve())
