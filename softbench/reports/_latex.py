"""A table in LaTeX with booktabs rules; all text is escaped, so that any name compiles."""

from __future__ import annotations

import itertools
import unicodedata
from dataclasses import replace

from softbench.reports._grid import Cell, Grid, Row

Rows = tuple[Row, ...]

NEEDS = "% Needs \\usepackage{booktabs} in the preamble.\n"
PAGE_POINTS = 7.0 * 72.27  # the text width of a paper, both columns
NARROW = 50  # so many letters fit one column of two
TYPES = (("small", 9.0, 6), ("footnotesize", 8.0, 4), ("scriptsize", 7.0, 3))
MOST_ROWS = 48
LONG = 12  # letters of a heading on one line

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
    "≈": r"$\approx$",
    "∞": r"$\infty$",
    "α": r"$\alpha$",
    "·": r"$\cdot$",
    "→": r"$\to$",
    "≤": r"$\leq$",
}


def escape(text: str) -> str:
    """`text` as LaTeX prints it; a letter that plain LaTeX lacks becomes its name in words."""
    return "".join(ESCAPES.get(letter) or _plain(letter) for letter in text)


def table(grid: Grid, title: str, notes: str, name: str) -> str:
    """Floats with the table and the label tab:`name`; the notes stand with the first of them.

    A table of more rows than a page holds goes on in further floats. The type is as large as the
    width of a page allows.
    """
    parts = _pages(grid.rows)
    captions = [f"{title}. {notes}", *[f"{title}, continued."] * (len(parts) - 1)]
    labels = [name, *(f"{name}-{number}" for number in range(2, len(parts) + 1))]
    floats = [
        _float(replace(grid, rows=rows), caption, label)
        for rows, caption, label in zip(parts, captions, labels, strict=True)
    ]
    return "\n".join(floats)


def _float(grid: Grid, caption: str, label: str) -> str:
    size, separation = type_of(grid)
    kind = "table" if _letters(grid) <= NARROW else "table*"
    lines = [
        rf"\begin{{{kind}}}",
        rf"\centering\{size}\setlength{{\tabcolsep}}{{{separation}pt}}",
        rf"\caption{{{escape(caption.strip())}}}",
        rf"\label{{tab:{label}}}",
        rf"\begin{{tabular}}{{{grid.alignment}}}",
        r"\toprule",
        _row([_title(*one) for one in zip(grid.heading, grid.alignment, strict=True)]),
        *_body(grid),
        r"\bottomrule",
        r"\end{tabular}",
        rf"\end{{{kind}}}",
    ]
    return "\n".join(lines) + "\n"


def _pages(rows: Rows) -> list[Rows]:
    """The rows of each float; rows that stand under one thing stay together where they fit."""
    blocks = [tuple(alike) for _, alike in itertools.groupby(rows, key=lambda row: row[0])]
    cut = [b[i : i + MOST_ROWS] for b in blocks for i in range(0, len(b), MOST_ROWS)]
    pages: list[Rows] = [()]
    for block in cut:
        if len(pages[-1]) + len(block) > MOST_ROWS:
            pages.append(())
        pages[-1] += block
    return pages


def type_of(grid: Grid) -> tuple[str, int]:
    """The largest type (its name, and the points between columns) in which the table fits."""
    return next(
        (
            (size, apart)
            for size, points, apart in TYPES
            if width(grid, points, apart) <= PAGE_POINTS
        ),
        TYPES[-1][::2],
    )


def width(grid: Grid, points: float, apart: int) -> float:
    """The table's width in points in type of so many points: half of them a letter."""
    return _letters(grid) * points / 2 + 2 * apart * len(grid.heading)


def _letters(grid: Grid) -> int:
    """The widths of all columns together, in letters; bold and braces not counted."""
    widths = [max(map(len, _halves(heading))) for heading in grid.heading]
    for under, label, cells in grid.rows:
        lengths = map(len, (under, label, *(cell.text for cell in cells)))
        widths = [max(pair) for pair in zip(widths, lengths, strict=True)]
    return sum(widths)


def _title(heading: str, side: str) -> str:
    """A heading, on two lines if it is long."""
    halves = [escape(half) for half in _halves(heading)]
    return halves[0] if len(halves) == 1 else rf"\shortstack[{side}]{{{halves[0]}\\{halves[1]}}}"


def _halves(heading: str) -> list[str]:
    """Broken at the space that makes the longer line shortest."""
    if len(heading) <= LONG or " " not in heading:
        return [heading]
    words = heading.split(" ")
    breaks = [(" ".join(words[:i]), " ".join(words[i:])) for i in range(1, len(words))]
    return list(min(breaks, key=lambda lines: max(map(len, lines))))


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
