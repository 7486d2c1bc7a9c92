"""A results folder: what describes it, which of its records are shown, its reports."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml

from softbench import plugins, records
from softbench.case import Case, Record
from softbench.environment import Environment, Invocation
from softbench.records import RecordsError
from softbench.suite import Suite

CELLS = "cells.json"


def results_below(folder: Path) -> list[Path]:
    """The folders with records at or below `folder`. Raises RecordsError if there are none."""
    found = sorted(file.parent for file in folder.rglob(records.FILE))
    if not found:
        why = "no such folder" if not folder.is_dir() else f"no {records.FILE} in it or below it"
        raise RecordsError(f"{folder}: {why}; `softbench run SUITE` makes one")
    return found


def draw(folder: Path, wanted: Sequence[str] = ()) -> list[Path]:
    """Render the reports that the suite names, or those wanted; the files written."""
    shown, named = selection(folder)
    if not shown:
        raise RecordsError(f"{folder}: no record of the suite's cells to draw")
    return [
        path
        for name in wanted or named
        for path in plugins.load("reports", name).render(shown, folder)
    ]


def selection(folder: Path) -> tuple[list[Record], list[str]]:
    """The newest record of each of the suite's present cells, and the reports it names."""
    found = records.latest(records.of_newest_protocol(records.read(folder)))
    if not (folder / CELLS).exists():
        return found, plugins.names("reports")
    told = json.loads((folder / CELLS).read_text())
    present = set(told["cases"])
    return [record for record in found if record.case.id in present], told["reports"]


def describe(
    folder: Path,
    suite: Suite,
    source: str | dict[str, Any],
    cases: Sequence[Case],
    environment: Environment,
) -> None:
    """Write the suite as run, its cells and the environment beside the records.

    The cells keep out of the figures what was recorded before a suite was edited.
    """
    text = source if isinstance(source, str) else yaml.safe_dump(source, sort_keys=False)
    (folder / "suite.yaml").write_text(text, encoding="utf-8")
    cells = {"cases": [case.id for case in cases], "reports": suite.reports}
    _write_json(folder / CELLS, cells)
    _write_json(folder / "environment.json", environment.model_dump(mode="json"))


def invocations(folder: Path) -> list[Invocation]:
    """Every invocation that measured into the folder."""
    path = folder / "invocations.jsonl"
    lines = path.read_text().splitlines() if path.exists() else []
    return [Invocation.model_validate_json(line) for line in lines]


def _write_json(path: Path, content: dict[str, Any]) -> None:
    path.write_text(json.dumps(content, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
