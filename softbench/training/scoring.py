"""`softbench evaluate`: the accuracies of a checkpoint, ours or another's, read as data only."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from safetensors.torch import load_file
from timm.models import clean_state_dict
from torch import Tensor, nn

from softbench.models._checkpoints import checkpoint_filter_fn
from softbench.training import checkpoint
from softbench.training.building import model_of, transform_of
from softbench.training.data import num_classes, opened
from softbench.training.distributed import World
from softbench.training.errors import CheckpointError
from softbench.training.evaluation import evaluate
from softbench.training.loading import Drawing, Reading
from softbench.training.recipe import Recipe

Weights = dict[str, Tensor]
# Under which name a file may hold which weights: ours and timm's, and those of DeiT's kind.
NAMES = {"state_dict": "weights", "model": "weights", "state_dict_ema": "ema", "model_ema": "ema"}
SHOWN = 3


def content_of(path: Path) -> dict[str, Any]:
    """What a checkpoint or a .safetensors file holds. CheckpointError."""
    if path.suffix == ".safetensors" and path.is_file():
        try:
            return dict(load_file(path))
        except Exception as error:  # the library's own kind is no public name
            raise CheckpointError(f"{path}: not a safetensors file ({error})") from None
    return checkpoint.load(path)


def scores(
    recipe: Recipe, content: dict[str, Any], path: Path, world: World
) -> Iterator[tuple[str, dict[str, float]]]:
    """Name and accuracies of every set of weights in `content`, on the test split at `path`.

    Raises DataError, RecipeError, and CheckpointError for weights of another model.
    """
    classes = content.get("classes", [])
    split = opened(recipe.data, path, recipe.data.test_split, world, classes, itself=True)
    number = content.get("num_classes") or num_classes(split, recipe.data.num_classes)
    for name, weights in weights_in(content).items():
        model = model_of(recipe, number)
        load_into(model, weights, recipe.model)
        model.to(world.device)
        transform = transform_of(recipe, model, training=False)
        drawing = Drawing(split, transform, recipe.seed, number)
        yield name, evaluate(model, drawing, Reading(recipe, world), recipe.dtype)


def weights_in(content: dict[str, Any]) -> dict[str, Weights]:
    """The sets of weights by name: `weights`, `ema`. CheckpointError: none."""
    found = {NAMES[key]: content[key] for key in NAMES if isinstance(content.get(key), dict)}
    if not found and content and all(isinstance(value, Tensor) for value in content.values()):
        found = {"weights": content}
    if not found:
        raise CheckpointError(f"no weights in this file; it holds {', '.join(map(str, content))}")
    return {name: clean_state_dict(weights) for name, weights in found.items()}


def load_into(model: nn.Module, weights: Weights, name: str) -> None:
    """Give `model` its weights, all of them. CheckpointError: names or shapes of another model.

    The models of softbench take the names of the authors' released checkpoints too.
    """
    if type(model).__module__.startswith("softbench.models"):
        try:
            weights = checkpoint_filter_fn(weights, model)
        except ValueError as error:
            raise CheckpointError(f"these are not the weights of {name}: {error}") from None
    ours = model.state_dict()
    missing = [key for key in ours if key not in weights]
    other = [key for key in weights if key not in ours]
    shapes = [k for k in ours if k in weights and ours[k].shape != weights[k].shape]
    for what, keys in (
        ("lacks", missing),
        ("holds unknown", other),
        ("has another shape for", shapes),
    ):
        if keys:
            more = f" and {len(keys) - SHOWN} more" if keys[SHOWN:] else ""
            raise CheckpointError(
                f"these are not the weights of {name}: the file {what} "
                f"{', '.join(keys[:SHOWN])}{more}"
            )
    model.load_state_dict(weights)
