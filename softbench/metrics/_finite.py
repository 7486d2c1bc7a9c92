"""NaN and infinity are an error of the case, found outside every clock.

A check inside the timed path would make the host wait for the device; so a case is called once
before anything is measured, and what that call gives is looked at. A factorisation that failed or
an iteration that diverged thus becomes a record with status error and its reason, not a speed.
"""

from __future__ import annotations

import torch
from torch import Tensor

from softbench.workload import Workload


class NonFiniteError(ArithmeticError):
    """A case gave NaN or infinity."""


def first_call(workload: Workload) -> None:
    """One call, never timed; its output and gradients must be finite. Raises NonFiniteError.

    Leaves no gradient behind.
    """
    refuse_non_finite_step(workload, workload.step())


def refuse_non_finite_step(workload: Workload, output: Tensor) -> None:
    """Look at what one step gave, and at the gradients it left, which are cleared.

    Raises NonFiniteError.
    """
    refuse_non_finite("the output", output)
    for name, tensor in _differentiated(workload):
        if tensor.grad is not None:
            refuse_non_finite(f"the gradient of {name}", tensor.grad)
    workload.clear_gradients()


def refuse_non_finite(what: str, tensor: Tensor) -> None:
    """Raise NonFiniteError if an entry is NaN or infinite; says how many are."""
    wrong = int((~torch.isfinite(tensor)).sum())
    if wrong:
        raise NonFiniteError(f"{what} has {wrong} of {tensor.numel()} entries NaN or infinite")


def _differentiated(workload: Workload) -> list[tuple[str, Tensor]]:
    inputs = [(f"input {index}", tensor) for index, tensor in enumerate(workload.inputs)]
    return [*inputs, *workload.module.named_parameters()]
