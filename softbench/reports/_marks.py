"""The marks of a figure, as matplotlib's options: measured, launch-bound, lost, and threads."""

from __future__ import annotations

from typing import Any

from softbench.reports._style import Stroke

# Open shapes that no mechanism uses.
FAILED: dict[str, str | tuple[int, int, int]] = {
    "skipped": "o",
    "out_of_memory": "x",
    "timeout": "1",
    "error": (6, 2, 0),
}
UNKNOWN_HEIGHT = 6  # matplotlib's caret pointing up
GREY = "#404040"  # of a mark that stands for any mechanism
LINE_WIDTH = 1.1
MARKER_SIZE = 3.8
THREAD: dict[str, Any] = {"linewidth": 0.7, "linestyle": (0, (2.6, 1.4))}


def mark(stroke: Stroke) -> dict[str, Any]:
    """The marker of a series, as matplotlib's options."""
    hollow = stroke.fill == "none"
    return {
        "color": stroke.look.colour,
        "marker": stroke.look.marker,
        # A larger hollow mark lies beneath a filled one: both show where two series coincide.
        "markersize": MARKER_SIZE + (2.0 if hollow else 0),
        "zorder": 2.8 if hollow else 3,
        "markeredgewidth": 0.7 if hollow else 0.3,
        "fillstyle": "full" if hollow else stroke.fill,
        "markerfacecolor": "white" if hollow else stroke.look.colour,
        "markerfacecoloralt": "white",
    }


def failure(status: str, colour: str) -> dict[str, Any]:
    """The mark of a cell that was not measured, as matplotlib's options."""
    return {
        "color": colour,
        "marker": FAILED[status],
        "markersize": MARKER_SIZE + 1.4,
        "markeredgewidth": 1.0,
        "markerfacecolor": "white",
        "linestyle": "none",
    }


def open_mark(stroke: Stroke) -> dict[str, Any]:
    """What lies over the mark of a launch-bound point, as matplotlib's options."""
    colour = stroke.look.colour
    return {
        "color": colour,
        "marker": stroke.look.marker,
        "markersize": MARKER_SIZE + 0.6,
        "markeredgewidth": 0.7,
        "markerfacecolor": "white",
        "linestyle": "none",
    }


def arrowhead(colour: str) -> dict[str, Any]:
    """What stands above a cell whose height is not known, as matplotlib's options."""
    return {"color": colour, "marker": UNKNOWN_HEIGHT, "markersize": 3}
