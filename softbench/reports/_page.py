"""Where everything stands on the page, in inches: panels on top, then legend, then notes.

Positions are computed, not found by an optimiser, so that the same records always give the same
file and nothing can land on the data.
"""

from __future__ import annotations

import itertools
import math
import textwrap
from collections.abc import Sequence
from dataclasses import dataclass

WIDTH = 7.0  # the text width of a paper
LEFT, RIGHT, TOP = 0.76, 0.22, 0.24
BETWEEN, UNDER_ROW, UNDER_PANELS = 0.62, 0.16, 0.42
LEGEND_ROW, LEGEND_GAP, NOTE_ROW, EDGE = 0.143, 0.06, 0.125, 0.06
LETTER = 0.064  # the mean width of a letter in the legend
HIGHEST = 2.6  # of one panel
HANDLE = 0.58  # a legend's line, and the gap to the next entry


Box = tuple[float, float, float, float]


@dataclass(frozen=True)
class Page:
    """Sizes and positions of one figure; boxes are (left, bottom, width, height) in fractions."""

    height: float
    boxes: tuple[tuple[Box, ...], ...]
    legend_tops: tuple[float, ...]
    legend_columns: tuple[int, ...]
    notes: str


def arrange(
    rows: int,
    columns: int,
    legends: Sequence[Sequence[str]],
    notes: Sequence[str],
    under_row: float = UNDER_ROW,
    aspect: float = 1.08,
) -> Page:
    """The page for a grid of panels, legends under each other, and notes wrapped below.

    under_row: inches below every row but the last; UNDER_PANELS holds an axis with its name.
    aspect: a panel's height over its width, as far as the height stays below HIGHEST.
    """
    text = "\n".join(line for note in notes for line in textwrap.wrap(note, width=134))
    per_row = [legend_columns(entries) for entries in legends]
    deep = [_legend_height(e, n) for e, n in zip(legends, per_row, strict=True)]
    below = sum(deep) + (text.count("\n") + 1) * NOTE_ROW + 2 * EDGE
    bottom = below + UNDER_PANELS
    panel = _panel(columns, aspect)
    height = TOP + rows * panel[1] + (rows - 1) * under_row + bottom
    tops = tuple((below - sum(deep[:i])) / height for i in range(len(legends)))
    boxes = _boxes(rows, columns, panel, (bottom, under_row), height)
    return Page(height, boxes, tops, tuple(per_row), text)


def _boxes(
    rows: int,
    columns: int,
    panel: tuple[float, float],
    up: tuple[float, float],
    height: float,
) -> tuple[tuple[Box, ...], ...]:
    """up: where the last row stands, and the room under every other."""
    wide, high = panel
    lefts = [LEFT + column * (wide + BETWEEN) for column in range(columns)]
    bottoms = [up[0] + row * (high + up[1]) for row in reversed(range(rows))]
    return tuple(
        tuple((left / WIDTH, low / height, wide / WIDTH, high / height) for left in lefts)
        for low in bottoms
    )


def _panel(columns: int, aspect: float) -> tuple[float, float]:
    """Width and height of one panel."""
    wide = (WIDTH - LEFT - RIGHT - (columns - 1) * BETWEEN) / columns
    return wide, min(aspect * wide, HIGHEST)


def _legend_height(entries: Sequence[str], columns: int) -> float:
    return math.ceil(len(entries) / columns) * LEGEND_ROW + LEGEND_GAP if entries else 0.0


def legend_columns(entries: Sequence[str]) -> int:
    """As many columns as stand side by side in the page's width."""
    fitting = (n for n in range(len(entries), 1, -1) if _legend_width(entries, n) < WIDTH)
    return next(fitting, 1)


def _legend_width(entries: Sequence[str], columns: int) -> float:
    """The width of a legend that matplotlib fills column by column, the first ones fuller."""
    rows, fuller = divmod(len(entries), columns)
    starts = [i * rows + min(i, fuller) for i in range(columns + 1)]
    filled = [entries[a:b] for a, b in itertools.pairwise(starts)]
    return 2 * EDGE + sum(max(map(len, column)) * LETTER + HANDLE for column in filled)
