"""Checkpoints: written whole or not at all, read as data only.

A file holds tensors, numbers and words under the names that timm gives them (arch, state_dict,
state_dict_ema, optimizer, …), so that timm's own loaders read it too.
"""

from __future__ import annotations

import argparse
import json
import os
import pickle
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import IO, Any

import torch

from softbench.training.errors import CheckpointError

LAST, BEST, LOG = "last.pt", "best.pt", "log.jsonl"


def save(path: Path, content: Mapping[str, Any]) -> None:
    """Write a checkpoint: what stands at `path` is the old or the new one, at every moment."""
    _replace(path, lambda file: torch.save(dict(content), file))


def write_log(path: Path, rows: Sequence[Mapping[str, Any]]) -> None:
    """Write one JSON object a line, whole or not at all."""
    text = "".join(json.dumps(row) + "\n" for row in rows)
    _replace(path, lambda file: file.write(text.encode()))


def load(path: Path) -> dict[str, Any]:
    """A checkpoint's content, on the CPU. CheckpointError: none, broken, or more than data."""
    try:
        # Names and values that training loops of DeiT's kind save beside their weights; no code.
        with torch.serialization.safe_globals([argparse.Namespace]):
            content = torch.load(path, map_location="cpu", weights_only=True)
    except FileNotFoundError:
        raise CheckpointError(f"{path}: no such checkpoint") from None
    except IsADirectoryError:
        raise CheckpointError(f"{path}: a folder; a checkpoint in it is {LAST} or {BEST}") from None
    except pickle.UnpicklingError:  # its words advise to run what is in the file
        raise CheckpointError(
            f"{path}: holds more than tensors and numbers, or is no checkpoint; it is not loaded"
        ) from None
    except (OSError, RuntimeError, EOFError, ValueError, KeyError) as error:
        raise CheckpointError(f"{path}: not a checkpoint, or a broken one ({error})") from None
    if not isinstance(content, dict):
        raise CheckpointError(f"{path}: holds a {type(content).__name__}, not a checkpoint")
    return content


def _replace(path: Path, write: Callable[[IO[bytes]], Any]) -> None:
    """Write beside `path`, make sure it is on the disk, then take its name."""
    part = path.with_name(f"{path.name}.part")
    with part.open("wb") as file:
        write(file)
        file.flush()
        os.fsync(file.fileno())
    part.replace(path)
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
