"""What every mechanism must satisfy: its fields, outputs, gradients, twins and counts."""

from __future__ import annotations

import re
from collections.abc import Iterator
from types import ModuleType
from typing import Any

import torch
from torch import Tensor

from softbench import plugins
from softbench.case import Case, Level, Mode, Shape, Unsupported
from softbench.contract import fields
from softbench.metrics import flops
from softbench.workload import backend_ran, build

SHAPE = Shape(batch_size=2, num_heads=2, seq_len=196, head_dim=8)
LEVELS: tuple[Level, ...] = ("operator", "layer")
MODES: tuple[Mode, ...] = ("forward", "forward_backward")
TERMS = (
    "projections",
    "landmarks",
    "distances",
    "norms",
    "solver",
    "products",
    "convolution",
    "recomputation",
)


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


def _paper(name: str, module: ModuleType) -> Iterator[str]:
    if not re.search(r"\b(19|20)\d\d\b", module.__doc__ or ""):
        yield "the module docstring cites no paper (no year in it)"


def _params(name: str, module: ModuleType) -> Iterator[str]:
    yield from fields.problems(module)
    known_fields = getattr(module.Params, "model_fields", {})
    if module.RANK is not None and module.RANK not in known_fields:
        known = plugins.did_you_mean(module.RANK, known_fields)
        yield f"RANK {module.RANK!r} is no field of Params; {known}"


def _backends(name: str, module: ModuleType) -> Iterator[str]:
    if getattr(module, "BACKENDS", {}).get("eager") is not module.attend:
        yield "BACKENDS['eager'] must be attend itself, the plain twin of every other backend"


def _support(name: str, module: ModuleType) -> Iterator[str]:
    """`supports` answers None or a reason, for a shape without a token grid too."""
    params = module.Params()
    for shape in (SHAPE, Shape(seq_len=197), Shape(seq_len=1)):
        answer = module.supports(shape, params)
        if answer is not None and not (isinstance(answer, str) and answer):
            yield f"supports answers {answer!r} for {shape.seq_len} tokens; None, or why not"
    if module.supports(SHAPE, params) is not None:
        yield f"the defaults must fit {SHAPE.seq_len} tokens; {module.supports(SHAPE, params)}"


def _outputs(name: str, module: ModuleType) -> Iterator[str]:
    for level in LEVELS:
        for dtype in ("float64", "float32", "bfloat16"):
            for problem in _output(case(name, level=level, dtype=dtype)):
                yield f"{level} {dtype}: {problem}"


def _output(one: Case) -> Iterator[str]:
    workload = build(one)
    held = [*workload.inputs, *workload.module.state_dict().values()]
    before = [tensor.clone() for tensor in held]
    output = workload.step()
    if output.shape != workload.inputs[0].shape:
        yield f"output {tuple(output.shape)}, input {tuple(workload.inputs[0].shape)}"
    if not bool(torch.isfinite(output).all()):
        yield "the output is not finite"
    if not all(map(torch.equal, before, held)):
        yield "the call changes its inputs or weights"
    if not torch.equal(output, workload.step()):
        yield "two calls on the same inputs differ"
    if not torch.equal(output, build(one).step()):
        yield "the same seed builds another module"


def _gradients(name: str, module: ModuleType) -> Iterator[str]:
    for level in LEVELS:
        workload = build(case(name, level=level, mode="forward_backward"))
        workload.step()
        for tensor in (*workload.inputs, *workload.module.parameters()):
            if tensor.grad is None or not bool(torch.isfinite(tensor.grad).all()):
                yield f"{level}: a gradient is missing or not finite"
                break


def _twins(name: str, module: ModuleType) -> Iterator[str]:
    """Every backend that the CPU has equals attend in float64, in outputs and gradients."""
    for backend in module.BACKENDS:
        if not _runs_here(case(name, backend=backend, mode="forward_backward")):
            continue
        plain, fast = (
            _output_and_gradients(case(name, backend=one, mode="forward_backward"))
            for one in ("eager", backend)
        )
        for what, ours, theirs in zip(("output", "gradients"), plain, fast, strict=True):
            error = float((ours - theirs).norm() / ours.norm())
            if not error <= 1e-10:
                yield f"backend {backend}: {what} differ from eager by {error:.2g} (rule: 1e-10)"


def _runs_here(one: Case) -> bool:
    try:
        backend_ran(one)
    except Unsupported:  # a finding; a backend may be of one device alone
        return False
    return True


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
                terms = flops.closed_form(one)
                for term in sorted(set(terms) - set(TERMS)):
                    yield f"flops() has a term {term!r}; {plugins.did_you_mean(term, TERMS)}"
                formula = sum(terms.values())
                counted = flops.dispatch_count(one).total
                if formula != counted:
                    yield (
                        f"{level} {backend} {mode}: flops() says {formula}, "
                        f"the dispatch count {counted}"
                    )


CHECKS = (_paper, _params, _backends, _support, _outputs, _gradients, _twins, _counts)
