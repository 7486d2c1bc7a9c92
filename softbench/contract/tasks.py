"""What every task must satisfy: it says where it comes from, and loads the same sets twice.

A task may define `model_params(params)`: the parameters of a model that follow from it, known
without loading it: num_classes, image_size and in_chans, or vocabulary and seq_len.
A task whose data are not on this machine says so by a FileNotFoundError that tells how to get
them; what it says of itself is then held alone.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from types import ModuleType
from typing import Any

import torch

from softbench.contract import fields
from softbench.tasks._task import Split, Task

SEED = 0
FEW = 64  # samples that a task whose Params say how many is asked for
STATED = ("Licence", "Source", "Sizes", "Token grid")
ENOUGH_ADVICE = 40  # letters; a bare path or "not found" is no help


def _stated(name: str, module: ModuleType) -> Iterator[str]:
    for what in STATED:
        if not re.search(rf"^{what}: \S", module.__doc__ or "", re.MULTILINE):
            yield f"the module docstring has no line that begins with '{what}: '"


def _params(name: str, module: ModuleType) -> Iterator[str]:
    yield from fields.problems(module)


def _loads(name: str, module: ModuleType) -> Iterator[str]:
    """Two loadings with one seed give equal sets, and leave torch's own stream where it was."""
    params = _few(module)
    before = torch.get_rng_state()
    try:
        task = module.load(params, seed=SEED)
    except FileNotFoundError as error:
        if len(str(error)) < ENOUGH_ADVICE:
            yield f"load raises FileNotFoundError: {error}; say how to get the data"
        return
    if not isinstance(task, Task):
        yield f"load returns {type(task).__name__}, not a softbench.tasks._task.Task"
        return
    yield from _said(name, task)
    yield from _follows(module, params, task)
    again = module.load(params, seed=SEED)
    if not (_equal(task.train, again.train) and _equal(task.test, again.test)):
        yield "two loadings with one seed differ"
    if not torch.equal(before, torch.get_rng_state()):
        yield "load draws from torch's own stream; use one made of the seed"


def _said(name: str, task: Task) -> Iterator[str]:
    if task.name != name:
        yield f"the task is named {task.name!r}, its module {name!r}"
    for what, text in (("licence", task.licence), ("source", task.source)):
        if not text.strip():
            yield f"the task's {what} is empty"
    for what, share in task.baselines.items():
        if not 0 <= share <= 1:
            yield f"baseline {what!r} is {share}; an accuracy is 0 to 1"


def _follows(module: ModuleType, params: Any, task: Task) -> Iterator[str]:
    """What a task says that its models must have is what it then has."""
    told = module.model_params(params) if hasattr(module, "model_params") else {}
    has = {
        "num_classes": task.num_classes,
        "in_chans": task.channels,
        "image_size": task.image_size,
        "vocabulary": task.vocabulary,
        "seq_len": task.length,
    }
    for key, value in told.items():
        if has.get(key) != value:
            yield f"model_params says {key} {value!r}; the task has {has.get(key)!r}"


def _few(module: ModuleType) -> Any:
    sizes = {"train_size", "test_size"} & set(module.Params.model_fields)
    return module.Params(**dict.fromkeys(sizes, FEW))


def _equal(one: Split, other: Split) -> bool:
    return torch.equal(one.inputs, other.inputs) and torch.equal(one.labels, other.labels)


CHECKS = (_stated, _params, _loads)
