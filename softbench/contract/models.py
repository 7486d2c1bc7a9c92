"""What every model must satisfy: its fields, its input and logits, its seed, and its counts.

A model is a module of the room `models` that defines

- `Params`: all of it has a default; `num_classes` among it, and no `name`.
- `shape(params, batch_size)`: the Shape of the attention in its first block.
- `supports(params, mechanism, attention_params)`: None, or why it cannot have the mechanism inside.
- `build(params, *, attention, attention_params, backend, generator)`: an nn.Module, from one input
  to logits [B, num_classes], all of it drawn from the generator. attention_params: what a suite
  gave of the mechanism's; the model has the rest, a layer's defaults or others by stage.
- `draw(params, batch_size, generator, dtype)`: an input. Values do not depend on the dtype, and
  where the default device is meta there are none.
- `flops(params, *, batch_size, attention, attention_params, backend, mode)`: closed form by term.
  In forward_backward with the gradients of all parameters and of no input. The terms `norms`,
  `solver` and `recomputation` are left out of `macs`, as they are for mechanisms.
"""

from __future__ import annotations

from collections.abc import Iterator
from types import ModuleType
from typing import Any

import torch

from softbench import plugins
from softbench.case import Case, Unsupported
from softbench.contract import fields
from softbench.contract.attention import MODES
from softbench.metrics import flops
from softbench.workload import build


def case(name: str, **changes: Any) -> Case:
    """A case of the model with its defaults, softmax inside, one image, on the meta device."""
    module = plugins.load("models", name)
    params = module.Params()
    plain = {
        "level": "model",
        "model": {"name": name, **params.model_dump(mode="json")},
        "attention": "softmax",
        "params": {},
        "backend": "eager",
        "shape": module.shape(params, 1),
        "inputs": "normal",
        "dtype": "float32",
        "device": "meta",
        "mode": "forward",
        "compile": False,
        "seed": 0,
    }
    return Case.model_validate({**plain, **changes})


def _params(name: str, module: ModuleType) -> Iterator[str]:
    yield from fields.problems(module)
    known = getattr(module.Params, "model_fields", {})
    if "num_classes" not in known:
        yield "Params has no num_classes: logits are [batch_size, num_classes]"
    if "name" in known:
        yield "Params has a field `name`, which is the model's own in a suite"


def _shape(name: str, module: ModuleType) -> Iterator[str]:
    found = module.shape(module.Params(), 3).batch_size
    if found != 3:
        yield f"shape says a batch of {found} for one of 3"


def _input(name: str, module: ModuleType) -> Iterator[str]:
    """The same from the same seed, in any dtype; a batch of that size."""
    first, again, half = (
        module.draw(module.Params(), 2, torch.Generator().manual_seed(0), dtype)
        for dtype in (torch.float32, torch.float32, torch.bfloat16)
    )
    if first.shape[0] != 2:
        yield f"draw gives {tuple(first.shape)} for a batch of 2"
    if not torch.equal(first, again):
        yield "draw gives other values from a generator of the same seed"
    if not torch.equal(first.to(half.dtype), half):
        yield "draw gives other values in another dtype, and not the same ones cast"


def _logits(name: str, module: ModuleType) -> Iterator[str]:
    workload = build(case(name, device="cpu"))
    output, wanted = workload.step(), (1, module.Params().num_classes)
    if output.shape != wanted:
        yield f"output {tuple(output.shape)}; logits are {wanted}"
    if not bool(torch.isfinite(output).all()):
        yield "the output is not finite"
    if not torch.equal(output, build(case(name, device="cpu")).step()):
        yield "the same seed builds another model, or two calls differ"


def _gradients(name: str, module: ModuleType) -> Iterator[str]:
    workload = build(case(name, mode="forward_backward"))
    workload.step()
    without = [key for key, one in workload.module.named_parameters() if one.grad is None]
    if without:
        yield f"no gradient reaches {', '.join(without)}"


def _counts(name: str, module: ModuleType) -> Iterator[str]:
    """The closed form equals the dispatch count with every mechanism that it can have inside."""
    for mechanism in plugins.names("attention"):
        for mode in MODES:
            one = case(name, attention=mechanism, mode=mode)
            try:
                counted = flops.dispatch_count(one).total
            except Unsupported:
                break
            formula = sum(flops.closed_form(one).values())
            if formula != counted:
                yield f"{mechanism} {mode}: flops() says {formula}, the dispatch count {counted}"


CHECKS = (_params, _shape, _input, _logits, _gradients, _counts)
