"""Whether two recipes train differently, and in what: a training is gone on with by its own."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from softbench.training.recipe import Recipe

# What may change from one part of a training to the next without changing what comes out.
FREE = {"log_updates", "checkpoint_updates", "data.workers", "data.check_images"}
STREAMS = ("wds", "hfids", "tfds")  # which image comes when goes by the number of readers there


def differences(ours: Recipe, theirs: Mapping[str, Any]) -> list[str]:
    """Keys, with dots, in which two recipes would train differently."""
    streams = ours.data.name.partition("/")[0].lower() in STREAMS
    free = FREE - ({"data.workers"} if streams else set())
    return [key for key in _differing(ours.model_dump(), theirs) if key not in free]


def _differing(ours: Mapping[str, Any], theirs: Mapping[str, Any], above: str = "") -> list[str]:
    found: list[str] = []
    for key in {**ours, **theirs}:
        one, other = ours.get(key), theirs.get(key)
        if isinstance(one, Mapping) and isinstance(other, Mapping):
            found += _differing(one, other, f"{above}{key}.")
        elif one != other:
            found.append(above + key)
    return found
