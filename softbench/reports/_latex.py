"""A table in LaTeX with booktabs rules; all text is escaped, so that any name compiles."""

from __future__ import annotations

import unicodedata

from softbench.reports._grid import Cell, Grid

ESCAPES = {
    "\\": r"\textbackslash{}",
    "&": r"\&",
    "%": r"\%",
    "$": r"\$",
    "#": r"\#",
    "_": r"\_",
    "{": r"\{",
    "}": r"\}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
    "×": r"$\times$",
    "µ": r"$\mu$",
    "–": "--",
    "≥": r"$\geq$",
    "≤": r"$\leq$",
}


def escape(text: str) -> str:
    """`text` as LaTeX prints it; a letter that plain LaTeX lacks becomes its name in words."""
    return "".join(ESCAPES.get(letter) or _plain(letter) for letter in text)


def table(grid: Grid, caption: str, name: str) -> str:
    """A float with the table, `caption` above it, and the label tab:`name`."""
    lines = [
        r"\begin{table}",
        r"\centering\small",
        rf"\caption{{{escape(caption)}}}",
        rf"\label{{tab:{name}}}",
        rf"\begin{{tabular}}{{{grid.alignment}}}",
        r"\toprule",
        _row([escape(title) for title in grid.heading]),
        *_body(grid),
        r"\bottomrule",
        r"\end{tabular}",
        r"\end{table}",
    ]
    return "\n".join(lines) + "\n"


def _body(grid: Grid) -> list[str]:
    """The rows, a rule before each new thing they stand under, which is printed once."""
    lines, last = [], None
    for under, label, cells in grid.rows:
        if under != last:
            lines.append(r"\midrule")
        lines.append(
            _row([escape(under) if under != last else "", escape(label), *map(_cell, cells)])
        )
        last = under
    return lines


def _cell(cell: Cell) -> str:
    # Braces keep a cell that opens with "[" from being read as an option of the row before it.
    return rf"\textbf{{{escape(cell.text)}}}" if cell.best else f"{{{escape(cell.text)}}}"


def _row(cells: list[str]) -> str:
    return " & ".join(cells) + r" \\"


def _plain(letter: str) -> str:
    return letter if ord(letter) < 0x180 else f"({unicodedata.name(letter, 'symbol').lower()})"
