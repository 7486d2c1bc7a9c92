"""From plain data to a Suite, or to one line that says which key, which value and which rule."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Any

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from softbench import plugins
from softbench.case import Value
from softbench.plugins import did_you_mean
from softbench.suite.gating import Budgets, Gate
from softbench.suite.reading import SuiteError
from softbench.suite.schema import Budget, ShapeAxes, Suite


def parse(raw: dict[str, Any], name: str, where: str) -> Suite:
    """The suite in `raw`. Raises SuiteError in one line: the key, its value, the rule."""
    if "name" in raw:
        raise SuiteError(f"{where}: unknown key 'name'; a suite is called after its file")
    suite = _validated({"name": name, **raw}, where)
    for row in suite.zip:
        _check_zip_row(row, {"name": name, **raw}, where)
    rooms = {"metrics": suite.metrics, "reports": suite.reports}
    rooms["models"] = [suite.model["name"]] if suite.model else []
    rooms["tasks"] = [suite.task["name"]] if suite.task else []
    rooms["attention"] = [mechanism for mechanism in suite.attention if mechanism != "*"]
    for room, wanted in rooms.items():
        known = plugins.names(room)
        for index, plugin in enumerate(wanted):
            if plugin not in known:
                raise SuiteError(f"{where}: no {room} {plugin!r}; {did_you_mean(plugin, known)}")
            if plugin in wanted[:index]:
                raise SuiteError(f"{where}: {room}: {plugin!r} stands twice")
    return suite


def _validated(raw: dict[str, Any], where: str) -> Suite:
    try:
        return Suite.model_validate(raw)
    except ValidationError as error:
        raise SuiteError(f"{where}: {explain(error)}") from None


def _check_zip_row(row: dict[str, Any], raw: dict[str, Any], where: str) -> None:
    """A row's values obey the rules of the keys they stand for."""
    rooms = {room: dict(raw.get(room) or {}) for room in ("shape", "model", "task")}
    unzipped = {**raw, "zip": [], **{room: held for room, held in rooms.items() if held}}
    for key, value in row.items():
        if isinstance(value, list | dict):
            raise SuiteError(f"{where}: zip: {key} takes one value a row, not {value!r}")
        room, _, last = key.rpartition(".")
        (unzipped.setdefault(room, {}) if room else unzipped)[last] = value
    _validated(unzipped, f"{where}: zip")


def explain(
    error: ValidationError, beside: Callable[[Sequence[str]], list[str]] | None = None
) -> str:
    """The first thing wrong, in one line: where, which value, which rule, the nearest name.

    `beside` knows which keys may stand where an unknown one does; by itself those of a suite.
    """
    first = _first(error)
    path = [part for part in first["loc"] if isinstance(part, str) and not _is_machinery(part)]
    value = first["input"]
    if first["type"] == "extra_forbidden":
        return (
            f"unknown key {'.'.join(path)!r}; {did_you_mean(path[-1], (beside or _beside)(path))}"
        )
    if first["type"] == "missing":
        return f"the key {'.'.join(path)!r} is missing"
    if first["type"] == "value_error":
        message = str(first["ctx"]["error"])
        return f"{'.'.join(path)}: {message}" if path else message
    if first["type"] == "too_short":
        return f"{'.'.join(path)}: empty; it needs at least one"
    if options := _literals(error):
        return f"{'.'.join(path)}: no {value!r}; {did_you_mean(value, options)}"
    if isinstance(value, list | dict):
        kind = "list" if isinstance(value, list) else "mapping"
        return f"{'.'.join(path)}: a {kind} may not stand here ({first['msg']})"
    return f"{'.'.join(path)}: {value!r} is refused: {first['msg'][0].lower()}{first['msg'][1:]}"


def _first(error: ValidationError) -> ErrorDetails:
    """What to say first: that a key is missing comes after all else, it may be mistyped."""
    return min(error.errors(), key=lambda one: one["type"] == "missing")


def _beside(path: Sequence[str]) -> list[str]:
    """The keys that may stand where `path` does; at the top also those that belong deeper."""
    rooms: dict[str, type[Value]] = {
        "shape": ShapeAxes,
        "budget": Budget,
        "gate": Gate,
        "gate.budgets": Budgets,
    }
    above = ".".join(path[:-1])
    if above in rooms:
        return list(rooms[above].model_fields)
    deeper = [f"{room}.{key}" for room, value in rooms.items() for key in value.model_fields]
    return [*(key for key in Suite.model_fields if key != "name"), *deeper]


def _literals(error: ValidationError) -> list[str]:
    """The words that may stand where the first error is; none if anything else may too."""
    first = _first(error)
    alike = [one for one in error.errors() if one["input"] is first["input"]]
    if isinstance(first["input"], list | dict) or first["type"] != "literal_error":
        return []
    return [word for one in alike for word in re.findall("'([^']*)'", one["ctx"]["expected"])]


def _is_machinery(part: str) -> bool:
    """Union branches that pydantic puts into an error's path and nobody wrote."""
    return "[" in part or part == "list"
