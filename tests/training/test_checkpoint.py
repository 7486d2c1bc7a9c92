"""Files written whole or not at all, and read as data only.

Mutants seen red: weights_only left out, a write straight to the file.
"""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from softbench.training import checkpoint
from softbench.training.errors import CheckpointError
from softbench.training.scoring import content_of, load_into, weights_in


class Trap:
    """What runs code where it is unpickled."""

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return (Path, ("owned",))


class Unwritable:
    """What cannot be pickled."""

    def __reduce__(self) -> tuple[object, tuple[str]]:
        raise RuntimeError("no")


def test_a_write_that_fails_leaves_what_was_there(tmp_path: Path) -> None:
    path = tmp_path / "last.pt"
    checkpoint.save(path, {"x": torch.ones(3)})
    with pytest.raises(RuntimeError, match="no"):
        checkpoint.save(path, {"x": torch.zeros(3), "y": Unwritable()})
    assert torch.equal(checkpoint.load(path)["x"], torch.ones(3))


def test_nothing_but_data_is_loaded(tmp_path: Path) -> None:
    torch.save({"x": torch.ones(1), "y": Trap()}, tmp_path / "trap.pt")
    with pytest.raises(CheckpointError, match=r"holds more than tensors and numbers"):
        checkpoint.load(tmp_path / "trap.pt")


@pytest.mark.parametrize("content", [b"", b"no checkpoint", None])
def test_a_broken_file_is_refused_in_a_line(tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / "x.pt"
    if content is None:  # cut off
        torch.save({"x": torch.ones(1000)}, path)
        content = path.read_bytes()[:-800]
    path.write_bytes(content)
    with pytest.raises(CheckpointError) as refused:
        checkpoint.load(path)
    assert "\n" not in str(refused.value)


def test_a_path_that_is_no_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="no such checkpoint"):
        checkpoint.load(tmp_path / "x.pt")
    with pytest.raises(CheckpointError, match=r"a folder; a checkpoint in it is last.pt"):
        checkpoint.load(tmp_path)
    torch.save([1], tmp_path / "list.pt")
    with pytest.raises(CheckpointError, match="holds a list"):
        checkpoint.load(tmp_path / "list.pt")


def test_weights_are_found_under_the_names_in_use(tmp_path: Path) -> None:
    model = nn.Linear(2, 3)
    plain = {f"module.{name}": value for name, value in model.state_dict().items()}
    ours = weights_in({"state_dict": plain, "state_dict_ema": plain, "epoch": 3})
    assert list(ours) == ["weights", "ema"]
    assert list(weights_in({"model": plain})["weights"]) == ["weight", "bias"]
    assert list(weights_in(plain)["weights"]) == ["weight", "bias"]
    assert list(weights_in({"state_dict": plain, "state_dict_ema": None})) == ["weights"]
    with pytest.raises(CheckpointError, match="no weights in this file; it holds epoch"):
        weights_in({"epoch": 3})
    save_file(model.state_dict(), tmp_path / "x.safetensors")
    assert torch.equal(content_of(tmp_path / "x.safetensors")["weight"], model.weight)
    (tmp_path / "y.safetensors").write_bytes(b"no")
    with pytest.raises(CheckpointError, match="not a safetensors file"):
        content_of(tmp_path / "y.safetensors")


def test_weights_of_another_model_are_refused() -> None:
    model, weight = nn.Linear(2, 3), torch.zeros(3, 2)
    with pytest.raises(CheckpointError, match=r"of lin: the file lacks bias"):
        load_into(model, {"weight": weight}, "lin")
    with pytest.raises(CheckpointError, match=r"holds unknown scale"):
        load_into(model, model.state_dict() | {"scale": weight}, "lin")
    with pytest.raises(CheckpointError, match=r"has another shape for weight"):
        load_into(model, model.state_dict() | {"weight": weight.T}, "lin")
    load_into(model, {"weight": weight, "bias": torch.ones(3)}, "lin")
    assert torch.equal(model(torch.ones(1, 2)), torch.ones(1, 3))
