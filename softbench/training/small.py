"""A plain training loop for small tasks: the same numbers from the same seed, whatever happens.

AdamW (Loshchilov & Hutter, 2019, arXiv 1711.05101) with a cosine schedule (2017, arXiv 1608.03983)
after a linear warm-up, both timm's, on a task that lies in memory; the test set is looked at after
every epoch and chooses nothing. Float32 throughout, without TF32.

- All that is random is drawn from generators named by (seed, epoch), on the CPU: the data order,
  augmentation and dropout of an epoch do not depend on how one came to it. So a training that was
  killed goes on from its checkpoint's epoch to the curve it would have had, bit for bit on a CPU.
- On CUDA cuDNN is held to deterministic algorithms, but sums by atomics (in pooling's or an
  embedding's gradient) may still differ in the last bits from run to run.
- An epoch leaves out the samples that do not fill its last batch, others each time: a step on a
  handful would weigh as much as one on a whole batch.
- Weight decay spares biases, norms and what the model's `no_weight_decay` names, as in timm.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterator
from pathlib import Path

import torch
from torch import nn

from softbench.tasks._task import Task
from softbench.training._small_checkpoint import Checkpoint
from softbench.training._small_curve import Cost, Curve, Epoch
from softbench.training._small_recipe import SmallRecipe
from softbench.training._small_training import DivergedError, Training

__all__ = ["Cost", "Curve", "DivergedError", "Epoch", "SmallRecipe", "train_small"]

OnEpoch = Callable[[Epoch], None]


def train_small(
    model: nn.Module,
    task: Task,
    recipe: SmallRecipe,
    *,
    seed: int,
    on_epoch: OnEpoch | None = None,
    checkpoint: Path | None = None,
) -> Curve:
    """Train `model` where it stands, on `task`, and return its learning curve; it ends trained.

    The model takes images float32 [B, C, H, W], normalised by the train set's mean and deviation,
    or tokens int64 [B, N], and gives logits [B, num_classes]. Its initial weights are the caller's;
    `seed` draws data order, augmentation and dropout. `on_epoch` sees each epoch that is trained
    here, after its checkpoint is written. With `checkpoint`, a file that is there is gone on from.

    Raises DivergedError, and ValueError for a model, a recipe or a checkpoint that does not fit.
    """
    if (recipe.shift or recipe.flip) and not task.is_images:
        raise ValueError(f"shift and flip are of images; {task.name} has tokens: leave them out")
    with _kept_streams(next(model.parameters()).device):
        training = Training(model, task, recipe, seed)
        saved = Checkpoint(checkpoint, training, seed)
        epochs, before = saved.restored(), os.getloadavg()[0]
        resumed = len(epochs)
        for epoch in range(resumed, recipe.epochs):
            epochs.append(training.epoch(epoch))
            saved.write(epochs)
            if on_epoch:
                on_epoch(epochs[-1])
        model.eval()
    load = (before, os.getloadavg()[0])
    return Curve(epochs=tuple(epochs), load=load, resumed_at=resumed or None)


@contextlib.contextmanager
def _kept_streams(device: torch.device) -> Iterator[None]:
    """The caller's random streams as they were, and cuDNN deterministic and without TF32 inside."""
    # Seeding torch seeds every CUDA device that is in use.
    cuda = device.type == "cuda" or torch.cuda.is_initialized()  # type: ignore[no-untyped-call]
    devices = range(torch.cuda.device_count()) if cuda else ()
    with (
        torch.random.fork_rng(devices=devices),
        torch.backends.cudnn.flags(
            enabled=True, benchmark=False, deterministic=True, allow_tf32=False
        ),
    ):
        yield
