"""A case's task loaded and its model trained; what that takes, told by a part of it.

Task and recipe are read from the case. Data that a user keeps lie where SOFTBENCH_DATA_ROOT says.
"""

from __future__ import annotations

import json
import os
from dataclasses import replace
from functools import cache, lru_cache
from pathlib import Path
from typing import Any

from softbench import plugins
from softbench.case import Case
from softbench.tasks._task import Task
from softbench.training.small import SmallRecipe, train_small
from softbench.workload import build

DATA_ROOT = "SOFTBENCH_DATA_ROOT"
TRIAL_STEPS = 3  # of an epoch; the first epoch warms up


def recipe_of(case: Case) -> SmallRecipe:
    """How the case's model is trained."""
    return SmallRecipe.model_validate((case.task or {})["recipe"])


def task_of(case: Case) -> Task:
    """The case's task, loaded, cut to its limits. Raises what its `load` raises."""
    given: dict[str, Any] = case.task or {}
    task = _loaded(given["name"], json.dumps(given["params"], sort_keys=True), case.seed)
    train, test = (
        split.first(min(given[limit] or len(split), len(split)))
        for limit, split in (("train_samples", task.train), ("test_samples", task.test))
    )
    return replace(task, train=train, test=test)


def seconds(case: Case) -> float:
    """Seconds that the training and its tests take here, by a few timed steps of it."""
    alike = case.model_copy(update={"seed": 0})
    return _seconds(alike.model_dump_json())


@lru_cache(maxsize=2)  # mechanisms in turn are trained on one task with one seed
def _loaded(name: str, params: str, seed: int) -> Task:
    module = plugins.load("tasks", name)
    root = os.environ.get(DATA_ROOT)
    task: Task = module.load(
        module.Params.model_validate_json(params),
        seed=seed,
        data_root=Path(root) if root else None,
    )
    return task


@cache  # once a process, whatever the seed
def _seconds(case_json: str) -> float:
    case = Case.model_validate_json(case_json)
    task, recipe = task_of(case), recipe_of(case)
    batch = min(recipe.batch_size, len(task.train))
    train, test = (
        split.first(min(TRIAL_STEPS * batch, len(split))) for split in (task.train, task.test)
    )
    trial = recipe.model_copy(update={"epochs": 2})
    curve = train_small(build(case).module, replace(task, train=train, test=test), trial, seed=0)
    told = curve.epochs[-1]
    step = told.training.wall_seconds / (len(train) // batch)
    sample = told.testing.wall_seconds / len(test)
    return recipe.epochs * (step * (len(task.train) // batch) + sample * len(task.test))
