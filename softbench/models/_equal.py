"""The width of MLPs, and one that makes models of different mechanisms equally large.

Mechanisms have weights of their own: SOFT projects keys and queries by one matrix, Linformer has
projections over tokens, others convolutions. Where a comparison is to be of one number of weights,
the MLPs take up the difference to softmax, to within half of what one of their channels has.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from functools import cache
from typing import Any

import torch

from softbench import plugins
from softbench.case import Shape, Unsupported

REFERENCE = "softmax"


def hidden(
    dim: int, ratio: float, where: Shape, mechanism: str, settings: Any, *, equal: bool
) -> int:
    """Channels inside an MLP of `dim`: `ratio` times as many or, if `equal`, what fits the rest.

    where, settings: of the mechanism's layer in the same block.
    Raises Unsupported where the mechanism has more weights than the MLP could make up for.
    """
    plain = int(dim * ratio)
    if not equal or mechanism == REFERENCE:
        return plain
    own, wanted = (
        _weights(where.model_dump_json(), name, json.dumps(given, sort_keys=True))
        for name, given in ((mechanism, settings.model_dump(mode="json")), (REFERENCE, {}))
    )
    per_channel = 2 * dim + 1  # a row, a column and a bias
    fitting = plain + round((wanted - own) / per_channel)
    if fitting < 1:
        raise Unsupported(
            f"equal_parameters: {mechanism} has {own:,} weights where {REFERENCE} has {wanted:,}, "
            f"more than an MLP of {plain} channels makes up for; it takes an mlp_ratio of "
            f"{math.ceil(10 * (plain - fitting + 1) / dim) / 10} or a mechanism with fewer"
        )
    return fitting


@cache
def _weights(where: str, mechanism: str, settings: str) -> int:
    """How many weights the mechanism's layer has there."""
    module = plugins.load("attention", mechanism)
    given: Mapping[str, Any] = json.loads(settings)
    with torch.random.fork_rng(devices=[]), torch.device("meta"):
        layer = module.Attention(
            Shape.model_validate_json(where),
            module.Params(**given),
            backend="eager",
            generator=torch.Generator(device="cpu"),
        )
    return sum(weight.numel() for weight in layer.parameters())
