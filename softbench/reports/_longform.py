"""Points as CSV, one row each, in SI units, each traceable to its case and its records."""

from __future__ import annotations

import csv
import json
from collections.abc import Mapping, Sequence
from pathlib import Path

from softbench.reports._groups import Group
from softbench.reports._labels import labels
from softbench.reports._points import Point


def write(path: Path, table: Sequence[Mapping[str, object]]) -> Path:
    """Write the rows of `table` to `path`, under the first one's keys. Returns the path."""
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, fieldnames=list(table[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(table)
    return path


def rows(group: Group) -> list[dict[str, object]]:
    """Every point of a group: what identifies it, what came out, and where that came from."""
    names = labels(group.series)
    return [
        {
            "label": names[point.series],
            **_identity(point),
            **_model(point, group),
            **_outcome(point),
            "environment": group.fixed["environment"],
            "protocol": group.fixed["protocol"],
            "case_id": point.case.id,
            "record_ids": " ".join(point.record_ids),
        }
        for point in group.points
    ]


def _identity(point: Point) -> dict[str, object]:
    case, shape = point.case, point.case.shape
    return {
        "attention": case.attention,
        "backend": case.backend,
        "params": point.series.params,
        "level": case.level,
        "mode": case.mode,
        "batch_size": shape.batch_size,
        "num_heads": shape.num_heads,
        "seq_len": shape.seq_len,
        "head_dim": shape.head_dim,
        "inputs": case.inputs,
        "dtype": case.dtype,
        "device": case.device,
        "compile": case.compile,
        "seed": case.seed,
    }


def _model(point: Point, group: Group) -> dict[str, object]:
    """The whole model as JSON, in a column that is there if any record of the report has one."""
    if "model" not in group.fixed:
        return {}
    model = point.case.model
    return {"model": json.dumps(model, sort_keys=True) if model else ""}


def _outcome(point: Point) -> dict[str, object]:
    found = point.estimate
    return {
        "quantity": point.quantity,
        "unit": point.unit,
        "better": point.better,
        "status": point.status,
        "value": found.centre if found else None,
        "low": found.low if found else None,
        "high": found.high if found else None,
        "num_processes": found.num_processes if found else 0,
        "without_interval": found.without_interval if found else None,
        "predicted": point.predicted,
        "asked": point.remarks.asked,
        "launch_bound": point.remarks.launch_bound,
        "drifted": point.remarks.drifted,
        "reason": point.reason,
    }
