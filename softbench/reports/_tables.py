"""Tables with their notes: all sections of a report as one Markdown, one LaTeX and one CSV file."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from softbench.reports import _latex, _longform, _markdown
from softbench.reports._grid import Grid
from softbench.reports._groups import Group


@dataclass(frozen=True)
class Section:
    """One table; `name` ends its LaTeX label, empty notes are left out."""

    title: str
    grid: Grid
    notes: Sequence[str]
    name: str


def write(
    folder: Path, stem: str, sections: Sequence[Section], rows: Sequence[Mapping[str, object]]
) -> list[Path]:
    """Write stem.md, stem.tex and stem.csv into `folder`, which is made; returns their paths."""
    folder.mkdir(parents=True, exist_ok=True)
    markdown, latex = folder / f"{stem}.md", folder / f"{stem}.tex"
    markdown.write_text("\n".join(map(_markdown_of, sections)), encoding="utf-8")
    latex.write_text("\n".join([_latex.NEEDS, *map(_latex_of, sections)]), encoding="utf-8")
    return [markdown, latex, _longform.write(folder / f"{stem}.csv", rows)]


def title(what: str, group: Group) -> str:
    """What a section shows, and what tells its group from the others of the same report."""
    return ", ".join([what, *group.words])


def _markdown_of(section: Section) -> str:
    notes = [_markdown.escape(note) for note in section.notes if note]
    return "\n\n".join([f"## {section.title}", _markdown.table(section.grid), *notes]) + "\n"


def _latex_of(section: Section) -> str:
    notes = " ".join(note for note in section.notes if note)
    return _latex.table(section.grid, section.title, notes, section.name.replace("_", "-"))
