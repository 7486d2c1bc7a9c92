"""What a training was: its numbers epoch by epoch, and what they cost."""

from __future__ import annotations

import time
from typing import Annotated

import torch
from pydantic import Field

from softbench.case import Value

Seconds = Annotated[float, Field(ge=0, allow_inf_nan=False)]
Finite = Annotated[float, Field(allow_inf_nan=False)]
Share = Annotated[float, Field(ge=0, le=1)]


class Cost(Value):
    """Seconds of all the process's threads together, and seconds that passed."""

    cpu_seconds: Seconds
    wall_seconds: Seconds

    def __add__(self, other: Cost) -> Cost:
        return Cost(
            cpu_seconds=self.cpu_seconds + other.cpu_seconds,
            wall_seconds=self.wall_seconds + other.wall_seconds,
        )


class Epoch(Value):
    """One pass over the train set and the test after it.

    `train_loss` (labels smoothed where the recipe says so) and `train_accuracy` are means over the
    batches as they came, while the model changed; `learning_rate` is the last step's.
    """

    epoch: Annotated[int, Field(ge=0)]
    learning_rate: Finite
    train_loss: Finite
    train_accuracy: Share
    test_loss: Finite
    test_accuracy: Share
    training: Cost
    testing: Cost

    @property
    def learned(self) -> tuple[int, float, float, float, float, float]:
        """All but the costs: what the same seed gives again."""
        return (
            self.epoch,
            self.learning_rate,
            self.train_loss,
            self.train_accuracy,
            self.test_loss,
            self.test_accuracy,
        )


class Curve(Value):
    """A whole training. Costs are of the epochs that stand here, not of what a kill threw away.

    `load` is the machine's average over a minute (runnable processes) at the start and at the end
    of this process's part; `resumed_at` the epoch it went on with, None where it began.
    """

    epochs: tuple[Epoch, ...]
    load: tuple[Seconds, Seconds]
    resumed_at: int | None = None

    @property
    def accuracy(self) -> float:
        """The test accuracy after the last epoch, 0 to 1: no epoch is chosen by the test set."""
        return self.epochs[-1].test_accuracy

    @property
    def training(self) -> Cost:
        """What training took, without the tests between."""
        return _together([epoch.training for epoch in self.epochs])

    @property
    def testing(self) -> Cost:
        """What the tests took."""
        return _together([epoch.testing for epoch in self.epochs])

    @property
    def learned(self) -> tuple[tuple[int, float, float, float, float, float], ...]:
        """All but the costs: equal for two trainings with one seed on one CPU."""
        return tuple(epoch.learned for epoch in self.epochs)


class Clock:
    """Seconds since it was last asked; on CUDA it waits for what was launched before."""

    def __init__(self, device: torch.device) -> None:
        self.device = device
        self.cpu, self.wall = self._now()

    def seconds(self) -> Cost:
        """The cost since the last call, or since it was made."""
        cpu, wall = self._now()
        cost = Cost(cpu_seconds=cpu - self.cpu, wall_seconds=wall - self.wall)
        self.cpu, self.wall = cpu, wall
        return cost

    def _now(self) -> tuple[float, float]:
        if self.device.type == "cuda":
            torch.cuda.synchronize(self.device)
        return time.process_time(), time.perf_counter()


def _together(costs: list[Cost]) -> Cost:
    return sum(costs, Cost(cpu_seconds=0.0, wall_seconds=0.0))
