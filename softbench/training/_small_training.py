"""One model on its way through one task: epochs of steps and tests, and the step's mathematics."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812 - the field's own short name

from softbench.tasks._task import Task
from softbench.training._small_curve import Clock, Epoch
from softbench.training._small_data import Data, batches, placed, seeded
from softbench.training._small_recipe import SmallRecipe

if TYPE_CHECKING:
    from timm.scheduler.cosine_lr import CosineLRScheduler


class DivergedError(ArithmeticError):
    """The loss is no longer a finite number; the message says where, and the last that was."""


class Training:
    """A model on its way through one task by one recipe."""

    def __init__(self, model: nn.Module, task: Task, recipe: SmallRecipe, seed: int) -> None:
        """Put the task beside the model, on its device; the optimizer and schedule are new."""
        from timm.optim import create_optimizer_v2  # type: ignore[attr-defined]

        self.model, self.task, self.recipe, self.seed = model, task, recipe, seed
        self.device = next(model.parameters()).device
        self.data: Data = placed(task, self.device)
        self.batch_size = min(recipe.batch_size, len(task.train))
        self.steps = len(task.train) // self.batch_size  # of an epoch
        self.optimizer = create_optimizer_v2(
            model, "adamw", lr=recipe.learning_rate, weight_decay=recipe.weight_decay
        )
        self.schedule = self._schedule()
        self.last_loss = "there was none"

    def _schedule(self) -> CosineLRScheduler:
        """Step s of S takes the schedule at s + 1 of S + 1, so that none has a rate of 0."""
        from timm.scheduler.cosine_lr import CosineLRScheduler

        steps = self.steps * self.recipe.epochs
        rising = int(self.recipe.warmup * steps)
        return CosineLRScheduler(
            self.optimizer,
            t_initial=steps + 1 - rising,
            warmup_t=rising,
            warmup_prefix=True,
            t_in_epochs=False,
        )

    def epoch(self, epoch: int) -> Epoch:
        """Train once through the train set, then test. Raises DivergedError."""
        clock = Clock(self.device)
        train_loss, train_accuracy = self._trained(epoch)
        training = clock.seconds()
        test_loss, test_accuracy = self._tested(epoch)
        return Epoch(
            epoch=epoch,
            learning_rate=self.optimizer.param_groups[0]["lr"],
            train_loss=train_loss,
            train_accuracy=train_accuracy,
            test_loss=test_loss,
            test_accuracy=test_accuracy,
            training=training,
            testing=clock.seconds(),
        )

    def _trained(self, epoch: int) -> tuple[float, float]:
        """Mean loss and accuracy as the model was when it met each batch."""
        self.model.train()
        torch.manual_seed(seeded(self.seed, epoch, "dropout"))
        losses, right = [], 0
        drawn = batches(self.data, self.recipe, self.seed, epoch, self.batch_size)
        for step, (inputs, labels) in enumerate(drawn):
            self.schedule.step_update(epoch * self.steps + step + 1)
            logits_BK = self._logits(inputs)
            smoothing = self.recipe.label_smoothing
            loss = F.cross_entropy(logits_BK, labels, label_smoothing=smoothing)
            where = f"epoch {epoch}, step {step} of {self.steps}"
            losses.append(self._finite(loss, where))
            self.last_loss = f"{losses[-1]:.4g} at {where}"
            self._step(loss)
            right += int((logits_BK.argmax(1) == labels).sum())
        return math.fsum(losses) / self.steps, right / (self.steps * self.batch_size)

    def _step(self, loss: Tensor) -> None:
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        if self.recipe.clip_norm:
            nn.utils.clip_grad_norm_(self.model.parameters(), self.recipe.clip_norm)
        self.optimizer.step()

    @torch.no_grad()
    def _tested(self, epoch: int) -> tuple[float, float]:
        """Mean loss, labels not smoothed, and accuracy on the whole test set."""
        self.model.eval()
        losses, right = [], 0
        test, number = self.data.test, len(self.data.test)
        for start in range(0, number, self.batch_size):
            labels = test.labels[start : start + self.batch_size]
            logits_BK = self._logits(self.data.fed(test.inputs[start : start + self.batch_size]))
            loss = F.cross_entropy(logits_BK, labels, reduction="sum")
            losses.append(self._finite(loss, f"epoch {epoch}, in the test"))
            right += int((logits_BK.argmax(1) == labels).sum())
        return math.fsum(losses) / number, right / number

    def _logits(self, inputs: Tensor) -> Tensor:
        logits_BK: Tensor = self.model(inputs)
        expected = (len(inputs), self.task.num_classes)
        if logits_BK.shape != expected:
            raise ValueError(
                f"the model gives {list(logits_BK.shape)} for {expected[0]} inputs of "
                f"{self.task.name}, which has {expected[1]} classes: {list(expected)} is wanted"
            )
        return logits_BK

    def _finite(self, loss: Tensor, where: str) -> float:
        value = loss.item()
        if not math.isfinite(value):
            raise DivergedError(
                f"the loss is {value} at {where}; the last finite one: {self.last_loss}. "
                "A lower learning_rate or clip_norm, or a longer warmup, may help"
            )
        return value
