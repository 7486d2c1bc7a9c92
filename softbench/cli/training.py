"""`softbench train` and `evaluate`: from a recipe's name to a training that tells how far it is."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_args

from pydantic import ValidationError

from softbench.case import Value
from softbench.cli.display import note
from softbench.cli.running import end_as_interrupted
from softbench.suite import SuiteError, explain, find, read
from softbench.suite.reading import changed
from softbench.training import building, checkpoint, distributed, scoring, session
from softbench.training.distributed import World
from softbench.training.errors import (
    CheckpointError,
    DataError,
    Diverged,
    LateError,
    RecipeError,
)
from softbench.training.position import Ended, Progress
from softbench.training.recipe import Recipe

LOG_SECONDS = 10.0
EXPLAINED = (CheckpointError, DataError, RecipeError, SuiteError)


@dataclass(frozen=True)
class Options:
    """The options of `softbench train` as given."""

    out: Path | None
    resume: bool
    changes: Sequence[str]
    device: str


def train_recipe(name: str, data: Path, options: Options) -> int:
    """Train, telling where it is; the exit code."""
    end_as_interrupted()
    path = find(name, "recipe")
    recipe = _recipe(read(path, options.changes), str(path))
    out = options.out or Path("training") / recipe.model

    def work(world: World) -> None:
        _tell(session.train(recipe, data, out, world, resume=options.resume), recipe, world)
        if world.is_first:
            print(out / checkpoint.BEST)

    return _together(options.device, work)


def evaluate_checkpoint(
    path: Path, data: Path, changes: Sequence[str], device: str, *, as_json: bool
) -> int:
    """Print the accuracies of every set of weights in a checkpoint; the exit code."""

    def work(world: World) -> None:
        content = scoring.content_of(path)
        # A file of another's making says nothing of its recipe; the command line may.
        raw = dict(content.get("recipe") or {"epochs": 1, "batch_size": 64 * world.size})
        raw = changed(raw, changes)
        if "model" not in raw:
            raise CheckpointError(f"{path}: does not say which model it is of; give --model")
        found = dict(scoring.scores(_recipe(raw, str(path)), content, data, world))
        if world.is_first:
            _print(found, as_json=as_json)

    return _together(device, work)


def _together(device: str, work: Callable[[World], None]) -> int:
    """Do `work` in every process; the first one says why it ended, or the one that alone knows."""
    world = None
    try:
        world = distributed.join(device)
        work(world)
        return 0
    except EXPLAINED as error:
        return _said(error, world, 2)
    except Diverged as error:
        return _said(error, world, 4)
    finally:
        distributed.leave()


def _said(error: Exception, world: World | None, code: int) -> int:
    if world is None or world.is_first or isinstance(error, LateError):
        note(" ".join(str(error).split()))
    return code


def _recipe(raw: dict[str, Any], where: str) -> Recipe:
    """The recipe in `raw`. SuiteError: an unknown key, with the nearest right one; a bad value."""
    try:
        if isinstance(raw.get("model"), str):  # before rates are looked up by its name
            building.refuse_unknown(raw["model"])
        return Recipe.model_validate(raw)
    except RecipeError as error:
        raise SuiteError(f"{where}: {error}") from None
    except ValidationError as error:
        raise SuiteError(f"{where}: {explain(error, _beside)}") from None


def _beside(path: Sequence[str]) -> list[str]:
    """The keys that may stand where `path` does; at the top also those that belong deeper."""
    rooms = _rooms()
    above = ".".join(path[:-1])
    if above in rooms:
        return list(rooms[above].model_fields)
    deeper = [f"{room}.{key}" for room, value in rooms.items() for key in value.model_fields]
    return [*Recipe.model_fields, *deeper]


def _rooms() -> dict[str, type[Value]]:
    """The recipe's keys that hold keys."""
    found = {}
    for name, field in Recipe.model_fields.items():
        for kind in (field.annotation, *get_args(field.annotation)):
            if isinstance(kind, type) and issubclass(kind, Value):
                found[name] = kind
    return found


def _tell(events: Any, recipe: Recipe, world: World) -> None:
    """A line at the first look, one about every ten seconds, and one an epoch."""
    last = -LOG_SECONDS
    for event in events:
        if not world.is_first:
            continue
        if isinstance(event, Ended):
            note(_row(event))
        elif time.monotonic() - last >= LOG_SECONDS:
            note(_line(event, recipe))
            last = time.monotonic()


def _line(now: Progress, recipe: Recipe) -> str:
    minutes, seconds = divmod(round(now.seconds_left), 60)
    hours, minutes = divmod(minutes, 60)
    return (
        f"{recipe.model}: epoch {now.epoch} of {recipe.epochs}, update {now.update} of "
        f"{now.updates}; loss {now.loss:.4f}, lr {now.lr:.3g}; {now.images_per_second:.0f} "
        f"images/s, {hours}:{minutes:02d}:{seconds:02d} left"
    )


def _row(event: Ended) -> str:
    told = [f"epoch {event.row['epoch']} ended: loss {event.row['loss']:.4f}"]
    for prefix, words in (
        ("test_", "top-1 {:.2f}, top-5 {:.2f}"),
        ("ema_test_", "EMA {:.2f}, {:.2f}"),
    ):
        if f"{prefix}top1" in event.row:
            told.append(words.format(event.row[f"{prefix}top1"], event.row[f"{prefix}top5"]))
    return f"{', '.join(told)} ({event.seconds:.1f} s)"


def _print(found: dict[str, dict[str, float]], *, as_json: bool) -> None:
    if as_json:
        print(json.dumps(found))
        return
    line = "{:<7}  top-1 {top1:.2f}  top-5 {top5:.2f}  loss {loss:.4f}"
    for name, told in found.items():
        print(line.format(name, **told))
