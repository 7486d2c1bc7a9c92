"""Where everything stands on the page, in inches: panels on top, then legend, then notes.

Positions are computed, not found by an optimiser, so that the same records always give the same
file and nothing can land on the data.
"""

from __future__ import annotations

import math
import textwrap
from collections.abc import Sequence
from dataclasses import dataclass

WIDTH = 7.0  # the text width of a paper
LEFT, RIGHT, TOP = 0.68, 0.18, 0.24
BETWEEN, UNDER_ROW, UNDER_PANELS = 0.62, 0.16, 0.42
LEGEND_ROW, NOTE_ROW, EDGE = 0.165, 0.125, 0.06
LETTER = 0.062  # the mean width of a letter in the legend
HANDLE = 0.55  # a legend's line, and the gap to the next entry


@dataclass(frozen=True)
class Page:
    """Sizes and positions of one figure; boxes are (left, bottom, width, height) in fractions."""

    height: float
    boxes: tuple[tuple[tuple[float, float, float, float], ...], ...]
    legend_tops: tuple[float, ...]
    legend_columns: tuple[int, ...]
    notes: str


def arrange(
    rows: int, columns: int, legends: Sequence[Sequence[str]], notes: Sequence[str]
) -> Page:
    """The page for a grid of panels, legends under each other, and notes wrapped below."""
    text = "\n".join(line for note in notes if note for line in textwrap.wrap(note, width=126))
    wide = (WIDTH - LEFT - RIGHT - (columns - 1) * BETWEEN) / columns
    high = min(1.08 * wide, 2.6)
    per_row = [legend_columns(entries) for entries in legends]
    legend_rows = [math.ceil(len(e) / n) for e, n in zip(legends, per_row, strict=True)]
    below = sum(legend_rows) * LEGEND_ROW + (text.count("\n") + 1) * NOTE_ROW + 2 * EDGE
    bottom = below + UNDER_PANELS
    height = TOP + rows * high + (rows - 1) * UNDER_ROW + bottom
    boxes = tuple(
        tuple(
            (
                (LEFT + column * (wide + BETWEEN)) / WIDTH,
                (bottom + (rows - 1 - row) * (high + UNDER_ROW)) / height,
                wide / WIDTH,
                high / height,
            )
            for column in range(columns)
        )
        for row in range(rows)
    )
    tops = tuple((below - sum(legend_rows[:i]) * LEGEND_ROW) / height for i in range(len(legends)))
    return Page(height, boxes, tops, tuple(per_row), text)


def legend_columns(entries: Sequence[str]) -> int:
    """As many columns as the longest entry lets stand side by side."""
    longest = max(map(len, entries), default=1) * LETTER + HANDLE
    return max(1, min(len(entries), int((WIDTH - 0.2) / longest)))
