"""Test accuracy of a case's model, trained here on the case's task, and what its training took.

The case's model is trained from its seeded weights by softbench.training.small and tested after
every epoch; the accuracy is that of the last one, chosen by nothing. The seed draws weights, data
order and a generated task: mechanisms with one seed meet the same samples in the same order, so
that their differences are paired. One recipe holds for all mechanisms of a suite.

- accuracy: share of the test set, 0 to 1, one value. The learning curve stands in its detail.
- training_cpu_time: seconds of all the process's threads; on CUDA those of the host.
- training_time: seconds that passed in training steps, tests and checkpoints left out.

A training goes on from the last epoch that was kept when its process was killed; its times are of
the epochs that count, whichever process ran them, its energy only of this one's.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from softbench.case import Measurement, Unsupported
from softbench.metrics._allocator import taken
from softbench.metrics._energy import Energy
from softbench.metrics._training import recipe_of, seconds, task_of
from softbench.protocol import Protocol
from softbench.tasks._task import Task
from softbench.training.small import Curve, SmallRecipe, train_small
from softbench.workload import Workload

QUANTITIES = {
    "accuracy": ("1", "higher"),
    "training_cpu_time": ("s", "lower"),
    "training_time": ("s", "lower"),
}
REPEATED = True
Recipe = SmallRecipe
TUNING = "one recipe for all mechanisms; how it was chosen is told where the suite is"

__all__ = ["QUANTITIES", "REPEATED", "Recipe", "measure", "seconds"]


def measure(workload: Workload, protocol: Protocol) -> dict[str, Measurement]:
    """Train and test; the model ends trained. Raises Unsupported without a task, DivergedError."""
    case = workload.case
    if case.task is None:
        raise Unsupported("the case has no task to be trained on; give the suite the key task")
    if case.device == "meta":
        raise Unsupported("nothing runs on the meta device, so nothing is trained")
    task, recipe, energy = task_of(case), recipe_of(case), Energy(case.device)
    kept = _checkpoint(workload)
    curve = train_small(workload.module, task, recipe, seed=case.seed, checkpoint=kept)
    detail = _of_task(task) | _of_training(curve) | {"energy": energy.told()}
    detail |= {"step_peak_memory": _step_memory(workload), "threads": protocol.threads}
    if kept is not None:
        kept.unlink(missing_ok=True)
    return {
        "accuracy": Measurement([curve.accuracy], detail | {"parameters": _parameters(workload)}),
        "training_cpu_time": Measurement([curve.training.cpu_seconds], _load(curve)),
        "training_time": Measurement([curve.training.wall_seconds], _load(curve)),
    }


def _checkpoint(workload: Workload) -> Path | None:
    """Where the training goes on from: a file of its own, where there is a place to keep it."""
    return workload.place and workload.place / f"{workload.case.id}.pt"


def _of_task(task: Task) -> dict[str, Any]:
    return {
        "train_samples": len(task.train),
        "test_samples": len(task.test),
        "majority": task.majority,
        "baselines": dict(task.baselines),
        "licence": task.licence,
        "source": task.source,
        "tuning": TUNING,
    }


def _of_training(curve: Curve) -> dict[str, Any]:
    testing = curve.testing.model_dump()
    epochs = [epoch.model_dump() for epoch in curve.epochs]
    return {"curve": epochs, "testing": testing, **_load(curve)}


def _load(curve: Curve) -> dict[str, Any]:
    """The machine's load at the start and at the end, and where a killed training went on."""
    return {"load": list(curve.load), "resumed_at": curve.resumed_at}


def _step_memory(workload: Workload) -> int:
    """Bytes that a training step takes above its start, the optimiser's left out."""
    workload.module.train()
    peak = taken(workload).peak
    workload.clear_gradients()
    return peak


def _parameters(workload: Workload) -> int:
    return sum(weight.numel() for weight in workload.module.parameters())
