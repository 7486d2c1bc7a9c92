"""What every mechanism must satisfy; the tests and `softbench check` both call it.

Each check is a small generator of problems, in words for the one who wrote the plugin.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from types import ModuleType
from typing import Any

import torch
from torch import Tensor

from softbench import plugins
from softbench.case import Case, Level, Mode, Shape, Value
from softbench.metrics import flops
from softbench.workload import build

SHAPE = Shape(batch_size=2, num_heads=2, seq_len=196, head_dim=8)
LEVELS: tuple[Level, ...] = ("operator", "layer")
MODES: tuple[Mode, ...] = ("forward", "forward_backward")
BOUNDS = ("ge", "gt", "le", "lt", "interval", "multiple_of")


def problems(room: str, name: str) -> list[str]:
    """Everything that keeps the plugin from its room's contract; empty if nothing does."""
    module = plugins.load(room, name)
    missing = [must for must in (*plugins.ROOMS[room], "__doc__") if not hasattr(module, must)]
    if missing:
        return [f"{room} {name} does not define {', '.join(missing)}"]
    found = list(_docstring(module))
    if room == "attention":
        for check in (_params, _backends, _outputs, _gradients, _twins, _counts):
            try:
                found += check(name, module)
            except Exception as error:  # a check that a plugin breaks is a problem of the plugin
                found.append(f"{check.__name__[1:]}: {type(error).__name__}: {error}")
    return found


def case(name: str, **changes: Any) -> Case:
    """A small case of the mechanism with its own defaults at that level, float64 on the CPU."""
    module = plugins.load("attention", name)
    level = changes.get("level", "operator")
    params = module.Params(**getattr(module, "LEVEL_DEFAULTS", {}).get(level, {}))
    plain = {
        "level": level,
        "attention": name,
        "params": params.model_dump(mode="json"),
        "backend": "eager",
        "shape": SHAPE,
        "inputs": "normal",
        "dtype": "float64",
        "device": "cpu",
        "mode": "forward",
        "compile": False,
        "seed": 0,
    }
    return Case.model_validate({**plain, **changes})


def _docstring(module: ModuleType) -> Iterator[str]:
    first = (module.__doc__ or "").strip().split("\n")[0]
    if not first:
        yield "the module docstring's first line says what it is; there is none"
    elif not re.search(r"\b(19|20)\d\d\b", module.__doc__ or "") and hasattr(module, "attend"):
        yield "the module docstring cites no paper (no year in it)"


def _params(name: str, module: ModuleType) -> Iterator[str]:
    if not (isinstance(module.Params, type) and issubclass(module.Params, Value)):
        yield "Params must be a softbench.case.Value: frozen, refusing unknown fields"
        return
    for field_name, field in module.Params.model_fields.items():
        if not field.description:
            yield f"Params.{field_name} has no description"
        bounded = any(hasattr(rule, bound) for rule in field.metadata for bound in BOUNDS)
        if field.annotation in (int, float) and not bounded:
            yield f"Params.{field_name} has no bounds"
    if module.RANK is not None and module.RANK not in module.Params.model_fields:
        known = plugins.did_you_mean(module.RANK, module.Params.model_fields)
        yield f"RANK {module.RANK!r} is no field of Params; {known}"


def _backends(name: str, module: ModuleType) -> Iterator[str]:
    if module.BACKENDS.get("eager") is not module.attend:
        yield "BACKENDS['eager'] must be attend itself, the plain twin of every other backend"


def _outputs(name: str, module: ModuleType) -> Iterator[str]:
    for level in LEVELS:
        for dtype in ("float64", "float32", "bfloat16"):
            workload = build(case(name, level=level, dtype=dtype))
            before = [tensor.clone() for tensor in workload.inputs]
            output = workload.step()
            where = f"{level} {dtype}"
            if output.shape != workload.inputs[0].shape:
                yield f"{where}: output {tuple(output.shape)}, input {tuple(before[0].shape)}"
            if not bool(torch.isfinite(output).all()):
                yield f"{where}: the output is not finite"
            if not torch.equal(output, workload.step()):
                yield f"{where}: two calls on the same inputs differ"
            if not all(map(torch.equal, before, workload.inputs)):
                yield f"{where}: the call changes its inputs"
            if not torch.equal(output, build(case(name, level=level, dtype=dtype)).step()):
                yield f"{where}: the same seed builds another module"


def _gradients(name: str, module: ModuleType) -> Iterator[str]:
    for level in LEVELS:
        workload = build(case(name, level=level, mode="forward_backward"))
        workload.step()
        for tensor in (*workload.inputs, *workload.module.parameters()):
            if tensor.grad is None or not bool(torch.isfinite(tensor.grad).all()):
                yield f"{level}: a gradient is missing or not finite"
                break


def _twins(name: str, module: ModuleType) -> Iterator[str]:
    """Every backend equals attend in float64, in outputs and gradients."""
    for backend in module.BACKENDS:
        plain, fast = (
            _output_and_gradients(case(name, backend=one, mode="forward_backward"))
            for one in ("eager", backend)
        )
        for what, ours, theirs in zip(("output", "gradients"), plain, fast, strict=True):
            error = float((ours - theirs).norm() / ours.norm())
            if not error <= 1e-10:
                yield f"backend {backend}: {what} differ from eager by {error:.2g} (rule: 1e-10)"


def _output_and_gradients(one: Case) -> tuple[Tensor, Tensor]:
    workload = build(one)
    output = workload.step()
    gradients = [tensor.grad.flatten() for tensor in workload.inputs if tensor.grad is not None]
    return output, torch.cat(gradients)


def _counts(name: str, module: ModuleType) -> Iterator[str]:
    """The closed form equals the dispatch count at every level, backend and mode."""
    for level in LEVELS:
        for backend in module.BACKENDS:
            for mode in MODES:
                one = case(name, level=level, backend=backend, mode=mode)
                formula = sum(flops.closed_form(one).values())
                counted = flops.dispatch_count(one).total
                if formula != counted:
                    yield (
                        f"{level} {backend} {mode}: flops() says {formula}, "
                        f"the dispatch count {counted}"
                    )
