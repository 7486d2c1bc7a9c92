"""Names for the cells of a suite: short, and no two alike."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

from softbench.case import Case


def names(cases: Sequence[Case]) -> dict[str, str]:
    """Case id to name: its label, and what sets it apart where labels are alike."""
    flat = {case.id: flat_of(case) for case in cases}
    labels = {case.id: case.label for case in cases}
    shared = Counter(labels.values())
    found = {}
    for id, label in labels.items():
        twins = [flat[other] for other, theirs in labels.items() if theirs == label]
        found[id] = label if shared[label] == 1 else " ".join([label, *_apart(flat[id], twins)])
    return found


def flat_of(case: Case) -> dict[str, Any]:
    """Everything that a case holds, by dotted keys: shape.seq_len, params.num_landmarks."""
    return _flat(case.model_dump(mode="json"))


def _flat(content: dict[str, Any], above: str = "") -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key, value in content.items():
        found |= _flat(value, f"{above}{key}.") if isinstance(value, dict) else {above + key: value}
    return found


def _apart(mine: dict[str, Any], twins: Sequence[dict[str, Any]]) -> list[str]:
    """`key=value` for what is not the same in all of them."""
    keys = dict.fromkeys(key for twin in twins for key in twin)
    differing = [key for key in keys if len({repr(twin.get(key)) for twin in twins}) > 1]
    kept = [key for key in differing if key != "shape.grid" or "shape.seq_len" not in differing]
    return [f"{key.rpartition('.')[2]}={mine[key]}" for key in kept if key in mine]
