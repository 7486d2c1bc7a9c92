"""A results folder: what describes it, which of its records are shown, its reports."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable, Sequence
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
        why = f"no {records.FILE} in it or below it" if folder.is_dir() else "no such folder"
        raise RecordsError(f"{folder}: {why}; `softbench run SUITE` makes one")
    return found


class NothingToDrawError(RecordsError):
    """A report for which the records hold nothing."""


def draw(folder: Path, tell: Callable[[str], None], wanted: Sequence[str] = ()) -> list[Path]:
    """Render the reports wanted, or those that the suite names; the files written.

    Of those that the suite names, one with nothing to draw is told of and keeps no other back.
    Raises NothingToDrawError if none has anything to draw, or one that was wanted has not.
    """
    shown, named = selection(folder)
    if not shown:
        raise NothingToDrawError(f"{folder}: no record of the suite's cells to draw")
    if wanted:
        return [path for name in wanted for path in _render(name, shown, folder)]
    files, empty = [], []
    for name in named:
        try:
            files += _render(name, shown, folder)
        except NothingToDrawError as nothing:
            empty.append(nothing)
    if empty and not files:
        raise empty[0]
    for one in empty:
        tell(str(one))
    return files


def _render(name: str, shown: Sequence[Record], folder: Path) -> list[Path]:
    """The files of one report. Raises NothingToDrawError, or RecordsError if it cannot write."""
    report = plugins.load("reports", name)
    try:
        files: list[Path] = report.render(shown, folder)
    except ValueError as error:
        raise NothingToDrawError(f"{folder}: report {name}: {error}") from None
    except OSError as error:
        raise RecordsError(f"cannot write {error.filename or folder}: {error.strerror}") from None
    return files


def selection(folder: Path) -> tuple[list[Record], list[str]]:
    """The newest record of each of the suite's present cells, and the reports it names."""
    found = records.latest(records.of_newest_protocol(records.read(folder)))
    if not (folder / CELLS).exists():
        return found, plugins.names("reports")
    cells = _cells(folder)
    cases, quantities = set(cells["cases"]), set(cells["quantities"])
    shown = [
        record
        for record in found
        if record.case.id in cases
        and record.metric in quantities
        and record.repeat < cells["repeats"]
    ]
    return shown, cells["reports"]


def describe(
    folder: Path, suite: Suite, cases: Sequence[Case], environment: Environment, *, narrowed: bool
) -> None:
    """Write which cells the suite has, and the environment, beside the records.

    The cells keep out of the figures what was recorded before a suite was edited. A run that was
    narrowed or changed on the command line adds its cells to those that are there.
    """
    quantities = [q for name in suite.metrics for q in plugins.load("metrics", name).QUANTITIES]
    before = _cells(folder) if narrowed and (folder / CELLS).exists() else _NO_CELLS
    cells = {
        "cases": list(dict.fromkeys([*before["cases"], *(case.id for case in cases)])),
        "quantities": list(dict.fromkeys([*before["quantities"], *quantities])),
        "repeats": max(before["repeats"], suite.repeats),
        "reports": list(dict.fromkeys([*before["reports"], *suite.reports])),
    }
    _write_json(folder / CELLS, cells)
    _write_json(folder / "environment.json", environment.model_dump(mode="json"))


def keep_suite(folder: Path, source: Path, changed: dict[str, Any] | None) -> None:
    """The suite as run, beside its records; one `changed` only where no whole one stands."""
    kept = folder / "suite.yaml"
    if changed is None:
        _write(kept, source.read_text(encoding="utf-8"))
    elif not kept.exists():
        _write(kept, yaml.safe_dump(changed, sort_keys=False, allow_unicode=True))


_NO_CELLS: dict[str, Any] = {"cases": [], "quantities": [], "repeats": 0, "reports": []}


def _cells(folder: Path) -> dict[str, Any]:
    """What `describe` wrote. Raises RecordsError if something else stands there."""
    try:
        told: dict[str, Any] = json.loads((folder / CELLS).read_bytes())
        if {key: type(told[key]) for key in _NO_CELLS} == {
            k: type(v) for k, v in _NO_CELLS.items()
        }:
            return told
    except (ValueError, KeyError, TypeError):
        pass
    raise RecordsError(
        f"{folder / CELLS}: not as softbench wrote it; `softbench run SUITE` writes it again"
    )


def invocations(folder: Path) -> list[Invocation]:
    """Every invocation that measured into the folder, but for lines that are damaged."""
    path = folder / "invocations.jsonl"
    found = []
    for line in path.read_bytes().splitlines() if path.exists() else []:
        with contextlib.suppress(ValueError):
            found.append(Invocation.model_validate_json(line))
    return found


def _write_json(path: Path, content: dict[str, Any]) -> None:
    _write(path, json.dumps(content, indent=1, ensure_ascii=False) + "\n")


def _write(path: Path, text: str) -> None:
    """All of it or nothing, whenever a kill falls."""
    whole = path.with_name(f"{path.name}.new")
    whole.write_text(text, encoding="utf-8")
    whole.replace(path)
