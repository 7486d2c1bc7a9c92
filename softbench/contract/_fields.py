"""What a plugin's `Params` must be: a frozen value, every field described and bounded."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Annotated, Any, get_args, get_origin

from softbench.case import Value

BOUNDS = ("ge", "gt", "le", "lt", "interval")


def problems(params: Any) -> Iterator[str]:
    """What `params`, a plugin's Params, falls short of."""
    if not (isinstance(params, type) and issubclass(params, Value)):
        yield "Params must be a softbench.case.Value: frozen, refusing unknown fields"
        return
    for name, field in params.model_fields.items():
        if not field.description:
            yield f"Params.{name} has no description"
        if _unbounded(field.annotation, field.metadata):
            yield f"Params.{name} has no bounds"


def _unbounded(kind: Any, rules: Sequence[Any]) -> bool:
    """Whether `kind` takes any number: an int or float, or a union with one, under no bound."""
    if get_origin(kind) is Annotated:
        kind, *told = get_args(kind)
        rules = [rule for one in told for rule in getattr(one, "metadata", [one])]
    if kind in (int, float):
        return not any(hasattr(rule, bound) for rule in rules for bound in BOUNDS)
    return any(_unbounded(part, rules) for part in get_args(kind))
