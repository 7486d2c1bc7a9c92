"""A table in Markdown; text is escaped, so that no name can break a row."""

from __future__ import annotations

from softbench.reports._grid import Cell, Grid

SPECIAL = "\\|*_`<[]"


def escape(text: str) -> str:
    """`text` as Markdown prints it, on one line."""
    return "".join(f"\\{letter}" if letter in SPECIAL else letter for letter in text)


def table(grid: Grid) -> str:
    """The heading, the rule and the rows."""
    rule = ["---:" if side == "r" else ":---" for side in grid.alignment]
    rows = [[escape(under), escape(label), *map(_cell, cells)] for under, label, cells in grid.rows]
    return "\n".join("| " + " | ".join(row) + " |" for row in [list(grid.heading), rule, *rows])


def _cell(cell: Cell) -> str:
    # Brackets around an interval are no link as long as no parenthesis follows them.
    text = "".join(f"\\{letter}" if letter in "\\|*_`<" else letter for letter in cell.text)
    return f"**{text}**" if cell.best else text
