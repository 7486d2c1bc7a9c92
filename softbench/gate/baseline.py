"""The committed file of counts that a suite's cases must have, one set for each version of torch.

It is written by `softbench gate SUITE --update-baseline`, in one fixed form: written again from the
same code it is the same file, so that what differs in a review is what changed.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from pydantic import Field, ValidationError

from softbench.case import Case, Value

QUANTITIES = {  # quantity to unit, as the metrics name them
    "dispatched_flops": "FLOP",
    "predicted_peak_memory": "byte",
    "operators": "count",
    "parameters": "count",
}
METRICS = ("dispatched", "predicted_peak_memory", "parameters")


class BaselineError(ValueError):
    """The baseline is not there, cannot be read or is of other versions; says what makes it."""


class Entry(Value):
    """The counts of one case. `ran`: what runs for its backend; by_operator: its operators.

    on_device: those that it dispatches where it runs, if it is small and of a CPU: on meta tensors
    a program may take another path.

    A case without meaning on this device has `unsupported`, its reason, and no counts.
    """

    case: Case
    ran: str | None = None
    unsupported: str | None = None
    counts: dict[str, int] = {}
    by_operator: dict[str, int] = {}
    on_device: dict[str, int] | None = None


class Baseline(Value):
    """Counts by torch version and name of the case."""

    version: Literal[1] = Field(default=1, alias="schema")
    suite: str
    torch: dict[str, dict[str, Entry]]


def beside(suite: Path) -> Path:
    """Where a suite's baseline lies: suites/ci.baseline.json for suites/ci.yaml."""
    return suite.with_name(f"{suite.stem}.baseline.json")


def read(path: Path) -> Baseline:
    """The baseline in a file. Raises BaselineError."""
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise BaselineError(f"no baseline {path}") from None
    except (OSError, UnicodeDecodeError) as error:
        raise BaselineError(f"{path}: {error}") from None
    try:
        found = Baseline.model_validate_json(text)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        raise BaselineError(f"{path}: {where}: {first['msg']}") from None
    for entries in found.torch.values():
        _refuse_what_counts_nothing(path, entries)
    return found


def _refuse_what_counts_nothing(path: Path, entries: Mapping[str, Entry]) -> None:
    for name, entry in entries.items():
        lacking = [] if entry.unsupported else sorted(QUANTITIES.keys() - entry.counts.keys())
        if lacking:
            raise BaselineError(f"{path}: {name} has no {', '.join(lacking)}")


def written(baseline: Baseline) -> str:
    """The file's text: everything sorted, a line a case, so that a diff names the cases."""
    versions = []
    for torch in sorted(baseline.torch):
        cells = (
            f"   {json.dumps(name)}: {_line(entry)}"
            for name, entry in sorted(baseline.torch[torch].items())
        )
        versions.append(f"  {json.dumps(torch)}: {{\n" + ",\n".join(cells) + "\n  }")
    head = (
        f' "schema": {baseline.version},\n "suite": {json.dumps(baseline.suite)},\n "torch": {{\n'
    )
    return "{\n" + head + ",\n".join(versions) + "\n }\n}\n"


def _line(entry: Entry) -> str:
    content: dict[str, Any] = entry.model_dump(mode="json", exclude_defaults=True)
    content["case"] = entry.case.model_dump(mode="json")
    return json.dumps(content, sort_keys=True)
