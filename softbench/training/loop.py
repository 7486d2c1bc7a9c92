"""The loop: epochs of updates, checkpoints, what is said of them; and going on where it ended."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator
from contextlib import nullcontext
from dataclasses import dataclass, field
from typing import Any

import torch
from timm.utils.clip_grad import dispatch_clip_grad
from timm.utils.metrics import AverageMeter
from torch import Tensor

from softbench.training.building import NARROW, Parts, loss_of, mixing_of
from softbench.training.distributed import World, apart, same_buffers
from softbench.training.errors import Diverged
from softbench.training.evaluation import evaluate
from softbench.training.loading import Batch, Drawing, Reading
from softbench.training.position import Ended, Position, Progress
from softbench.training.recipe import Recipe
from softbench.training.seeding import seed_of, start_from


@dataclass
class Loop:
    """One training of `recipe`; `run` goes on from `position`."""

    recipe: Recipe
    parts: Parts
    world: World
    train: Drawing
    test: Drawing
    updates: int
    position: Position
    pending: list[Tensor] = field(default_factory=list)
    testing_seconds: float = 0.0

    def run(self) -> Iterator[Progress | Ended]:
        """Train to the last epoch. At every event the training may be kept and gone on from.

        Raises Diverged where the loss or a weight is no longer finite.
        """
        while self.position.epoch < self.recipe.epochs:
            started = time.monotonic()
            yield from self._epoch()
            row = self._closed()
            yield Ended(row, time.monotonic() - started)

    def _epoch(self) -> Iterator[Progress]:
        recipe, position = self.recipe, self.position
        mixing = mixing_of(recipe.augmentation, self.train.num_classes)
        criterion = loss_of(recipe.augmentation)
        passes = recipe.accumulate
        batches = self._reading().training(
            self.train, position.epoch, position.update * passes, self.updates * passes
        )
        self.parts.runner.train()
        self.parts.schedule.step(position.epoch)
        looked, since = position.update, time.monotonic()
        while position.update < self.updates:
            lr = self._update(batches, mixing, criterion)
            position.update += 1
            if self._is_time_to_look():
                self._look()
                rate = (position.update - looked) / (time.monotonic() - since)
                looked, since = position.update, time.monotonic()
                yield self._progress(lr, rate)

    def _update(self, batches: Iterator[Batch], mixing: Any, criterion: Any) -> float:
        """One step of the optimiser from `accumulate` passes; the learning rate it took."""
        parts, recipe = self.parts, self.recipe
        done = self.position.epoch * self.updates + self.position.update
        parts.schedule.step_update(done)
        losses = []
        for turn in range(recipe.accumulate):
            images, targets = next(batches)
            start_from(seed_of("pass", recipe.seed, done, turn, self.world.rank))
            if mixing is not None:
                images, targets = mixing(images, targets)
            last = turn == recipe.accumulate - 1
            losses.append(self._pass(images, targets, criterion, synchronise=last))
        parts.scaler.unscale_(parts.optimizer)
        if recipe.optimizer.clip_grad is not None:
            dispatch_clip_grad(parts.model.parameters(), recipe.optimizer.clip_grad)
        parts.scaler.step(parts.optimizer)
        parts.scaler.update()
        parts.optimizer.zero_grad(set_to_none=True)
        if parts.ema is not None:
            parts.ema.update(parts.model, step=done + 1)
        self.pending.append(torch.stack(losses).sum())
        return float(parts.optimizer.param_groups[0]["lr"])

    def _pass(
        self, images: Tensor, targets: Tensor, criterion: Any, *, synchronise: bool
    ) -> Tensor:
        """One forward and backward; gradients of all processes meet in the last of an update."""
        runner, recipe, device = self.parts.runner, self.recipe, self.world.device
        narrow = recipe.dtype != "float32"
        with nullcontext() if synchronise else apart(runner):
            with torch.autocast(device.type, NARROW[recipe.dtype], enabled=narrow):
                logits_BK = runner(images)
            loss = criterion(logits_BK.float(), targets) / recipe.accumulate
            self.parts.scaler.scale(loss).backward()
        detached: Tensor = loss.detach()
        return detached

    def _is_time_to_look(self) -> bool:
        update, recipe = self.position.update, self.recipe
        every = [recipe.log_updates, recipe.checkpoint_updates or self.updates, self.updates]
        return any(update % count == 0 for count in every)

    def _look(self) -> None:
        """Take the losses since the last look into the epoch's mean. Raises Diverged.

        They wait until then, as asking a GPU for each would have it wait for the next update.
        """
        position = self.position
        losses = self.world.total(torch.stack(self.pending).double()) / self.world.size
        first = position.update - len(self.pending)
        self.pending.clear()
        for update, loss in enumerate(losses.tolist(), first + 1):
            where = f"epoch {position.epoch}, update {update} of {self.updates}"
            if not math.isfinite(loss):
                raise Diverged(
                    f"{where}: the loss is {loss}; the last finite loss {position.last_finite}"
                )
            position.meter.update(loss)
            position.last_finite = f"was {loss:.6g} at {where}"

    def refuse_broken_weights(self) -> None:
        """Raises Diverged where a weight is no longer finite: such a state is not to be kept."""
        if not self.parts.is_finite():
            raise Diverged(
                f"epoch {self.position.epoch}, update {self.position.update} of {self.updates}: a "
                f"weight is no longer finite; the last finite loss {self.position.last_finite}"
            )

    def _progress(self, lr: float, updates_per_second: float) -> Progress:
        position, recipe = self.position, self.recipe
        epochs = recipe.epochs - position.epoch
        left = epochs * self.updates - position.update
        return Progress(
            epoch=position.epoch,
            update=position.update,
            updates=self.updates,
            loss=position.meter.avg,
            lr=lr,
            images_per_second=updates_per_second * recipe.batch_size,
            seconds_left=left / updates_per_second + epochs * self.testing_seconds,
        )

    def _closed(self) -> dict[str, Any]:
        """End the epoch: its row, and the position at the start of the next."""
        position, recipe = self.position, self.recipe
        row = {
            "epoch": position.epoch,
            "updates": (position.epoch + 1) * self.updates,
            "lr": float(self.parts.optimizer.param_groups[0]["lr"]),
            "loss": position.meter.avg,
        }
        done = position.epoch + 1
        if done % recipe.evaluation.every == 0 or done == recipe.epochs:
            row |= self._tested()
        position.rows.append(row)
        position.epoch, position.update, position.meter = done, 0, AverageMeter()
        return row

    def _tested(self) -> dict[str, float]:
        """Accuracies of the weights and of their moving average."""
        started = time.monotonic()
        models = {"": self.parts.model}
        if self.parts.ema is not None:
            models["ema_"] = self.parts.ema.module
        same_buffers(list(models.values()), self.world)
        found: dict[str, float] = {}
        for prefix, model in models.items():
            told = evaluate(model, self.test, self._reading(), self.recipe.dtype)
            found |= {f"{prefix}test_{name}": value for name, value in told.items()}
        self.testing_seconds = time.monotonic() - started
        return found

    def _reading(self) -> Reading:
        return Reading(self.recipe, self.world)
