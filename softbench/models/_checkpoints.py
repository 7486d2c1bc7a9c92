"""Weights from a file: read without running anything in it, by the released names or by ours.

A file that does not fit is refused with what does not, and with the model whose sizes it has.
"""

from __future__ import annotations

import argparse
import math
import pickle
import re
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from softbench.models import _released
from softbench.models._backbone_stages import ClassStage, Stage, resized
from softbench.models._sizes import SIZES, Size

# Where training loops put the weights in what they save, the best first.
INSIDE = ("state_dict_ema", "model_ema", "state_dict", "model")
# What timm fits itself to another number of classes or channels.
ADAPTED = ("head.weight", "head.bias", "stages.0.embed.0.weight", "embed.proj.weight")
MOST_TOLD = 3


class CheckpointError(ValueError):
    """A file that is no checkpoint, or one of another model; the message says what is wrong."""


def load_released(model: nn.Module, path: str | Path) -> None:
    """Fill `model` from a released SOFT checkpoint, or from one that was saved with our names.

    Position embeddings are resized to the model's. Raises CheckpointError and FileNotFoundError.
    """
    model.load_state_dict(_fitted(read(path), model, adapted=()))


def checkpoint_filter_fn(state_dict: Mapping[str, Tensor], model: nn.Module) -> dict[str, Tensor]:
    """timm's hook: the tensors by our names, as large as the model's. Raises CheckpointError.

    A classifier of other classes and a first convolution of other channels pass: timm fits those.
    """
    return _fitted(state_dict, model, adapted=ADAPTED)


def read(path: str | Path) -> dict[str, Tensor]:
    """The tensors in a file of PyTorch's or safetensors', by the names they have there.

    Raises FileNotFoundError, and CheckpointError for what is no checkpoint or more than data.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"no checkpoint {path}")
    saved = _safetensors(path) if path.suffix == ".safetensors" else _pytorch(path)
    for key in INSIDE:
        if isinstance(saved, Mapping) and isinstance(saved.get(key), Mapping):
            saved = saved[key]
            break
    if not isinstance(saved, Mapping) or not saved:
        raise CheckpointError(f"{path} holds no weights by name, but a {type(saved).__name__}")
    for name, tensor in saved.items():
        if not isinstance(tensor, Tensor):
            kind = type(tensor).__name__
            raise CheckpointError(f"{path}: {name!r} is a {kind}, not a tensor: no model's weights")
    return {name.removeprefix("module."): tensor for name, tensor in saved.items()}


def _safetensors(path: Path) -> Any:
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        return load_file(path)
    except SafetensorError as error:
        raise CheckpointError(f"{path} is no safetensors file: {error}") from None


def _pytorch(path: Path) -> Any:
    try:
        # Arguments that a training loop saves beside its weights: names and values, no code.
        with torch.serialization.safe_globals([argparse.Namespace]):
            return torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        found = re.search(r"(?:GLOBAL|global) `?([\w.]+)", str(error))
        held = f"it asks for {found[1]}" if found else "it is not one of PyTorch's"
        raise CheckpointError(
            f"{path} is not read, as that could run code: {held}; save the state_dict alone, or "
            "as safetensors"
        ) from None
    except (RuntimeError, EOFError, ValueError, KeyError, zipfile.BadZipFile) as error:
        raise CheckpointError(f"{path} is no checkpoint of PyTorch's: {error}") from None


def _fitted(
    state_dict: Mapping[str, Tensor], model: nn.Module, adapted: Sequence[str]
) -> dict[str, Tensor]:
    """By our names, embeddings as long as the model's. CheckpointError: but `adapted`, all fits."""
    own, here, sources = model.state_dict(), {}, {}
    for name, tensor in state_dict.items():
        for ours, part in _released.parts(name, tensor):
            here[ours], sources[ours] = _as_long(ours, part, model), name
    misfits = list(_misfits(here, sources, own, adapted))
    if misfits:
        raise CheckpointError(
            f"{len(misfits)} tensors do not fit: {'; '.join(misfits[:MOST_TOLD])}"
            f"{'; …' if len(misfits) > MOST_TOLD else ''}. {_nearest(here)}"
        )
    return here


def _misfits(
    here: Mapping[str, Tensor],
    sources: Mapping[str, str],
    own: Mapping[str, Tensor],
    adapted: Sequence[str],
) -> Iterator[str]:
    """Of each tensor that does not fit: its name in the file, its shape and the one expected."""
    for name, tensor in here.items():
        wanted = own.get(name, tensor).shape
        if tensor.shape != wanted and name not in adapted:
            yield f"{sources[name]} is {tuple(tensor.shape)}, expected {tuple(wanted)}"
    for name, tensor in here.items():
        if name not in own:
            yield f"{sources[name]} {tuple(tensor.shape)} is no name of this model"
    for name, tensor in own.items():
        if name not in here and name not in adapted:
            yield f"{name} {tuple(tensor.shape)} is missing"


def _as_long(name: str, tensor: Tensor, model: nn.Module) -> Tensor:
    """Position embeddings for the grid of the model's stage; any other tensor as it is."""
    stage = model.get_submodule(name.rpartition(".")[0]) if name.endswith(".pos_embed") else None
    if not isinstance(stage, Stage | ClassStage) or tensor.ndim != 3:
        return tensor
    if tensor.shape == stage.pos_embed.shape:  # of its own grid, which may be no square
        return tensor
    first = 1 if isinstance(stage, ClassStage) else 0
    side = math.isqrt(tensor.shape[1] - first)
    if side**2 + first != tensor.shape[1]:
        return tensor
    tokens = resized(tensor[:, first:], (side, side), stage.grid)
    return torch.cat((tensor[:, :first], tokens), dim=1)


def _nearest(here: Mapping[str, Tensor]) -> str:
    """Which of the family has the depths and widths that these tensors have."""
    blocks: list[set[str]] = [set(), set(), set(), set()]
    for name in here:
        found = re.match(r"stages\.(\d)\.blocks\.(\d+)\.", name)
        if found:
            blocks[int(found[1])].add(found[2])
    depths = tuple(map(len, blocks))
    if not any(depths):
        return "The file is of no SOFT model"
    widths = [here.get(f"stages.{stage}.pos_embed") for stage in range(4)]
    dims = tuple(0 if one is None else int(one.shape[-1]) for one in widths)
    near = min(SIZES, key=lambda name: _distance(SIZES[name], depths, dims))
    fits = "The file fits" if _distance(SIZES[near], depths, dims) == 0 else "The nearest model is"
    return f"{fits} soft_{near}, or soft_norm_{near}"


def _distance(size: Size, depths: Sequence[int], dims: Sequence[int]) -> float:
    pairs = zip((*size.depths, *size.dims), (*depths, *dims), strict=True)
    return sum(abs(math.log((one + 1) / (other + 1))) for one, other in pairs)
