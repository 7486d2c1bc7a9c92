"""One file from which a small training goes on: written whole or not at all, of one origin alone.

Besides weights, optimizer and curve it has the hashes of what the training is of: a file of another
recipe, seed, task or initial model is refused rather than mixed in.
"""

from __future__ import annotations

import hashlib
import os
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from softbench.training._small_curve import Epoch
from softbench.training._small_training import Training


class Checkpoint:
    """The file of one training; without a path nothing is written and nothing found."""

    def __init__(self, path: Path | None, training: Training, seed: int) -> None:
        """Must be made while the model has its initial weights: they are part of the origin."""
        self.path, self.model, self.optimizer = path, training.model, training.optimizer
        self.origin = {} if path is None else _origin(training, seed)

    def write(self, epochs: list[Epoch]) -> None:
        """Everything as it is after those epochs, in one step from the file's former content."""
        if self.path is None:
            return
        content = {
            "origin": self.origin,
            "epochs": [epoch.model_dump() for epoch in epochs],
            "model": self.model.state_dict(),
            "optimizer": self.optimizer.state_dict(),
        }
        whole = self.path.with_name(f"{self.path.name}.new")
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with whole.open("wb") as file:
            torch.save(content, file)
            file.flush()
            os.fsync(file.fileno())
        whole.replace(self.path)

    def restored(self) -> list[Epoch]:
        """The epochs behind us, model and optimizer as after the last of them; none without a file.

        Raises ValueError for a file that cannot be read or is of another training.
        """
        if self.path is None or not self.path.exists():
            return []
        content = self._read(self.path)
        for what, ours in self.origin.items():
            theirs = content["origin"].get(what)
            if theirs != ours:
                raise ValueError(
                    f"{self.path} is of another training: its {what} is {theirs}, here {ours}; "
                    "name another file, or remove it to train anew"
                )
        self.model.load_state_dict(content["model"])
        self.optimizer.load_state_dict(content["optimizer"])
        return [Epoch.model_validate(epoch) for epoch in content["epochs"]]

    def _read(self, path: Path) -> dict[str, Any]:
        try:
            content: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
            found = set(content)
        except Exception as error:  # a damaged file makes the reader fail in any way
            told = str(error).split("\n")[0]
            raise ValueError(f"{path} is no checkpoint: {told}; remove it to train anew") from None
        if found != {"origin", "epochs", "model", "optimizer"}:
            raise ValueError(f"{path} is no checkpoint of a small training; name another file")
        return content


def _origin(training: Training, seed: int) -> dict[str, Any]:
    task = training.task
    sets = {
        f"{name} {what}": tensor
        for name, split in (("train", task.train), ("test", task.test))
        for what, tensor in (("inputs", split.inputs), ("labels", split.labels))
    }
    settings = {f"recipe's {name}": value for name, value in training.recipe.model_dump().items()}
    return {
        "task": task.name,
        "task's content": _digest(sets),
        **settings,
        "seed": seed,
        "initial model": _digest(training.model.state_dict()),
    }


def _digest(tensors: dict[str, Tensor]) -> str:
    """Sixteen hex digits of the tensors' names, forms and bytes."""
    digest = hashlib.sha256()
    for name, tensor in tensors.items():
        digest.update(f"{name} {tensor.dtype} {list(tensor.shape)}".encode())
        whole = tensor.detach().cpu().contiguous().reshape(-1)
        digest.update(whole.view(torch.uint8).numpy().data if whole.numel() else b"")
    return digest.hexdigest()[:16]
