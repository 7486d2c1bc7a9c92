"""One of the results folders that are compared: which machine, which protocol, its cells."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from softbench.case import Record
from softbench.cli.ending import BadInputError
from softbench.cli.folder import results_below, selection
from softbench.environment import Environment
from softbench.records import RecordsError
from softbench.reports._points import Point, points

Key = tuple[str, str]


@dataclass(frozen=True)
class Side:
    """One of the two: where it lies, what measured it, its cells."""

    folder: Path
    environment: Environment
    protocol: str
    cells: Mapping[Key, Point]


def only_below(folder: Path) -> Path:
    """The results folder that `folder` is or has below it. Raises BadInputError for several."""
    found = results_below(folder)
    if len(found) > 1:
        listed = ", ".join(str(each) for each in found)
        raise BadInputError(f"{folder}: {len(found)} results folders below it, name one: {listed}")
    return found[0]


def read_side(folder: Path) -> Side:
    """The cells of a results folder. Raises RecordsError where it cannot be read."""
    shown, _ = selection(folder)
    if not shown:
        raise RecordsError(f"{folder}: no record of the suite's cells to compare")
    environment = _environment(folder)
    _refuse_a_mixture(folder, shown, environment.id)
    cells = {(point.case.id, point.quantity): point for point in points(shown)}
    return Side(folder, environment, shown[-1].protocol, cells)


def _environment(folder: Path) -> Environment:
    path = folder / "environment.json"
    try:
        return Environment.model_validate_json(path.read_bytes())
    except (OSError, ValueError):
        raise RecordsError(
            f"{path}: missing or not as softbench wrote it; without it nobody knows which machine "
            "this was"
        ) from None


def _refuse_a_mixture(folder: Path, shown: Sequence[Record], environment: str) -> None:
    others = sorted({record.environment for record in shown} - {environment})
    if others:
        raise RecordsError(
            f"{folder}: records of environment {', '.join(others)}, environment.json says "
            f"{environment}; a results folder holds one"
        )
