"""Small numbers beside marks, put where they cover neither a mark nor each other.

Everything is in points from the panel's lower left corner, and computed: no renderer is asked.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

from softbench.reports._style import POINT_SIZE

LETTER, HEIGHT = 0.64 * POINT_SIZE, 1.02 * POINT_SIZE  # of one digit and the room under it
GAP = 2.8  # between a mark's middle and its number
MARK = 2.4  # half the width of a mark
STEPS = 6  # from one mark of a line to the next

Place = tuple[float, float]


@dataclass(frozen=True)
class Box:
    """A rectangle in points."""

    left: float
    bottom: float
    right: float
    top: float

    def meets(self, other: Box) -> bool:
        """Whether the two have any area in common."""
        across = self.left < other.right and other.left < self.right
        return across and self.bottom < other.top and other.bottom < self.top


def along(run: Sequence[Place], steps: int = STEPS) -> list[Place]:
    """The marks of a line, and places on it between them, close enough to keep a text away."""
    between = [
        (a + (c - a) * step / steps, b + (d - b) * step / steps)
        for (a, b), (c, d) in itertools.pairwise(run)
        for step in range(1, steps)
    ]
    return [*run, *between]


def place(
    wanted: Sequence[tuple[Place, str]], marks: Sequence[Place], size: Place
) -> list[tuple[Place, str]]:
    """Where the lower left corner of each text goes; one without room is left out.

    wanted: the mark and its text, the more important first; marks: places that may not be covered;
    size: width and height of the panel.
    """
    taken = [Box(x - MARK, y - MARK, x + MARK, y + MARK) for x, y in marks]
    placed = []
    for (x, y), text in wanted:
        box = next((b for b in _candidates(x, y, text) if _free(b, taken, size)), None)
        if box:
            taken.append(box)
            placed.append(((box.left, box.bottom), text))
    return placed


def _candidates(x: float, y: float, text: str) -> list[Box]:
    """Above, below, right and left of a mark, then the corners."""
    width = LETTER * len(text)
    middle, low = x - width / 2, y - HEIGHT / 2
    right, left, above, below = x + GAP, x - GAP - width, y + GAP, y - GAP - HEIGHT
    corners = [
        *((middle, above), (middle, below), (right, low), (left, low)),
        *((right, above), (left, above), (right, below), (left, below)),
    ]
    return [Box(a, b, a + width, b + HEIGHT) for a, b in corners]


def _free(box: Box, taken: Sequence[Box], size: Place) -> bool:
    inside = box.left >= 1 and box.bottom >= 1 and box.right <= size[0] and box.top <= size[1]
    return inside and not any(box.meets(other) for other in taken)
