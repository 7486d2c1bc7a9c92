"""What models are called: by name, and by what tells one from others of the same name."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from softbench.case import Case

OF_IMAGES = ("image_size", "patch_size", "in_chans")  # which a model of sequences has no use for


def names(cases: Iterable[Case]) -> dict[str, str]:
    """A short and different name for every model among `cases`, by `key`; none has no name."""
    bodies = {key(case): case.body for case in cases if case.body}
    return {id_: _name(body, list(bodies.values())) for id_, body in bodies.items()}


def apart(bodies: Sequence[Mapping[str, Any]]) -> list[str]:
    """A short and different name for each of `bodies`, which have a `name`, in their order."""
    return [_name(body, bodies) for body in bodies]


def key(case: Case) -> str:
    """The model of `case` whatever its length, as canonical JSON; empty if it has none."""
    return json.dumps(case.body, sort_keys=True) if case.body else ""


def words(body: Mapping[str, Any] | None) -> str:
    """A model's name and all its parameters that say something; empty for none."""
    if body is None:
        return ""
    idle = {"name", *(OF_IMAGES if body.get("vocabulary") else ())}
    said = [_param(k, v) for k, v in body.items() if k not in idle and v not in (None, False)]
    return " ".join([str(body["name"]), *filter(None, [f"({', '.join(said)})" if said else ""])])


def _name(body: Mapping[str, Any], everyone: Iterable[Mapping[str, Any]]) -> str:
    alike = [other for other in everyone if other["name"] == body["name"]]
    told = [k for k, v in body.items() if any(other.get(k) != v for other in alike)]
    return " ".join([str(body["name"]), *(_param(k, body[k]) for k in told)])


def _param(name: str, value: Any) -> str:
    return f"{name.replace('_', ' ')} {value}"
