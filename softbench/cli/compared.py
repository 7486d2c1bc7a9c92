"""A comparison as machines read it, in SI units."""

from __future__ import annotations

from typing import Any

from softbench.cli.comparing import CHANCE, Cell, Comparison
from softbench.cli.sides import Side
from softbench.reports._points import Point


def as_json(found: Comparison) -> dict[str, Any]:
    """Everything that was found, as one JSON object."""
    measured, differ = found.by_interval
    return {
        "a": _side(found.a),
        "b": _side(found.b),
        "machine_differs": {name: list(pair) for name, pair in found.machine.items()},
        "versions_differ": {name: list(pair) for name, pair in found.versions.items()},
        "refused": found.barrier if found.refused else None,
        "judged_by_interval": measured,
        "different": differ,
        "different_by_chance": CHANCE * measured,
        "different_in_every_call": found.by_every_call,
        "cells": [_cell(cell) for cell in found.cells],
        "only_a": [_name(point) for point in found.only_a],
        "only_b": [_name(point) for point in found.only_b],
    }


def _side(side: Side) -> dict[str, Any]:
    environment = side.environment
    return {
        "folder": str(side.folder),
        "environment": environment.id,
        "protocol": side.protocol,
        "machine": environment.model_dump(mode="json"),
    }


def _cell(cell: Cell) -> dict[str, Any]:
    found = cell.ratio
    ratio = found and {"centre": found.centre, "low": found.low, "high": found.high}
    judged = {"ratio": ratio, "verdict": cell.verdict, "reason": cell.reason}
    values = {"a": _measured(cell.a), "b": _measured(cell.b)}
    return _name(cell.a) | {"unit": cell.a.unit, "better": cell.a.better} | values | judged


def _name(point: Point) -> dict[str, Any]:
    return {"case": point.case.id, "label": point.case.label, "quantity": point.quantity}


def _measured(point: Point) -> dict[str, Any]:
    found = point.estimate
    return {
        "status": point.status,
        "value": found.centre if found else None,
        "low": found.low if found else None,
        "high": found.high if found else None,
        "processes": found.num_processes if found else 0,
        "record_ids": list(point.record_ids),
    }
