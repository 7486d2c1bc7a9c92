"""A case at level model: a backbone with the mechanism inside, its input, and its logits.

A model is a plugin of the room `models`, called here by its contract alone (softbench.contract.
models says it). It takes one input and gives logits, [B, num_classes].
"""

from __future__ import annotations

import json
from types import ModuleType
from typing import Any

import torch
from torch import Tensor, nn

from softbench import plugins
from softbench.case import Case
from softbench.workload.inputs import stream, torch_dtype


def why_not(case: Case) -> str | None:
    """Why the model cannot have the mechanism inside, with the parameters given; None if it can."""
    plugin, params = _of(case)
    reason: str | None = plugin.supports(params, case.attention, case.params)
    return reason


def module(case: Case, generator: torch.Generator) -> nn.Module:
    """The model, its weights drawn from `generator`."""
    plugin, params = _of(case)
    built: nn.Module = plugin.build(
        params,
        attention=case.attention,
        attention_params=case.params,
        backend=case.backend,
        generator=generator,
    )
    return built


def draw_input(case: Case) -> Tensor:
    """Images or tokens as the model draws them; on the meta device the host allocates nothing."""
    plugin, params = _of(case)
    with torch.device("meta" if case.device == "meta" else "cpu"):
        drawn: Tensor = plugin.draw(
            params, case.shape.batch_size, stream(case, "x"), torch_dtype(case.dtype)
        )
    return drawn.to(case.device)


def draw_cotangent(case: Case) -> Tensor:
    """Of the logits, N(0, 1): what a loss would hand to the backward."""
    sizes, dtype = logits_shape(case), torch_dtype(case.dtype)
    if case.device == "meta":
        return torch.empty(sizes, dtype=dtype, device="meta")
    drawn_BK = torch.randn(sizes, generator=stream(case, "cotangent"))
    return drawn_BK.to(device=case.device, dtype=dtype)


def logits_shape(case: Case) -> tuple[int, int]:
    """(batch_size, num_classes)."""
    return case.shape.batch_size, _of(case)[1].num_classes


def flops(case: Case) -> dict[str, int]:
    """The model's own FLOPs of one step by term."""
    plugin, params = _of(case)
    terms: dict[str, int] = plugin.flops(
        params,
        batch_size=case.shape.batch_size,
        attention=case.attention,
        attention_params=case.params,
        backend=case.backend,
        mode=case.mode,
    )
    return terms


def _of(case: Case) -> tuple[ModuleType, Any]:
    """The plugin and its Params, read as JSON: a pair of sizes comes as a list."""
    given = dict(case.model or {})
    plugin = plugins.load("models", given.pop("name"))
    return plugin, plugin.Params.model_validate_json(json.dumps(given))
