"""A training from its recipe to its folder, and the evaluation of what lies there.

A folder holds last.pt (all that it takes to go on), best.pt (the weights with the best top-1) and
log.jsonl (a row an epoch, the same to the last bit whether or not the training was interrupted).
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch

from softbench.training import checkpoint
from softbench.training.building import parts_of, transform_of
from softbench.training.data import Split, num_classes, opened
from softbench.training.differing import differences
from softbench.training.distributed import World
from softbench.training.errors import CheckpointError, DataError, RecipeError
from softbench.training.loading import Drawing
from softbench.training.loop import Loop
from softbench.training.position import Ended, Position, Progress
from softbench.training.recipe import Recipe

WEIGHTS = ("arch", "recipe", "classes", "num_classes", "state_dict", "state_dict_ema")


def train(
    recipe: Recipe, path: Path, out: Path, world: World, *, resume: bool = False
) -> Iterator[Progress | Ended]:
    """Train by `recipe` on the data at `path`, keeping everything in `out`.

    `resume` goes on from `out`'s last checkpoint, if it has one. What is told of has been kept.
    Raises DataError, RecipeError, CheckpointError, Diverged: all in one line.
    """
    kept = _kept(recipe, out, resume=resume)
    _refuse_if_others_have_another(kept, out, world)
    loop = prepared(recipe, path, world)
    out.mkdir(parents=True, exist_ok=True)
    if kept is not None:
        _refuse_other_data(kept, loop, out)
        loop.parts.restore(kept)
        loop.position = Position.of(kept["position"])
        _write_log(loop, out)
    for event in loop.run():
        if isinstance(event, Ended) or _is_due(recipe, event):
            loop.refuse_broken_weights()
            if world.is_first:
                _keep(loop, out, event)
        yield event


def prepared(recipe: Recipe, path: Path, world: World) -> Loop:
    """The training at its start, its data looked at. Raises DataError, RecipeError."""
    try:
        share = recipe.share(world.size)
    except ValueError as error:
        raise RecipeError(str(error)) from None
    if recipe.deterministic:
        torch.use_deterministic_algorithms(True, warn_only=True)
    hints: dict[str, Any] = {"is_training": True, "batch_size": share, "seed": recipe.seed % 2**31}
    train_split = opened(recipe.data, path, recipe.data.train_split, world, **hints)
    classes = num_classes(train_split, recipe.data.num_classes)
    test_split = opened(recipe.data, path, recipe.data.test_split, world, train_split.classes)
    updates = _updates(recipe, train_split)
    parts = parts_of(recipe, classes, updates, world)

    def drawing(split: Split, *, training: bool) -> Drawing:
        transform = transform_of(recipe, parts.model, training=training)
        return Drawing(split, transform, recipe.seed, classes)

    train, test = drawing(train_split, training=True), drawing(test_split, training=False)
    return Loop(recipe, parts, world, train, test, updates, Position())


def _updates(recipe: Recipe, split: Split) -> int:
    images = len(split.images) if not split.is_stream else split.images.reader.num_samples
    if images < recipe.batch_size:
        raise DataError(
            f"{split.where}: {images} images do not fill one batch of {recipe.batch_size}"
        )
    return int(images // recipe.batch_size)


def _is_due(recipe: Recipe, now: Progress) -> bool:
    every = recipe.checkpoint_updates
    return bool(every) and now.update % every == 0 and now.update < now.updates


def _keep(loop: Loop, out: Path, event: Progress | Ended) -> None:
    """Write what was reached; the last checkpoint last, as it is what the rest is made from."""
    content = {
        "arch": loop.recipe.model,
        "recipe": loop.recipe.model_dump(),
        "classes": loop.train.split.classes,
        "num_classes": loop.train.num_classes,
        "updates": loop.updates,
        "position": loop.position.state(),
        **loop.parts.state(),
    }
    if isinstance(event, Ended) and _is_best(loop.position.rows):
        checkpoint.save(
            out / checkpoint.BEST, {"row": event.row} | {name: content[name] for name in WEIGHTS}
        )
    checkpoint.save(out / checkpoint.LAST, content)
    _write_log(loop, out)


def _is_best(rows: list[dict[str, Any]]) -> bool:
    """Whether the last row's better top-1, of weights or their average, is above all before."""
    scores = [max(row["test_top1"], row.get("ema_test_top1", 0.0)) for row in rows if _tested(row)]
    return _tested(rows[-1]) and scores[-1] > max(scores[:-1], default=-1.0)


def _tested(row: dict[str, Any]) -> bool:
    return "test_top1" in row


def _write_log(loop: Loop, out: Path) -> None:
    if loop.world.is_first:
        checkpoint.write_log(out / checkpoint.LOG, loop.position.rows)


def _kept(recipe: Recipe, out: Path, *, resume: bool) -> dict[str, Any] | None:
    """The checkpoint to go on from; None to start. CheckpointError: in the way, or another's."""
    last = out / checkpoint.LAST
    if not last.exists():
        return None
    if not resume:
        raise CheckpointError(f"{out} holds a training; --resume goes on with it, or take another")
    kept = checkpoint.load(last)
    if absent := [name for name in (*WEIGHTS, "position", "updates") if name not in kept]:
        raise CheckpointError(f"{last}: is no checkpoint of a training, it lacks {absent[0]}")
    if differing := differences(recipe, kept["recipe"]):
        raise CheckpointError(f"{last}: was trained with another {', '.join(differing)}")
    return kept


def _refuse_if_others_have_another(kept: dict[str, Any] | None, out: Path, world: World) -> None:
    """Processes on several machines read their own disks, and would go on from different places."""
    places = world.gathered(kept and kept["position"])
    if any(place != places[0] for place in places):
        found = ["nothing" if place is None else f"epoch {place['epoch']}" for place in places]
        raise CheckpointError(
            f"{out}: processes find different checkpoints ({', '.join(found)}); give one that all "
            "of them read"
        )


def _refuse_other_data(kept: dict[str, Any], loop: Loop, out: Path) -> None:
    ours = (loop.updates, loop.train.split.classes)
    theirs = (kept["updates"], kept["classes"])
    if ours != theirs:
        raise CheckpointError(
            f"{out}: was trained on other data ({theirs[0]} updates an epoch and "
            f"{len(theirs[1])} classes; here {ours[0]} and {len(ours[1])})"
        )
