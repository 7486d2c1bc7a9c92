"""What the Params of every room must satisfy: a Value whose fields are described and bounded."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from types import ModuleType
from typing import Annotated, Any, get_args, get_origin

from softbench.case import Value

BOUNDS = ("ge", "gt", "le", "lt", "interval")


def problems(module: ModuleType) -> Iterator[str]:
    """What keeps `module.Params` from being a suite's schema and its documentation."""
    if not (isinstance(module.Params, type) and issubclass(module.Params, Value)):
        yield "Params must be a softbench.case.Value: frozen, refusing unknown fields"
        return
    for name_of_field, field in module.Params.model_fields.items():
        if not field.description:
            yield f"Params.{name_of_field} has no description"
        if _unbounded(field.annotation, field.metadata):
            yield f"Params.{name_of_field} has no bounds"


def _unbounded(kind: Any, rules: Sequence[Any]) -> bool:
    """Whether `kind` takes any number: an int or float, or a union with one, under no bound."""
    if get_origin(kind) is Annotated:
        kind, *told = get_args(kind)
        rules = [rule for one in told for rule in getattr(one, "metadata", [one])]
    if kind in (int, float):
        return not any(hasattr(rule, bound) for rule in rules for bound in BOUNDS)
    return any(_unbounded(part, rules) for part in get_args(kind))
